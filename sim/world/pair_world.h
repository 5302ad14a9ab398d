#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocols/node/node.h"
#include "sim/engine/simulation.h"
#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "sim/net/nat_box.h"
#include "sim/world/address_plan.h"
#include "sim/world/draw.h"
#include "sim/world/gateway_box.h"
#include "sim/world/gateway_services.h"
#include "sim/world/geography.h"
#include "sim/world/scenario.h"
#include "sim/world/world_data.h"

namespace flaresim::world {

/// A host with a peer on it, on the Internet or behind gateways.
struct Machine {
  std::string name;
  std::unique_ptr<net::Host> host;
  std::unique_ptr<node::Node> node;  ///< null until it boots
  /// Where it is ever reached: a server's own, those of a peer's outermost gateways.
  std::vector<net::Internet::SiteId> sites{};
  /// An interface of a peer's host behind one of its gateways.
  struct Place {
    std::size_t interface = 0;
    std::size_t gateway = 0;  ///< its number
    std::vector<io::IpAddress> addresses{};
  };
  std::vector<Place> places{};    ///< all that it is ever at; the first ones in the order of its interfaces
  std::vector<std::size_t> at{};  ///< numbers of those where its interfaces are now
};

/// A NAT or firewall on a peer's way to the Internet.
struct Gateway {
  std::string name;
  GatewayKind kind = GatewayKind::nat;
  std::unique_ptr<GatewayBox> box;
  std::unique_ptr<GatewayServices> services{};  ///< null for most
  std::optional<std::size_t> behind{};          ///< number of another one; nothing: the Internet
  net::Internet::SiteId site = 0;               ///< of the outermost gateway on the way
};

/// The small world of one trial: two peers behind their gateways, relays, observers, and the Internet
/// between. From a cold start, the relays are public nodes that become relays, or not, of their own accord.
///
/// 1. Everything in it follows from the scenario, the draw and the random stream.
/// 2. A and B listen on TCP port 4001 of every IP version that the scenario names; so do relays and
/// observers.
/// 3. All nodes are there from the beginning. From a cold start none is: public nodes boot one after the other over
/// the first minute, the bootstrap nodes first, and A and B when `warm_up` has run, five minutes into the world.
/// 4. `shut_down` ends all peers and unwinds their coroutines; the counters of a well-behaved world are then
/// zero.
class PairWorld {
 public:
  static constexpr std::uint16_t port = 4001;

  /// Lets an onlooker put its hooks into the profile of a machine's peer, before there is one.
  using Tap = std::function<void(const std::string& machine, swarm::SwarmProfile& profile)>;
  /// What nodes tell of themselves (`swarm::Swarm::trace`).
  using Trace =
      std::function<void(const std::string& machine, std::string_view what, const std::string& detail)>;

  PairWorld(const Scenario& scenario, const WorldData& data, Geography& geography, const Draw& drawn,
            const io::Random& random, engine::SimulationOptions options = {},
            const node::NodeProfile& profile = {}, const Tap& tap = {});
  ~PairWorld();
  PairWorld(const PairWorld&) = delete;
  PairWorld& operator=(const PairWorld&) = delete;

  /// Runs up to where the trial begins, and lets A and B boot.
  void warm_up();
  /// When the trial begins: when A and B boot.
  io::TimePoint began() const;
  io::Duration since_began() const { return simulation_.now() - began(); }
  /// Also of nodes that are yet to boot.
  void on_trace(Trace trace) { traces_.push_back(std::move(trace)); }

