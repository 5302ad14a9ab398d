#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <deque>
#include <limits>
#include <stdexcept>

#include "protocols/node/node.h"
#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "tests/bench/measure.h"

namespace flaresim::bench {
namespace {

using multiformats::Multiaddr;

/// Public dual-stack machines with a peer that listens on TCP port 4001 of both families, in one Internet.
class Crowd {
 public:
  struct Machine {
    std::unique_ptr<net::Host> host;
    std::unique_ptr<node::Node> node;
    net::Internet::SiteId site = 0;
  };

  Crowd() : internet_(simulation_, {{std::chrono::milliseconds(20)}}, random_.derive("internet")) {}
  ~Crowd() {
    for (auto& machine : machines_) machine.node->shut_down();
    simulation_.drain();
    for (auto& machine : machines_) machine.node.reset();
    simulation_.drain();
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  Machine& add(const node::NodeProfile& profile = {}) {
    const auto number = static_cast<std::uint32_t>(machines_.size());
    const auto name = fmt::format("machine/{}", number);
    const std::vector<io::IpAddress> addresses{
        boost::asio::ip::address_v4((84u << 24) + number + 1),
        boost::asio::ip::make_address(fmt::format("2a02:8071:{:x}:{:x}::10", number >> 16, number & 0xffff))};
    auto& machine = machines_.emplace_back();
    machine.host = std::make_unique<net::Host>(simulation_, addresses, random_.derive(name));
    machine.site = internet_.attach(machine.host->port(), {name, 0, {}, addresses}).value();
    auto identity = random_.derive(name + "/identity");
    machine.node =
        std::make_unique<node::Node>(*machine.host, crypto::PrivateKey::generate(identity), profile);
    for (const char* any : {"/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"})
      machine.node->swarm().listen(Multiaddr::from_string(any).value()).value();
    return machine;
  }

  std::vector<Multiaddr> addresses_of(const Machine& machine) const {
    std::vector<Multiaddr> addresses;
    for (const auto& address : machine.host->addresses())
      addresses.push_back(Multiaddr::from_endpoint({address, 4001}, multiformats::Transport::tcp));
    return addresses;
  }

  engine::Simulation& simulation() { return simulation_; }
  net::Internet& internet() { return internet_; }

 private:
  io::Random random_{1};
  engine::Simulation simulation_;
  net::Internet internet_;
  std::deque<Machine> machines_;
};

void report(benchmark::State& state, const Memory& before, const Memory& after, std::size_t of) {
  state.counters["heap_bytes"] = (after.heap - before.heap) / static_cast<double>(of);
  state.counters["resident_bytes"] = (after.resident - before.resident) / static_cast<double>(of);
}

void idle_hosts(benchmark::State& state, const Sizes& sizes) {
  for (auto _ : state) {
    const auto before = memory_now();
    Crowd crowd;
    for (std::size_t i = 0; i < sizes.idle_hosts; ++i) crowd.add();
    crowd.simulation().run_for(std::chrono::minutes(1));
    report(state, before, memory_now(), sizes.idle_hosts);
  }
}

/// A relay that takes all pairs, neighbours that they are, and keeps them connected.
node::NodeProfile large_relay() {
  node::NodeProfile profile;
  profile.relay.service.max_reservations = std::numeric_limits<std::size_t>::max();
  profile.relay.service.max_reservations_per_ip = std::numeric_limits<std::size_t>::max();
  profile.relay.service.limit = {std::chrono::hours(1), 1 << 20};
  return profile;
}

using Pairs = std::vector<std::pair<Crowd::Machine*, Crowd::Machine*>>;

io::Task<> reserve_and_dial(Crowd& crowd, Crowd::Machine& a, Crowd::Machine& b, Crowd::Machine& relay,
                            std::size_t& relayed) {
  const auto at = crowd.addresses_of(relay);
  if (!co_await b.node->relay_client().reserve(relay.node->id(), at)) throw std::logic_error("reserve");
  const auto circuit =
      at.front().with_peer(relay.node->id()).encapsulate(Multiaddr::circuit()).with_peer(b.node->id());
  swarm::DialRequest request{b.node->id(), {circuit}, false, std::nullopt, {}};
  const auto dial = co_await a.node->swarm().dial(std::move(request));
  if (!dial.connection) throw std::logic_error("dial over the relay");
  ++relayed;
}

/// One pair after the other: a host upgrades only so many inbound connections at a time.
io::Task<> connect_all(Crowd& crowd, const Pairs& pairs, Crowd::Machine& relay, std::size_t& relayed) {
  for (const auto& [a, b] : pairs) co_await reserve_and_dial(crowd, *a, *b, relay, relayed);
}

/// What a pair costs on top of its two idle hosts: three connections of TCP, Noise and yamux, six ends, with a
/// relayed one inside. No packet passes between the two directly, so that it stays relayed; measured when all
/// attempts to punch have been given up.
void relayed_pairs(benchmark::State& state, const Sizes& sizes) {
  for (auto _ : state) {
    Crowd crowd;
    auto& relay = crowd.add(large_relay());
    relay.node->start_relay_service();
    Pairs pairs;
    for (std::size_t i = 0; i < sizes.relayed_pairs; ++i) {
      auto& a = crowd.add();
      auto& b = crowd.add();
      crowd.internet().cut(a.site, b.site);
      crowd.internet().cut(b.site, a.site);
      pairs.emplace_back(&a, &b);
    }
    crowd.simulation().run_for(std::chrono::seconds(1));

    const auto before = memory_now();
    std::size_t relayed = 0;
    io::spawn(crowd.simulation().executor(), connect_all(crowd, pairs, relay, relayed));
    crowd.simulation().run_for(std::chrono::minutes(5));
    for (const auto& [a, b] : pairs) {
      const auto connection = a->node->swarm().connection_to(b->node->id());
      if (!connection || a->node->swarm().direct_connection_to(b->node->id()))
        throw std::logic_error("not relayed");
    }
    if (relayed != sizes.relayed_pairs) throw std::logic_error("a pair is missing");
    report(state, before, memory_now(), sizes.relayed_pairs);
  }
}

/// Dials every peer that was added later.
io::Task<> dial_over(multiformats::Transport transport, const std::vector<Crowd::Machine*>& machines,
                     std::size_t from) {
  for (std::size_t to = from + 1; to < machines.size(); ++to) {
    const io::Endpoint remote{machines[to]->host->addresses().front(), 4001};
    swarm::DialRequest request{
        machines[to]->node->id(), {Multiaddr::from_endpoint(remote, transport)}, false, std::nullopt, {}};
    const auto dial = co_await machines[from]->node->swarm().dial(std::move(request));
    if (!dial.connection) throw std::logic_error("dial");
  }
}

/// Every node is connected to every other, once. What a connection costs on top of the nodes, both of its ends.
void connections_over(multiformats::Transport transport, benchmark::State& state, const Sizes& sizes) {
  for (auto _ : state) {
    Crowd crowd;
    std::vector<Crowd::Machine*> machines;
    for (std::size_t i = 0; i < sizes.meshed_hosts; ++i) {
      machines.push_back(&crowd.add());
      const auto everywhere = Multiaddr::from_string("/ip4/0.0.0.0/udp/4001/quic-v1").value();
      machines.back()->node->swarm().listen(everywhere).value();
    }
    crowd.simulation().run_for(std::chrono::seconds(1));

    const auto before = memory_now();
    for (std::size_t i = 0; i < machines.size(); ++i)
      io::spawn(crowd.simulation().executor(), dial_over(transport, machines, i));
    crowd.simulation().run_for(std::chrono::minutes(2));
    std::size_t ends = 0;
    for (const auto* machine : machines) ends += machine->node->swarm().connections().size();
    const auto connections = machines.size() * (machines.size() - 1) / 2;
    if (ends != 2 * connections) throw std::logic_error("a connection is missing, or there twice");
    state.counters["connections"] = static_cast<double>(connections);
    report(state, before, memory_now(), connections);
  }
}

void quic_connections(benchmark::State& state, const Sizes& sizes) {
  connections_over(multiformats::Transport::quic_v1, state, sizes);
}
void tcp_connections(benchmark::State& state, const Sizes& sizes) {
  connections_over(multiformats::Transport::tcp, state, sizes);
}

}  // namespace

void register_memory(const Sizes& sizes) {
  benchmark::RegisterBenchmark("idle_hosts", idle_hosts, sizes)
      ->Iterations(1)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("quic_connections", quic_connections, sizes)
      ->Iterations(1)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("tcp_connections", tcp_connections, sizes)
      ->Iterations(1)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("relayed_pairs", relayed_pairs, sizes)
      ->Iterations(1)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
