#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "sim/engine/simulation.h"
#include "sim/nat/nat.h"
#include "sim/nat/translation.h"
#include "sim/net/capture.h"
#include "sim/net/link.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"

namespace flaresim::net {

enum class Direction { outbound, inbound };

/// What a NAT or firewall decided about one packet, as it was when it arrived.
struct NatEvent {
  io::TimePoint at{};
  Direction direction = Direction::outbound;
  nat::Rule rule = nat::Rule::passed;
  bool forwarded = false;
  bool answered = false;    ///< an ICMP error or a RST went back
  bool restarting = false;  ///< dropped because the box was restarting; no rule was asked
  PacketSummary packet{};
};

/// A router at home, at a carrier or in a company: `nat::Nat` between inside ports and a network outside.
///
/// 1. Inside ports reach each other directly, without the NAT, and IPv4 multicast stays inside; everything else passes
///    the NAT.
/// 2. Its outside is a port like any other: plug it into the core, or into the inside of another box (a
///    carrier's).
/// 3. Where the inside speaks something else than what the NAT translates, an *edge* stands between them: a
///    NAT64 (RFC 6146) is a NAT behind `nat::Nat64Edge`, the AFTR of DS-Lite (RFC 6333) one behind
///    `nat::AftrEdge`. All axes of behaviour hold for them as they are.
/// 4. It outlives the run.
class NatBox {
 public:
  /// `outside` is its own IPv4 address; may be absent where nothing is translated. `random` names its
  /// streams. `edge` may be null.
  NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour,
         std::optional<io::IpAddress> outside, const io::Random& random,
         std::unique_ptr<nat::HeaderTranslation> edge = nullptr);
  /// With several IPv4 addresses, as `Behaviour` says how they are shared; at most 256 are used.
  NatBox(engine::Simulation& simulation, const nat::Behaviour& behaviour, std::vector<io::IpAddress> outside,
         const io::Random& random, std::unique_ptr<nat::HeaderTranslation> edge = nullptr);
  ~NatBox();

  Port& outside();

  /// Plugs a host, or another box's outside, into the LAN. An IPv6 address whose low 64 bits are zero stands
  /// for its whole /64. Fails with `errc::address_in_use`.
  io::Result<> attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan);
  /// A port in the LAN holds other addresses from now on. `errc::address_in_use`, `errc::not_connected`.
  io::Result<> readdress(const Port& port, const std::vector<io::IpAddress>& addresses);

  // Change over time. Each forgets every mapping, session and taken tuple, and draws ports anew.

  /// Nothing passes for that long, not even between neighbours, and then it begins again from nothing.
  void reboot(io::Duration off);
  /// The table is lost and nothing else happens, as by `conntrack -F`.
  void flush();
  /// A new lease outside: no old flow survives it, as under Linux's masquerade. Who holds the address in the
  /// network outside is that network's business (`Internet::readdress`, or the outer box's `readdress`).
  void change_address(std::vector<io::IpAddress> outside);
  /// Other firmware, or another setting. The outside addresses stay.
  void set_behaviour(const nat::Behaviour& behaviour);

  /// Called after each of these, told whether it was a reboot.
  void on_loss(std::function<void(bool rebooted)> observer);

  bool restarting() const;
  const std::vector<io::IpAddress>& outside_addresses() const;

  /// Until the next change of the kinds above.
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
