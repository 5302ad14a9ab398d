#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "protocols/multiformats/multiaddr.h"

namespace flaresim::swarm {

/// Whether dials of one kind lead anywhere, by how the last of them went.
///
/// 1. With fewer than `window` results all dials are made: there is no judgement yet.
/// 2. From then on they are made while at least `enough` of the last `window` succeeded. Otherwise they are blocked, except each `window`th, which is a probe.
/// 3. A success of a probe ends the judgement: all begins anew.
///
/// go-libp2p p2p/net/swarm/black_hole_detector.go: BlackHoleSuccessCounter; defaultUDPBlackHoleDetector for both numbers.
class SuccessWindow {
 public:
  static constexpr std::size_t window = 100;
  static constexpr std::size_t enough = 5;
  enum class State { probing, allowed, blocked };

  /// What is to become of a dial that is about to be made.
  State ask();
  void record(bool success);

 private:
  State judged() const;

  std::deque<bool> results_;
  std::size_t successes_ = 0;
  std::size_t asked_ = 0;
};

/// Finds out that a network lets no UDP or no IPv6 through, and saves the dials. Only public addresses, relayed ones
/// by the relay's, are recorded and judged.
class BlackHoleDetector {
 public:
  /// One answer for each of a peer's addresses, in their order: whether it is of no use to dial it. An address that
  /// is a probe of one kind is dialled even if the other kind is blocked.
  std::vector<bool> blocked(const std::vector<multiformats::Multiaddr>& addresses);
  void record(const multiformats::Multiaddr& address, bool success);

 private:
  SuccessWindow udp_;
  SuccessWindow ipv6_;
};

}  // namespace flaresim::swarm
