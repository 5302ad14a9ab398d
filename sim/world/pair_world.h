#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocols/node/node.h"
#include "sim/engine/simulation.h"
#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "sim/net/nat_box.h"
#include "sim/world/draw.h"
#include "sim/world/scenario.h"
#include "sim/world/world_data.h"

namespace flaresim::world {

/// A host on the Internet with a peer on it, behind a gateway or not.
struct Machine {
  std::string name;
  std::unique_ptr<net::Host> host;
  std::unique_ptr<net::NatBox> gateway;  ///< null for public servers
  std::unique_ptr<node::Node> node;
  net::Internet::SiteId site = 0;
  std::size_t number = 0;  ///< of a peer; its addresses follow from it
  std::size_t leases = 0;  ///< how often it was renumbered
};

/// The small world of one trial: two peers behind their gateways, relays, observers, and the Internet
/// between.
///
/// 1. Everything in it follows from the scenario, the draw and the random stream.
/// 2. A and B listen on TCP port 4001 of every IP version that the scenario names; so do relays and
/// observers.
/// 3. `shut_down` ends all peers and unwinds their coroutines; the counters of a well-behaved world are then
/// zero.
class PairWorld {
 public:
  static constexpr std::uint16_t port = 4001;

  /// Lets an onlooker put its hooks into the profile of a machine's peer, before there is one.
  using Tap = std::function<void(const std::string& machine, swarm::SwarmProfile& profile)>;

  PairWorld(const Scenario& scenario, const WorldData& data, const Draw& drawn, const io::Random& random,
            engine::SimulationOptions options = {}, const node::NodeProfile& profile = {},
            const Tap& tap = {});
  ~PairWorld();
  PairWorld(const PairWorld&) = delete;
  PairWorld& operator=(const PairWorld&) = delete;

  engine::Simulation& simulation() { return simulation_; }
  const engine::Simulation& simulation() const { return simulation_; }
  net::Internet& internet() { return *internet_; }
  Machine& a() { return a_; }
  Machine& b() { return b_; }
  /// Relays first, then observers.
  std::vector<Machine>& servers() { return servers_; }
  Machine& relay() { return servers_[relay_]; }
  std::size_t relays() const { return relays_; }
  const std::vector<Transport>& transports() const { return scenario_.transports; }

  /// Where a machine listens with this transport, without its peer id.
  std::vector<multiformats::Multiaddr> addresses_of(const Machine& machine, Transport transport) const;

  /// Another lease for a peer's home: an outside IPv4 address and an IPv6 prefix that nobody had before. The
  /// host has the new addresses at once. Says what they are.
  std::string renumber(Machine& machine);

  void for_each_machine(const std::function<void(Machine&)>& visit);
  void shut_down();

 private:
  struct Placement;
  void add_server(const std::string& name, std::size_t number, const std::string& region,
                  const std::string& access);
  Machine make_peer(const std::string& name, const PeerKind& kind, std::size_t number);
  void start(Machine& machine);

  const Scenario& scenario_;
  const WorldData& data_;
  io::Random random_;
  node::NodeProfile profile_;
  Tap tap_;
  engine::Simulation simulation_;
  std::unique_ptr<net::Internet> internet_;
  std::vector<Machine> servers_;
  Machine a_;
  Machine b_;
  std::size_t relay_;
  std::size_t relays_;
};

}  // namespace flaresim::world
