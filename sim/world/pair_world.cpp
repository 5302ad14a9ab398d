#include "sim/world/pair_world.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "protocols/swarm/address_info.h"
#include "sim/world/nat_presets.h"

namespace flaresim::world {
namespace {

using multiformats::Multiaddr;

// Addresses that are nobody's in the simulation: what matters is that `io::is_public` holds for the outside
// ones. Servers are each in a network of their own, a /16 or a /32: a routing table takes few peers of one.
std::string server_v4(std::size_t number) { return fmt::format("147.{}.10.10", 75 + number); }
std::string server_v6(std::size_t number) { return fmt::format("2604:{:x}:10::10", 0x1380 + number); }
/// By how much a header of IPv6 and a fragment header are longer than one of IPv4 (RFC 7915 §1.4).
constexpr std::uint16_t clat_overhead_bytes = 28;

/// From a cold start. By its end the slowest public node has had its first verdict (the first minute, and two rounds of
/// AutoNAT's retries of 90 s), tells it, and has looked up its neighbours.
constexpr io::Duration warm_up_time = std::chrono::minutes(5);
/// Public nodes boot over this time.
constexpr io::Duration join_time = std::chrono::minutes(1);

/// Puts new addresses in the place of old ones; whether there were any.
bool replace(std::vector<io::IpAddress>& addresses, const std::map<io::IpAddress, io::IpAddress>& leases) {
  bool any = false;
  for (auto& address : addresses) {
    const auto lease = leases.find(address);
    if (lease == leases.end()) continue;
    address = lease->second;
    any = true;
  }
  return any;
}

std::string text_of(const std::vector<io::IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : " ") + address.to_string();
  return text;
}

bool has(const std::vector<int>& versions, int version) {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

multiformats::Transport wire_transport(Transport transport) {
  return transport == Transport::quic ? multiformats::Transport::quic_v1 : multiformats::Transport::tcp;
}

void require(const io::Result<>& result, const char* what) {
  if (!result) throw std::logic_error(fmt::format("{}: {}", what, result.error().message()));
}

template <class T>
T require(io::Result<T> result, const char* what) {
  if (!result) throw std::logic_error(fmt::format("{}: {}", what, result.error().message()));
  return std::move(*result);
}

std::vector<nat::Behaviour> behaviours_of(const Draw& drawn) {
  std::vector<nat::Behaviour> behaviours;
  for (const auto& gateway : drawn.gateways) {
    const auto behaviour = gateway.nat.empty() ? nat::Behaviour() : parse_nat(gateway.nat);
    if (!behaviour) throw std::logic_error("no such NAT: " + gateway.nat);
    behaviours.push_back(*behaviour);
  }
  return behaviours;
}

/// Where something is attached to the core; each place once.
std::vector<std::size_t> regions_of(const Draw& drawn, const Geography& geography) {
  std::set<std::size_t> regions;
  for (const auto& name : drawn.relay_regions) regions.insert(geography.find(name));
  for (const auto& name : drawn.observer_regions) regions.insert(geography.find(name));
  for (const auto& gateway : drawn.gateways) {
    if (!gateway.behind) regions.insert(geography.find(gateway.region));
  }
  return {regions.begin(), regions.end()};
}

net::DelayMatrix delays_between(const std::vector<std::size_t>& regions, Geography& geography) {
  net::DelayMatrix delays;
  for (const auto from : regions) {
    auto& row = delays.emplace_back();
    for (const auto to : regions) row.push_back(geography.delay(from, to));
  }
  return delays;
}

net::LinkDirection direction_of(const topologies::CoreLink& link) {
  const std::chrono::duration<double> seconds = link.queue;
  return {.delay = link.delay,
          .jitter = link.jitter,
          .bits_per_second = link.bits_per_second,
          .queue_bytes = static_cast<std::uint64_t>(
              std::llround(seconds.count() * static_cast<double>(link.bits_per_second) / 8)),
          .loss = link.loss};
}

/// The links that packets between these regions cross; none where no link does anything but delay.
net::CoreLinks links_between(const std::vector<std::size_t>& regions, Geography& geography) {
  net::CoreLinks core;
  const auto does_more = [](const topologies::CoreGraph::Edge& edge) {
    return edge.link.bits_per_second > 0 || edge.link.loss > 0 || edge.link.jitter > io::Duration::zero();
  };
  const auto& edges = geography.core()->edges();
  if (std::ranges::none_of(edges, does_more)) return core;
  std::map<topologies::CoreGraph::Hop, std::size_t> numbers;
  for (const auto from : regions) {
    auto& row = core.ways.emplace_back();
    for (const auto to : regions) {
      auto& way = row.emplace_back();
      for (const auto hop : geography.way(from, to)) {
        const auto [number, is_new] = numbers.emplace(hop, core.links.size());
        if (is_new) core.links.push_back({std::to_string(hop), direction_of(edges[hop / 2].link)});
        way.push_back(number->second);
      }
    }
  }
  return core;
}

}  // namespace

PairWorld::PairWorld(const Scenario& scenario, const WorldData& data, Geography& geography, const Draw& drawn,
                     const io::Random& random, engine::SimulationOptions options,
                     const node::NodeProfile& profile, const Tap& tap)
    : scenario_(scenario),
      data_(data),
      geography_(geography),
      random_(random),
      profile_(profile),
      tap_(tap),
      simulation_(options),
      regions_(regions_of(drawn, geography)),
      internet_(std::make_unique<net::Internet>(simulation_, delays_between(regions_, geography),
                                                random.derive("internet"))),
      relay_regions_(drawn.relay_regions),
      relay_(drawn.relay),
      relays_(drawn.relay_regions.size()) {
  if (geography.core()) internet_->set_core(links_between(regions_, geography));
  for (const auto& region : drawn.relay_regions) {
    add_server(fmt::format("R{}", servers_.size() + 1), region, scenario.relays.access);
  }
  for (const auto& region : drawn.observer_regions) {
    add_server(fmt::format("O{}", servers_.size() + 1 - relays_), region, "none");
  }
  const auto behaviours = behaviours_of(drawn);
  plan_ = plan_addresses(drawn, behaviours);
  add_gateways(drawn, behaviours, plan_);
  a_ = make_peer("A", drawn, drawn.host_a, plan_.host_a);
  b_ = make_peer("B", drawn, drawn.host_b, plan_.host_b);
  if (is_cold()) {
    std::vector<net::Internet::SiteId> sites;
    stranger_ = make_server_host("S", servers_.size(), drawn.relay_regions.front(), "none", sites);
  } else {
    for (auto& server : servers_) start(server, true);
    start(a_, false);
    start(b_, false);
  }

  for (std::size_t i = 0; i < relays_; ++i) {
    if (!is_cold()) servers_[i].node->start_relay_service();
    for (const auto site : a_.sites) {
      internet_->set_extra_delay(site, servers_[i].sites.front(), scenario.relays.asymmetry);
    }
  }
  for (const auto a : a_.sites) {
    for (const auto b : b_.sites) {
      if (drawn.path || a == b) continue;
      internet_->cut(a, b);
      internet_->cut(b, a);
    }
  }
}

PairWorld::~PairWorld() {
  traces_.clear();
  shut_down();
  for_each_machine([](Machine& machine) { machine.node.reset(); });
  simulation_.drain();
}

void PairWorld::for_each_machine(const std::function<void(Machine&)>& visit) {
  for (auto& server : servers_) {
    if (server.node) visit(server);
  }
  for (auto* peer : {&a_, &b_}) {
    if (peer->node) visit(*peer);
  }
}

io::TimePoint PairWorld::began() const {
  return io::TimePoint(is_cold() ? warm_up_time : io::Duration::zero());
}

void PairWorld::warm_up() {
  if (!is_cold()) return;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    simulation_.run_until(io::TimePoint(join_time * i / servers_.size()));
    boot(servers_[i], true);
  }
  simulation_.run_until(began());
  boot(b_, false);
  boot(a_, false);
}

