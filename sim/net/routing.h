#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "sim/net/port.h"

namespace flaresim::net {

struct Prefix {
  io::IpAddress address;
  unsigned bits = 0;

  bool contains(const io::IpAddress& other) const;
  friend bool operator==(const Prefix&, const Prefix&) = default;
};

/// One of a host's network interfaces: a card, a modem, a tunnel.
struct Interface {
  std::vector<io::IpAddress> addresses;  ///< at most one a family
  std::uint32_t metric = 0;              ///< of its routes: the lowest wins, then the interface added first
  bool default_route = true;
  /// What lies behind it whatever the metrics say: its own LAN, what a split tunnel takes.
  std::vector<Prefix> routes{};
  std::uint16_t mtu_bytes = 1500;
  /// Whom its users ask for what routers offer to their LAN. Packets need no such address to leave.
  std::optional<io::IpAddress> gateway{};
};

/// Which interface a packet leaves by, and from which address.
///
/// 1. A packet with a source address leaves by the interface that has the address, whatever its destination:
///    policy routing, as Android and NetworkManager set it up for multihomed Linux.
/// 2. Without one, the longest matching prefix decides, then the metric, then the order of the interfaces.
///    One whose link is down is used only when no other has a route.
/// 3. The source is the address of that interface (RFC 6724 §5, rule 5); as an interface has one address a
///    family, the other rules find nothing to choose between.
class RoutingTable {
 public:
  using Index = std::size_t;

  /// `port` outlives the table. std::logic_error for two addresses of a family, or an MTU below 1280.
  Index add(Interface interface, const Port& port);
  void readdress(Index index, std::vector<io::IpAddress> addresses);
  void set_gateway(Index index, std::optional<io::IpAddress> gateway) {
    entries_.at(index).interface.gateway = gateway;
  }

  std::size_t size() const { return entries_.size(); }
  const Interface& operator[](Index index) const { return entries_[index].interface; }
  std::optional<io::IpAddress> address(Index index, bool v4) const;
  /// Interface by interface, IPv4 first.
  std::vector<io::IpAddress> addresses() const;

  std::optional<Index> holder(const io::IpAddress& address) const;
  std::optional<Index> towards(const io::IpAddress& destination) const;
  std::optional<io::IpAddress> source_for(const io::IpAddress& destination) const;
  /// A host that a packet could be sent to: no address of our own (ns-3 would deliver it inside of sending,
  /// without end), no group, and there is a route.
  bool can_reach(const io::IpAddress& destination) const;

  /// An IPv4 group in the local network: UDP may be sent to it, and reaches who has joined it. Those of IPv6 are not
  /// modelled.
  bool can_reach_group(const io::IpAddress& destination) const;

  /// While this is set, what is sent without a source is an answer to a packet that came to it (an ICMP
  /// error).
  std::optional<io::IpAddress> answering;

 private:
  struct Entry {
    Interface interface;
    const Port* port;
  };
  /// How many bits of the destination its best route matches; none without a route.
  static std::optional<unsigned> match(const Interface& interface, const io::IpAddress& destination);

  std::vector<Entry> entries_;
};

}  // namespace flaresim::net
