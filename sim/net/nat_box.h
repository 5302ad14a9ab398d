#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "sim/engine/simulation.h"
#include "sim/nat/nat.h"
#include "sim/net/capture.h"
#include "sim/net/link.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"

namespace flaresim::net {

enum class Direction { outbound, inbound };

/// What a NAT or firewall decided about one packet, as it was when it arrived.
struct NatEvent {
  io::TimePoint at;
  Direction direction = Direction::outbound;
  nat::Rule rule = nat::Rule::passed;
  bool forwarded = false;
  bool answered = false;  ///< an ICMP error or a RST went back
  PacketSummary packet;
};

/// A router at home, at a carrier or in a company: `nat::Nat` between inside ports and a network outside.
///
/// 1. Inside ports reach each other directly, without the NAT; everything else passes it.
/// 2. Its outside is a port like any other: plug it into the core, or into the inside of another box (a
/// carrier's).
/// 3. It outlives the run.
class NatBox {
 public:
  /// `outside` is its own IPv4 address; may be absent where nothing is translated. `random` names its
  /// streams.
  NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour,
         std::optional<io::IpAddress> outside, const io::Random& random);
  ~NatBox();

  Port& outside();

  /// Plugs a host, or another box's outside, into the LAN. An IPv6 address whose low 64 bits are zero stands
  /// for its whole /64. Fails with `errc::address_in_use`.
  io::Result<> attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan);

  nat::Nat& nat();

  /// Called for every packet, also for those that pass.
  void on_verdict(std::function<void(const NatEvent&)> observer);
  void capture_inside(Capture* capture);   ///< as the LAN sees packets: before translation outbound
  void capture_outside(Capture* capture);  ///< as the network outside sees them

 private:
  class Box;
  std::unique_ptr<Box> box_;
};

}  // namespace flaresim::net