  engine::Simulation& simulation() { return simulation_; }
  const engine::Simulation& simulation() const { return simulation_; }
  net::Internet& internet() { return *internet_; }
  Machine& a() { return a_; }
  Machine& b() { return b_; }
  /// Each after the one that it is behind.
  std::vector<Gateway>& gateways() { return gateways_; }
  /// Relays first, then observers.
  std::vector<Machine>& servers() { return servers_; }
  Machine& relay() { return servers_[relay_]; }
  std::size_t relays() const { return relays_; }
  /// Those on which a peer has reservations now.
  std::vector<Machine*> relays_of(const Machine& machine);
  /// Null when no server has this peer id.
  Machine* server(const multiformats::PeerId& id);
  const std::string& region_of(const Machine& server) const;
  /// A host that nobody has heard of; of cold starts.
  net::Host& stranger() { return *stranger_; }
  const std::vector<Transport>& transports() const { return scenario_.transports; }

  /// Where a machine listens with this transport, without its peer id.
  std::vector<multiformats::Multiaddr> addresses_of(const Machine& machine, Transport transport) const;

  /// The gateway of that name, or else, of the peer `a` or `b`, the one with a table that is nearest to its first
  /// interface now. std::logic_error when there is none.
  Gateway& gateway(std::string_view name);
  /// Another lease for a gateway with a table: IPv4 addresses, and prefixes for the hosts inside, that nobody had
  /// before. Hosts have their new addresses at once, also those behind other gateways inside. Who has an IPv6 address
  /// from a CLAT, a DS-Lite home or an NPTv6 router keeps it. Says what the addresses are.
  std::string renumber(Gateway& gateway);
  /// Takes an interface of a peer to one of its other places, the one behind the gateway of that name, or behind the one
  /// that the peer `a` or `b` was behind at first. Says which addresses it has there.
  std::string move(Machine& machine, std::size_t interface, std::string_view to, const std::string& access);

  /// Those whose nodes have booted.
  void for_each_machine(const std::function<void(Machine&)>& visit);
  void shut_down();

 private:
  void add_gateways(const Draw& drawn, const std::vector<nat::Behaviour>& behaviours,
                    const AddressPlan& plan);
  void add_server(const std::string& name, const std::string& region, const std::string& access);
  Machine make_peer(const std::string& name, const Draw& drawn, const HostPlace& place,
                    const std::vector<std::vector<io::IpAddress>>& addresses);
  /// The link with the way between two regions added to it, as a tunnel has it.
  net::LinkProfile stretched(const std::string& access, const std::string& from, const std::string& to);
  net::Site site_of(const std::string& name, const std::string& region, const std::string& access,
                    std::vector<io::IpAddress> addresses);
  std::unique_ptr<net::Host> make_server_host(const std::string& name, std::size_t number,
                                              const std::string& region, const std::string& access,
                                              std::vector<net::Internet::SiteId>& sites);
  bool is_cold() const { return scenario_.discovery == Discovery::cold_start; }
  void start(Machine& machine, bool is_server);
  /// Starts a node that knows the bootstrap nodes that are there.
  void boot(Machine& machine, bool is_server);
  Gateway* named(std::string_view name);
  using Leases = std::map<io::IpAddress, io::IpAddress>;  ///< new addresses by old ones
  Leases leases_of(std::size_t gateway);
  io::IpAddress next_to(io::IpAddress address);
  void renew(Machine& machine, const Leases& leases);
  void renew(std::size_t gateway, const Leases& leases);

  const Scenario& scenario_;
  const WorldData& data_;
  Geography& geography_;
  io::Random random_;
  node::NodeProfile profile_;
  Tap tap_;
  std::vector<Trace> traces_;
  engine::Simulation simulation_;
  std::vector<std::size_t> regions_;  ///< where there are sites, as the geography counts them
  std::unique_ptr<net::Internet> internet_;
  std::vector<Gateway> gateways_;
  AddressPlan plan_;
  std::set<io::IpAddress> given_out_;  ///< by new leases
  std::vector<Machine> servers_;
  Machine a_;
  Machine b_;
  std::unique_ptr<net::Host> stranger_;
  std::vector<std::string> relay_regions_;
  std::size_t relay_;
  std::size_t relays_;
};

}  // namespace flaresim::world
