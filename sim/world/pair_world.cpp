#include "sim/world/pair_world.h"

#include <fmt/core.h>

#include <stdexcept>

#include "sim/world/nat_presets.h"

namespace flaresim::world {
namespace {

using multiformats::Multiaddr;

// Addresses that are nobody's in the simulation: what matters is that `io::is_public` holds for the outside
// ones.
std::string server_v4(std::size_t number) { return fmt::format("147.75.{}.10", 10 + number); }
std::string server_v6(std::size_t number) { return fmt::format("2604:1380:{:x}::10", 0x10 + number); }
constexpr std::size_t leases_a_block = 200;
std::string gateway_v4(std::size_t number, std::size_t lease = 0) {
  return fmt::format("84.{}.{}.{}", 16 + lease / leases_a_block, 40 + number, 7 + lease % leases_a_block);
}
std::string home_v6(std::size_t number, std::size_t lease = 0) {
  return fmt::format("2a02:8071:{:x}:{:x}::10", 0x40 + number, lease);
}
std::string lan_v4(std::size_t number) { return fmt::format("192.168.{}.10", 1 + number); }

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

}  // namespace

PairWorld::PairWorld(const Scenario& scenario, const WorldData& data, const Draw& drawn,
                     const io::Random& random, engine::SimulationOptions options,
                     const node::NodeProfile& profile, const Tap& tap)
    : scenario_(scenario),
      data_(data),
      random_(random),
      profile_(profile),
      tap_(tap),
      simulation_(options),
      internet_(
          std::make_unique<net::Internet>(simulation_, data.regions().one_way(), random.derive("internet"))),
      relay_(drawn.relay),
      relays_(drawn.relay_regions.size()) {
  for (const auto& region : drawn.relay_regions) {
    add_server(fmt::format("R{}", servers_.size() + 1), servers_.size(), region, scenario.relays.access);
  }
  for (const auto& region : drawn.observer_regions) {
    add_server(fmt::format("O{}", servers_.size() + 1 - relays_), servers_.size(), region, "none");
  }
  a_ = make_peer("A", drawn.a, 0);
  b_ = make_peer("B", drawn.b, 1);

  for (std::size_t i = 0; i < relays_; ++i) {
    servers_[i].node->start_relay_service();
    internet_->set_extra_delay(a_.site, servers_[i].site, scenario.relays.asymmetry);
  }
  if (!drawn.path) {
    internet_->cut(a_.site, b_.site);
    internet_->cut(b_.site, a_.site);
  }
}

PairWorld::~PairWorld() {
  shut_down();
  for_each_machine([](Machine& machine) { machine.node.reset(); });
  simulation_.drain();
}

void PairWorld::for_each_machine(const std::function<void(Machine&)>& visit) {
  for (auto& server : servers_) visit(server);
  visit(a_);
  visit(b_);
}

void PairWorld::shut_down() {
  for_each_machine([](Machine& machine) { machine.node->shut_down(); });
  simulation_.drain();
}

std::vector<Multiaddr> PairWorld::addresses_of(const Machine& machine, Transport transport) const {
  std::vector<Multiaddr> addresses;
  for (const auto& address : machine.host->addresses()) {
    addresses.push_back(Multiaddr::from_endpoint({address, port}, wire_transport(transport)));
  }
  return addresses;
}

void PairWorld::start(Machine& machine) {
  const auto random = random_.derive(machine.name);
  auto identity = random.derive("identity");
  auto profile = profile_;
  if (tap_) tap_(machine.name, profile.swarm);
  machine.node =
      std::make_unique<node::Node>(*machine.host, crypto::PrivateKey::generate(identity), std::move(profile));
  for (const auto transport : scenario_.transports) {
    for (const char* any : {"0.0.0.0", "::"}) {
      const auto address = boost::asio::ip::make_address(any);
      if (!has(scenario_.ip, address.is_v4() ? 4 : 6)) continue;
      require(
          machine.node->swarm().listen(Multiaddr::from_endpoint({address, port}, wire_transport(transport))),
          "listen");
    }
  }
}

void PairWorld::add_server(const std::string& name, std::size_t number, const std::string& region,
                           const std::string& access) {
  std::vector<io::IpAddress> addresses;
  if (has(scenario_.ip, 4)) addresses.push_back(boost::asio::ip::make_address(server_v4(number)));
  if (has(scenario_.ip, 6)) addresses.push_back(boost::asio::ip::make_address(server_v6(number)));

  Machine machine;
  machine.name = name;
  machine.host = std::make_unique<net::Host>(simulation_, addresses, random_.derive(name));
  machine.site =
      require(internet_->attach(machine.host->port(), net::Site{name, data_.regions().find(region).value(),
                                                                data_.access(access), addresses}),
              "attach");
  start(machine);
  servers_.push_back(std::move(machine));
}

std::string PairWorld::renumber(Machine& machine) {
  ++machine.leases;
  const auto v4 = boost::asio::ip::make_address(gateway_v4(machine.number, machine.leases));
  const auto v6 = boost::asio::ip::make_address(home_v6(machine.number, machine.leases));
  const bool translated = !machine.gateway->outside_addresses().empty();
  std::vector<io::IpAddress> own, outside;
  for (const auto& address : machine.host->addresses()) {
    outside.push_back(address.is_v4() ? v4 : v6);
    own.push_back(address.is_v4() && translated ? address : outside.back());
  }
  if (translated) machine.gateway->change_address({v4});
  machine.host->readdress(0, own);
  require(machine.gateway->readdress(machine.host->port(), own), "readdress");
  require(internet_->readdress(machine.site, outside), "readdress");
  std::string text;
  for (const auto& address : outside) text += (text.empty() ? "" : " ") + address.to_string();
  return text;
}

Machine PairWorld::make_peer(const std::string& name, const PeerKind& kind, std::size_t number) {
  const auto behaviour = parse_nat(kind.nat);
  if (!behaviour) throw std::logic_error("no such NAT: " + kind.nat);

  std::vector<io::IpAddress> own;      // of the host
  std::vector<io::IpAddress> outside;  // as the Internet routes them
  std::optional<io::IpAddress> translated;
  if (has(scenario_.ip, 4)) {
    const auto gateway = boost::asio::ip::make_address(gateway_v4(number));
    outside.push_back(gateway);
    own.push_back(behaviour->translate == nat::Translate::on ? boost::asio::ip::make_address(lan_v4(number))
                                                             : gateway);
    if (behaviour->translate == nat::Translate::on) translated = gateway;
  }
  if (has(scenario_.ip, 6)) {
    own.push_back(boost::asio::ip::make_address(home_v6(number)));
    outside.push_back(own.back());
  }

  Machine machine;
  machine.name = name;
  machine.number = number;
  machine.host = std::make_unique<net::Host>(simulation_, own, random_.derive(name));
  machine.gateway =
      std::make_unique<net::NatBox>(simulation_, *behaviour, translated, random_.derive("gateway/" + name));
  require(machine.gateway->attach(machine.host->port(), own, net::LinkProfile{}), "attach");
  machine.site = require(
      internet_->attach(machine.gateway->outside(), net::Site{name, data_.regions().find(kind.region).value(),
                                                              data_.access(kind.access), outside}),
      "attach");
  start(machine);
  return machine;
}

}  // namespace flaresim::world