void PairWorld::boot(Machine& machine, bool is_server) {
  std::vector<swarm::AddressInfo> known;
  const auto bootstrap_nodes = static_cast<std::size_t>(scenario_.bootstrap);
  for (std::size_t i = 0; i < bootstrap_nodes && i < servers_.size(); ++i) {
    if (!servers_[i].node) break;
    swarm::AddressInfo info{.peer = servers_[i].node->id()};
    for (const auto transport : scenario_.transports) {
      for (auto& address : addresses_of(servers_[i], transport)) info.addresses.push_back(std::move(address));
    }
    known.push_back(std::move(info));
  }
  start(machine, is_server);
  machine.node->bootstrap(std::move(known));
}

std::vector<Machine*> PairWorld::relays_of(const Machine& machine) {
  std::vector<Machine*> relays;
  for (const auto& reservation : machine.node->relay_client().reservations()) {
    if (auto* const relay = server(reservation.relay)) relays.push_back(relay);
  }
  return relays;
}

const std::string& PairWorld::region_of(const Machine& server) const {
  return relay_regions_[static_cast<std::size_t>(&server - servers_.data())];
}

Machine* PairWorld::server(const multiformats::PeerId& id) {
  const auto found = std::ranges::find_if(
      servers_, [&](const auto& server) { return server.node && server.node->id() == id; });
  return found == servers_.end() ? nullptr : &*found;
}

