#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocols/io/scheduler.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

/// Names of protocols.
using Protocols = std::vector<std::string>;

/// What is known about a peer, from identify or from whoever named it.
struct PeerInfo {
  std::vector<multiformats::Multiaddr> addresses;
  /// Null: none. Peers of a store that support the same share a list.
  std::shared_ptr<const Protocols> shared_protocols;
  std::string agent;
  /// Our own address, as this peer sees it.
  std::optional<multiformats::Multiaddr> observed;

  const Protocols& protocols() const;
  bool supports(std::string_view protocol) const;
};

/// How much is remembered, and for how long; the defaults' sources stand beside them.
struct PeerStoreProfile {
  std::size_t max_peers = 1024;            // bound of our own; go-libp2p forgets them by time
  std::size_t max_addresses = 500;         // go-libp2p p2p/protocol/identify/id.go connectedPeerMaxAddrs
  std::size_t max_addresses_of_left = 20;  // ... recentlyConnectedPeerMaxAddrs
  io::Duration keep_left = std::chrono::minutes(15);  // ... core/peerstore RecentlyConnectedAddrTTL
  io::Duration keep_named = std::chrono::minutes(2);  // ... core/peerstore TempAddrTTL
};

/// Bounded knowledge about other peers.
///
/// 1. While a peer is connected, what is known of it stays.
/// 2. When its last connection ends, `max_addresses_of_left` of its addresses are kept for `keep_left`. Addresses of a
///    peer that was merely named are kept for `keep_named` after somebody named them last.
/// 3. With the last address, everything else about a peer that is not connected is forgotten; of one without any
///    address, `keep_named` after the last news.
/// 4. Of one more than `max_peers`, the one that said nothing new for longest is forgotten, those that are not
///    connected first.
///
/// Nothing runs by itself: what is over is left out when it is asked for, and removed as others come.
class PeerStore {
 public:
  explicit PeerStore(const io::Scheduler& scheduler, PeerStoreProfile profile = {})
      : scheduler_(&scheduler), profile_(profile) {}
  PeerStore(const PeerStore&) = delete;
  PeerStore& operator=(const PeerStore&) = delete;

  /// Somebody named them. Known addresses stay; new ones are appended.
  void add_addresses(const multiformats::PeerId& peer, const std::vector<multiformats::Multiaddr>& addresses);
  /// The peer itself says that these are all.
  void set_addresses(const multiformats::PeerId& peer, std::vector<multiformats::Multiaddr> addresses);
  void set_protocols(const multiformats::PeerId& peer, Protocols protocols);
  void set_agent(const multiformats::PeerId& peer, std::string agent);
  void set_observed(const multiformats::PeerId& peer, multiformats::Multiaddr observed);
  /// Its first connection stands, or its last one has ended.
  void set_connected(const multiformats::PeerId& peer, bool connected);
  /// Empty when nothing is known. Valid until the store is used again.
  const PeerInfo& find(const multiformats::PeerId& peer);

  std::size_t size() const { return peers_.size(); }

 private:
  using Order = std::list<const multiformats::PeerId*>;
  struct Entry {
    PeerInfo info;
    std::vector<io::TimePoint> until;  // one for each address
    io::TimePoint end;                 // nothing is known any more, unless it is connected
    Order::iterator place;
    bool connected = false;
  };
  using Peers = std::unordered_map<multiformats::PeerId, Entry>;  // never walked

  io::TimePoint after(io::Duration time) const { return scheduler_->now() + time; }
  Entry& change(const multiformats::PeerId& peer);
  Peers::iterator live(const multiformats::PeerId& peer);
  void append(Entry& entry, const std::vector<multiformats::Multiaddr>& addresses, io::TimePoint until);
  void forget_expired(Entry& entry) const;
  std::shared_ptr<const Protocols> share(Protocols protocols);
  void make_room();
  void erase(Peers::iterator found);

  const io::Scheduler* scheduler_;
  PeerStoreProfile profile_;
  Peers peers_;
  Order connected_;  // the one that said nothing new for longest first
  Order others_;
  std::vector<std::shared_ptr<const Protocols>> lists_;  // that some peer supports, or did until lately
};

}  // namespace flaresim::swarm
