#include "sim/world/address_plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/nat/npt66.h"

namespace flaresim::world {
namespace {

using boost::asio::ip::make_address;

/// Gives addresses out from the Internet inwards. What matters of public ones is that `io::is_public` holds for them:
/// in the simulation they are nobody's.
class Planner {
 public:
  Planner(const Draw& drawn, const std::vector<nat::Behaviour>& behaviours)
      : drawn_(drawn), behaviours_(behaviours), children_(drawn.gateways.size(), 0) {}

  AddressPlan operator()() {
    for (std::size_t i = 0; i < drawn_.gateways.size(); ++i) add_gateway(i);
    plan_.host_a = add_host(drawn_.host_a, 0);
    plan_.host_b = add_host(drawn_.host_b, 1);
    add_stops(drawn_.host_a, 0, plan_.host_a);
    add_stops(drawn_.host_b, 1, plan_.host_b);
    return std::move(plan_);
  }

 private:
  GatewayKind kind(std::size_t gateway) const { return drawn_.gateways[gateway].kind; }
  bool has_nat(std::size_t gateway) const {
    const auto of = kind(gateway);
    const bool stateful = of == GatewayKind::nat || of == GatewayKind::aftr || of == GatewayKind::nat64;
    return stateful && behaviours_[gateway].translate != nat::Translate::off;
  }
  /// IPv4 addresses inside mean nothing outside.
  bool ends_v4(std::size_t gateway) const {
    return has_nat(gateway) || kind(gateway) == GatewayKind::ds_lite_home ||
           kind(gateway) == GatewayKind::clat;
  }

  bool is_private(std::optional<std::size_t> network) const {
    for (; network; network = drawn_.gateways[*network].behind) {
      if (ends_v4(*network)) return true;
    }
    return false;
  }

  /// The next IPv4 address inside of a gateway.
  io::IpAddress next_inside(std::size_t gateway, bool for_host) {
    if (kind(gateway) == GatewayKind::clat) return AddressPlan::clat_host();
    const auto number = children_[gateway]++;
    if (ends_v4(gateway) && for_host)
      return make_address(fmt::format("192.168.{}.{}", 1 + gateway, 10 + number));
    if (is_private(gateway)) return make_address(fmt::format("100.64.{}.{}", 1 + gateway, 10 + number));
    return make_address(fmt::format("84.16.{}.{}", 40 + gateway, 7 + number));
  }

  void add_gateway(std::size_t number) {
    plan_.gateways.emplace_back();
    const auto& place = drawn_.gateways[number];
    for (int i = 0; has_nat(number) && i < place.addresses; ++i) {
      const auto address = place.behind ? next_inside(*place.behind, false)
                                        : make_address(fmt::format("84.16.{}.{}", 40 + number, 7 + i));
      plan_.gateways[number].v4.push_back(address);
      plan_.gateways[number].outside.push_back(address);
      if (place.behind && !ends_v4(*place.behind)) let_through(place.behind, address);
    }
    add_v6(number);
  }

  void add_v6(std::size_t number) {
    auto& gateway = plan_.gateways[number];
    if (kind(number) == GatewayKind::aftr)
      gateway.v6 = make_address(fmt::format("2a02:8072:{:x}::1", 0x10 + number));
    if (kind(number) == GatewayKind::ds_lite_home) {
      gateway.v6 = make_address(fmt::format("2a02:8073:{:x}::1", 0x10 + number));
      let_through(number, *gateway.v6);
    }
    if (kind(number) == GatewayKind::clat) {
      gateway.v6 = make_address(fmt::format("2a02:8074:{:x}::", 0x10 + number));
      let_through(number, *gateway.v6);
    }
    if (kind(number) == GatewayKind::nptv6) {
      gateway.v6 = make_address(fmt::format("2a02:8075:{:x}::", 0x10 + number));
      gateway.inside_v6 = make_address(fmt::format("fd00:8075:{:x}::", 0x10 + number));
    }
  }

