#pragma once

#include <cstdint>
#include <optional>

#include "protocols/io/random.h"
#include "protocols/io/time.h"

namespace flaresim::net {

/// One direction of an access link.
struct LinkDirection {
  io::Duration delay{};   ///< propagation, one way
  io::Duration jitter{};  ///< half width: the delay is uniform in `delay` ± `jitter`; at most `delay`
  std::uint64_t bits_per_second = 0;  ///< 0: unlimited
  std::uint64_t queue_bytes =
      0;            ///< waiting and in transmission, beyond which packets are dropped; 0: unlimited
  double loss = 0;  ///< probability that a packet is lost, in [0, 1]

  friend bool operator==(const LinkDirection&, const LinkDirection&) = default;
};

/// An access link: what lies between a site and the core, or between a host and its router.
struct LinkProfile {
  LinkDirection up{};    ///< away from the host
  LinkDirection down{};  ///< towards the host

  friend bool operator==(const LinkProfile&, const LinkProfile&) = default;
};

/// A tunnel over an access link to a box elsewhere, as one link: a VPN's exit is a NatBox at whose inside the
/// host's tunnel interface is plugged in. `there` and `back` are the delays between the line's region and the
/// box's. What the tunnel's packets meet between the two (gateways, queues shared with other traffic, headers)
/// is not modelled.
LinkProfile tunnel(LinkProfile access, io::Duration there, io::Duration back);

enum class LinkDrop { loss, queue_full };

/// The queue and the noise of one direction while packets cross it.
///
/// 1. Packets are serialised one after the other at the link's rate: the last bit of a packet of n bytes
/// leaves
///    n·8/rate after it began, rounded up to the nanosecond.
/// 2. A packet that would bring the backlog above `queue_bytes` is dropped at the tail.
class LinkState {
 public:
  LinkState(const LinkDirection& direction, io::Random random);

  /// How long after `now` the last bit has been sent; no value when the packet is dropped, with the reason.
  struct Crossing {
    io::Duration after{};
    std::optional<LinkDrop> drop{};
  };
  /// Queue, serialisation, propagation and jitter of a packet that reaches the link now.
  Crossing cross(std::uint64_t bytes, io::TimePoint now);

  const LinkDirection& direction() const { return direction_; }
  /// A draw of the propagation delay alone, for paths that are summed up before they are queued.
  io::Duration propagation();

 private:
  LinkDirection direction_;
  io::Random random_;
  io::TimePoint free_at_{};
};

}  // namespace flaresim::net