void PairWorld::shut_down() {
  for_each_machine([](Machine& machine) { machine.node->shut_down(); });
  for (auto& gateway : gateways_) {
    if (gateway.services) gateway.services->stop();
  }
  simulation_.drain();
}

std::vector<Multiaddr> PairWorld::addresses_of(const Machine& machine, Transport transport) const {
  std::vector<Multiaddr> addresses;
  for (const auto& address : machine.host->addresses()) {
    addresses.push_back(Multiaddr::from_endpoint({address, port}, wire_transport(transport)));
  }
  return addresses;
}

void PairWorld::start(Machine& machine, bool is_server) {
  const auto random = random_.derive(machine.name);
  auto identity = random.derive("identity");
  auto profile = profile_;
  // The Internet has no multicast.
  if (is_server) profile.mdns.reset();
  if (tap_) tap_(machine.name, profile.swarm);
  machine.node =
      std::make_unique<node::Node>(*machine.host, crypto::PrivateKey::generate(identity), std::move(profile));
  machine.node->swarm().set_trace(
      [this, name = machine.name](std::string_view what, const std::string& detail) {
        for (const auto& trace : traces_) trace(name, what, detail);
      });
  for (const auto transport : scenario_.transports) {
    for (const char* any : {"0.0.0.0", "::"}) {
      const auto address = boost::asio::ip::make_address(any);
      const auto same_version = [&](const auto& own) { return own.is_v4() == address.is_v4(); };
      if (std::ranges::none_of(machine.host->addresses(), same_version)) continue;
      require(
          machine.node->swarm().listen(Multiaddr::from_endpoint({address, port}, wire_transport(transport))),
          "listen");
    }
  }
}

net::Site PairWorld::site_of(const std::string& name, const std::string& region, const std::string& access,
                             std::vector<io::IpAddress> addresses) {
  const auto number = std::ranges::find(regions_, geography_.find(region)) - regions_.begin();
  return {.name = name,
          .region = static_cast<std::size_t>(number),
          .link = data_.access(access),
          .addresses = std::move(addresses)};
}

net::LinkProfile PairWorld::stretched(const std::string& access, const std::string& from,
                                      const std::string& to) {
  auto link = data_.access(access);
  if (from == to) return link;
  link.up.delay += geography_.delay(geography_.find(from), geography_.find(to));
  link.down.delay += geography_.delay(geography_.find(to), geography_.find(from));
  return link;
}

void PairWorld::add_server(const std::string& name, const std::string& region, const std::string& access) {
  Machine machine;
  machine.name = name;
  machine.host = make_server_host(name, servers_.size(), region, access, machine.sites);
  servers_.push_back(std::move(machine));
}

std::unique_ptr<net::Host> PairWorld::make_server_host(const std::string& name, std::size_t number,
                                                       const std::string& region, const std::string& access,
                                                       std::vector<net::Internet::SiteId>& sites) {
  std::vector<io::IpAddress> addresses;
  if (has(scenario_.ip, 4)) addresses.push_back(boost::asio::ip::make_address(server_v4(number)));
  if (has(scenario_.ip, 6)) addresses.push_back(boost::asio::ip::make_address(server_v6(number)));
  auto host = std::make_unique<net::Host>(simulation_, addresses, random_.derive(name));
  sites.push_back(
      require(internet_->attach(host->port(), site_of(name, region, access, addresses)), "attach"));
  return host;
}

