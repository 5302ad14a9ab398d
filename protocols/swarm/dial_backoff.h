#pragma once

#include <map>

#include "protocols/io/time.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

/// go-libp2p p2p/net/swarm/swarm_dial.go: BackoffBase, BackoffCoef, BackoffMax.
struct DialBackoffProfile {
  io::Duration base = std::chrono::seconds(5);
  io::Duration step = std::chrono::seconds(1);  ///< times the square of the failures before this one
  io::Duration longest = std::chrono::minutes(5);
};

/// Which addresses of which peers have failed lately, and shall be left alone for a while.
///
/// 1. After the first failure of an address it is left alone for `base`, after the next ones for `base` + n² `step`, n being the failures before, but for no longer than `longest`.
/// 2. A peer is forgotten once each of its addresses has been free for as long as it was to be left alone; this is looked at no more often than each `longest`.
class DialBackoff {
 public:
  explicit DialBackoff(DialBackoffProfile profile) : profile_(profile) {}

  void add_failure(const multiformats::PeerId& peer, const multiformats::Multiaddr& address,
                   io::TimePoint now);
  bool is_backed_off(const multiformats::PeerId& peer, const multiformats::Multiaddr& address,
                     io::TimePoint now) const;
  void forget(const multiformats::PeerId& peer) { failed_.erase(peer); }
  /// Peers that are remembered.
  std::size_t peers() const { return failed_.size(); }

 private:
  struct Failed {
    std::int64_t times = 0;
    io::TimePoint until;
  };
  using Addresses = std::map<multiformats::Multiaddr, Failed>;

  io::Duration after(std::int64_t failures) const;
  void sweep(io::TimePoint now);

  DialBackoffProfile profile_;
  std::map<multiformats::PeerId, Addresses> failed_;
  io::TimePoint swept_{};
};

}  // namespace flaresim::swarm
