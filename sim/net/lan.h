#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "protocols/io/network.h"
#include "sim/engine/simulation.h"
#include "sim/net/link.h"
#include "sim/net/port.h"

namespace flaresim::net {

/// The inside of a box: the ports that are plugged into it, each over a link of its own, and the addresses
/// that they hold.
///
/// 1. Loss and full queues of a LAN are silent, and packets on a link stay in their order.
/// 2. An IPv6 address whose low 64 bits are zero stands for its whole /64.
/// 3. A port that is unplugged gives its addresses back; what is on its way to it is lost.
/// 4. It outlives the run: packets that are under way hold on to it.
class Lan {
 public:
  /// One port's place.
  class Place;
  /// A packet has reached the box from that place.
  using Arrival = std::function<void(Place&, const PacketPtr&)>;

  /// The links' random streams derive from `random`.
  Lan(engine::Simulation& simulation, io::Random random, Arrival arrival);
  ~Lan();

  /// Fails with `errc::address_in_use`.
  io::Result<> attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& link);
  /// Gives the port other addresses. Fails, and changes nothing, with `errc::address_in_use`, or with
  /// `errc::not_connected` when the port is not plugged in here.
  io::Result<> readdress(const Port& port, const std::vector<io::IpAddress>& addresses);

  /// Who holds the address; null when nobody does.
  Place* find(const io::IpAddress& address) const;
  /// Sends a packet down the link of that place.
  void send(Place& to, PacketPtr packet);
  /// Sends a copy of it to everybody else: how a switch treats IPv4 groups.
  void send_to_others(const Place& from, const PacketPtr& packet);

 private:
  bool are_free(const std::vector<io::IpAddress>& addresses, const Place* but_for) const;
  void release(const Place& place);

  engine::Simulation& simulation_;
  io::Random random_;
  Arrival arrival_;
  std::vector<std::unique_ptr<Place>> places_;
  std::map<io::IpAddress, Place*> holders_;
};

}  // namespace flaresim::net