void PairWorld::add_gateways(const Draw& drawn, const std::vector<nat::Behaviour>& behaviours,
                             const AddressPlan& plan) {
  for (std::size_t i = 0; i < drawn.gateways.size(); ++i) {
    const auto& place = drawn.gateways[i];
    auto& gateway = gateways_.emplace_back();
    gateway.name = place.name;
    gateway.kind = place.kind;
    gateway.behind = place.behind;
    const auto* outer_plan = place.behind ? &plan.gateways[*place.behind] : nullptr;
    gateway.box = std::make_unique<GatewayBox>(simulation_, place.kind, behaviours[i], plan.gateways[i],
                                               outer_plan, random_.derive("gateway/" + place.name));
    if (place.services.any() && behaviours[i].translate != nat::Translate::off) {
      gateway.services =
          std::make_unique<GatewayServices>(simulation_, *gateway.box->nat(), AddressPlan::router(i),
                                            place.services, random_.derive("services/" + place.name));
    }
    const auto& addresses = plan.gateways[i].outside;
    if (place.behind) {
      auto& outer = gateways_[*place.behind];
      const auto link = stretched(place.access, place.region, drawn.gateways[*place.behind].region);
      require(outer.box->attach(gateway.box->outside(), addresses, link), "attach");
      gateway.site = outer.site;
    } else {
      gateway.site = require(internet_->attach(gateway.box->outside(),
                                               site_of(place.name, place.region, place.access, addresses)),
                             "attach");
    }
  }
}

Gateway* PairWorld::named(std::string_view name) {
  const auto found = std::ranges::find(gateways_, name, &Gateway::name);
  return found == gateways_.end() ? nullptr : &*found;
}

Gateway& PairWorld::gateway(std::string_view name) {
  if (auto* const known = named(name)) return *known;
  const auto& machine = name == "a" ? a_ : b_;
  for (std::optional<std::size_t> at = machine.places[machine.at.front()].gateway; at;
       at = gateways_[*at].behind) {
    if (gateways_[*at].box->nat()) return gateways_[*at];
  }
  throw std::logic_error("nothing on the way of " + machine.name + " keeps a table");
}

std::string PairWorld::renumber(Gateway& gateway) {
  const auto leases = leases_of(static_cast<std::size_t>(&gateway - gateways_.data()));
  renew(a_, leases);
  renew(b_, leases);
  for (std::size_t i = 0; i < gateways_.size(); ++i) renew(i, leases);
  std::vector<io::IpAddress> addresses;
  for (const auto& lease : leases) addresses.push_back(lease.second);
  return text_of(addresses);
}

PairWorld::Leases PairWorld::leases_of(std::size_t gateway) {
  Leases leases;
  const auto add = [&](const io::IpAddress& address) { leases.emplace(address, next_to(address)); };
  const auto& own = gateways_[gateway].box->nat()->outside_addresses();
  for (const auto& address : own.empty() ? plan_.gateways[gateway].outside : own) {
    if (address.is_v4()) add(address);
  }
  for (const auto* machine : {&a_, &b_}) {
    for (const auto& place : machine->places) {
      bool inside = false;
      bool native = true;
      for (std::optional<std::size_t> at = place.gateway; at; at = gateways_[*at].behind) {
        inside |= *at == gateway;
        native &= keeps_table(gateways_[*at].kind);
      }
      for (const auto& address : place.addresses) {
        if (inside && native && address.is_v6()) add(address);
      }
    }
  }
  return leases;
}