  /// Routes an address to this gateway, and to those above it, as far as it is the same address.
  void let_through(std::optional<std::size_t> at, io::IpAddress address) {
    for (; at; at = drawn_.gateways[*at].behind) {
      if (address.is_v4() && ends_v4(*at)) return;
      if (address.is_v6() && kind(*at) == GatewayKind::nptv6) address = outside_of(*at, address);
      plan_.gateways[*at].outside.push_back(address);
    }
  }

  io::IpAddress outside_of(std::size_t gateway, const io::IpAddress& address) const {
    const auto& addresses = plan_.gateways[gateway];
    const auto bytes = [](const io::IpAddress& of) { return of.to_v6().to_bytes(); };
    const auto prefixes =
        nat::Npt66::make(bytes(*addresses.inside_v6), bytes(*addresses.v6), AddressPlan::npt_bits);
    return boost::asio::ip::address_v6(prefixes.value().outside_of(bytes(address)).value());
  }

  /// Of a host behind an NPTv6 router, wherever in its prefix; nothing where none is on the way.
  std::optional<io::IpAddress> site_v6(std::size_t gateway, std::size_t host, std::size_t interface) const {
    for (std::optional<std::size_t> at = gateway; at; at = drawn_.gateways[*at].behind) {
      if (kind(*at) != GatewayKind::nptv6) continue;
      const auto network = (*at == gateway ? 0 : 0x100 * (1 + gateway)) + 1 + host + 2 * interface;
      return make_address(fmt::format("fd00:8075:{:x}:{:x}::10", 0x10 + *at, network));
    }
    return std::nullopt;
  }
  io::IpAddress own_v6(std::size_t gateway, std::size_t host, std::size_t interface) const {
    if (const auto address = site_v6(gateway, host, interface)) return *address;
    return make_address(fmt::format("2a02:8071:{:x}::10", 0x40 + host + 0x10 * interface));
  }

  std::vector<std::vector<io::IpAddress>> add_host(const HostPlace& host, std::size_t number) {
    std::vector<std::vector<io::IpAddress>> interfaces;
    for (std::size_t i = 0; i < host.behind.size(); ++i) {
      auto& addresses = interfaces.emplace_back();
      for (const auto version : host.ip) {
        addresses.push_back(version == 4 ? next_inside(host.behind[i], true)
                                         : own_v6(host.behind[i], number, i));
        let_through(host.behind[i], addresses.back());
      }
    }
    return interfaces;
  }

  void add_stops(const HostPlace& host, std::size_t number,
                 std::vector<std::vector<io::IpAddress>>& interfaces) {
    for (const auto& [interface, gateway] : host.stops) {
      auto& addresses = interfaces.emplace_back();
      for (const auto version : host.ip) {
        addresses.push_back(version == 4 ? next_inside(gateway, true)
                                         : v6_elsewhere(gateway, number, interface));
        let_through(gateway, addresses.back());
      }
    }
  }
  io::IpAddress v6_elsewhere(std::size_t gateway, std::size_t host, std::size_t interface) const {
    if (const auto address = site_v6(gateway, host, interface)) return *address;
    return make_address(fmt::format("2a02:8076:{:x}:{:x}::10", 0x10 + gateway, host + 0x10 * interface));
  }

  const Draw& drawn_;
  const std::vector<nat::Behaviour>& behaviours_;
  std::vector<std::size_t> children_;  ///< of each gateway, so far
  AddressPlan plan_;
};

}  // namespace

io::IpAddress AddressPlan::router(std::size_t gateway) {
  return make_address(fmt::format("192.168.{}.1", 1 + gateway));
}
io::IpAddress AddressPlan::clat_host() { return make_address("192.0.0.4"); }

AddressPlan plan_addresses(const Draw& drawn, const std::vector<nat::Behaviour>& behaviours) {
  return Planner(drawn, behaviours)();
}

}  // namespace flaresim::world
