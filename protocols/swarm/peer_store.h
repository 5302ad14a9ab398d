#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

/// What is known about a peer, from identify or from whoever named it.
struct PeerInfo {
  std::vector<multiformats::Multiaddr> addresses;
  std::vector<std::string> protocols;
  std::string agent;
  /// Our own address, as this peer sees it.
  std::optional<multiformats::Multiaddr> observed;

  bool supports(std::string_view protocol) const;
};

/// Bounded knowledge about other peers: of one more than `max_peers`, the one that said nothing new for longest
/// is forgotten.
class PeerStore {
 public:
  static constexpr std::size_t max_peers = 1024;  // bound of our own; go-libp2p forgets them by time
  /// Entries above this are not taken. go-libp2p identify: 500 addresses while connected.
  static constexpr std::size_t max_addresses = 500;

  /// Known addresses stay; new ones are appended.
  void add_addresses(const multiformats::PeerId& peer, const std::vector<multiformats::Multiaddr>& addresses);
  void set_addresses(const multiformats::PeerId& peer, std::vector<multiformats::Multiaddr> addresses);
  void set_protocols(const multiformats::PeerId& peer, std::vector<std::string> protocols);
  void set_agent(const multiformats::PeerId& peer, std::string agent);
  void set_observed(const multiformats::PeerId& peer, multiformats::Multiaddr observed);
  /// Empty when nothing is known.
  const PeerInfo& find(const multiformats::PeerId& peer) const;

  std::size_t size() const { return peers_.size(); }

 private:
  struct Entry {
    PeerInfo info;
    std::uint64_t changed = 0;
  };
  PeerInfo& change(const multiformats::PeerId& peer);

  std::map<multiformats::PeerId, Entry> peers_;
  std::uint64_t changes_ = 0;
};

}  // namespace flaresim::swarm