/// In the same network, or in the one after it; for IPv6, the next /64.
io::IpAddress PairWorld::next_to(io::IpAddress address) {
  const auto is_taken = [&] {
    const auto holds = [&](const auto& of) { return std::ranges::find(of, address) != of.end(); };
    return given_out_.contains(address) ||
           std::ranges::any_of(plan_.gateways, [&](const auto& gateway) { return holds(gateway.outside); });
  };
  constexpr std::uint32_t last_octet = 0xff;
  do {
    if (address.is_v4()) {
      auto number = address.to_v4().to_uint() + 1;
      if ((number & last_octet) == last_octet) number += 2;  // neither .255 nor .0
      address = boost::asio::ip::address_v4(number);
    } else {
      auto bytes = address.to_v6().to_bytes();
      for (std::size_t i = 7; ++bytes[i] == 0;) --i;
      address = boost::asio::ip::address_v6(bytes);
    }
  } while (is_taken());
  given_out_.insert(address);
  return address;
}

void PairWorld::renew(Machine& machine, const Leases& leases) {
  for (std::size_t i = 0; i < machine.places.size(); ++i) {
    auto& place = machine.places[i];
    if (!replace(place.addresses, leases) || machine.at[place.interface] != i) continue;
    machine.host->readdress(place.interface, place.addresses);
    machine.node->swarm().refresh_addresses();
    require(gateways_[place.gateway].box->readdress(machine.host->port(place.interface), place.addresses),
            "readdress");
  }
}

void PairWorld::renew(std::size_t number, const Leases& leases) {
  auto& gateway = gateways_[number];
  if (auto* const nat = gateway.box->nat()) {
    auto own = nat->outside_addresses();
    if (replace(own, leases)) nat->change_address(own);
  }
  auto& outside = plan_.gateways[number].outside;
  if (!replace(outside, leases)) return;
  require(gateway.behind ? gateways_[*gateway.behind].box->readdress(gateway.box->outside(), outside)
                         : internet_->readdress(gateway.site, outside),
          "readdress");
}

std::string PairWorld::move(Machine& machine, std::size_t interface, std::string_view to,
                            const std::string& access) {
  const auto* const known = named(to);
  const auto number = known ? static_cast<std::size_t>(known - gateways_.data())
                            : (to == "a" ? a_ : b_).places.front().gateway;
  const auto place = std::ranges::find_if(machine.places, [&](const auto& each) {
    return each.interface == interface && each.gateway == number;
  });
  if (place == machine.places.end()) throw std::logic_error(machine.name + " was never to move there");
  auto& plug = machine.host->port(interface);
  plug.unplug();
  machine.host->readdress(interface, place->addresses);
  machine.node->swarm().refresh_addresses();
  const auto router = AddressPlan::router(number);
  machine.host->set_gateway(interface, gateways_[number].services ? std::optional(router) : std::nullopt);
  require(gateways_[number].box->attach(plug, place->addresses, data_.access(access)), "attach");
  machine.at[interface] = static_cast<std::size_t>(place - machine.places.begin());
  return fmt::format("to {}: {}", gateways_[number].name, text_of(place->addresses));
}

Machine PairWorld::make_peer(const std::string& name, const Draw& drawn, const HostPlace& place,
                             const std::vector<std::vector<io::IpAddress>>& addresses) {
  Machine machine;
  machine.name = name;
  for (std::size_t i = 0; i < place.behind.size(); ++i) {
    net::Interface interface { .addresses = addresses[i], .metric = static_cast<std::uint32_t>(i) };
    if (gateways_[place.behind[i]].services) interface.gateway = AddressPlan::router(place.behind[i]);
    if (drawn.gateways[place.behind[i]].kind == GatewayKind::clat) interface.mtu_bytes -= clat_overhead_bytes;
    if (i == 0)
      machine.host = std::make_unique<net::Host>(simulation_, std::move(interface), random_.derive(name));
    else
      machine.host->add_interface(std::move(interface));
    auto& gateway = gateways_[place.behind[i]];
    const auto link = stretched(place.access, place.region, drawn.gateways[place.behind[i]].region);
    require(gateway.box->attach(machine.host->port(i), addresses[i], link), "attach");
    machine.places.push_back({i, place.behind[i], addresses[i]});
    machine.at.push_back(i);
  }
  for (std::size_t i = 0; i < place.stops.size(); ++i) {
    const auto& [interface, gateway] = place.stops[i];
    machine.places.push_back({interface, gateway, addresses[place.behind.size() + i]});
  }
  for (const auto& at : machine.places) machine.sites.push_back(gateways_[at.gateway].site);
  return machine;
}

}  // namespace flaresim::world
