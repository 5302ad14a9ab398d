#include "tests/protocols/swarm/swarm_world.h"

#include <stdexcept>

#include "tests/protocols/support/pipe.h"

namespace flaresim::swarm {

using multiformats::Multiaddr;
using multiformats::PeerId;

namespace {

crypto::PrivateKey key_of(std::uint64_t number) {
  auto random = io::Random(number).derive("identity");
  return crypto::PrivateKey::generate(random);
}

io::Task<> accept(Swarm& swarm, Circuit circuit) {
  (void)co_await swarm.accept_circuit(std::move(circuit), parsed(circuit_address));
}

io::Task<io::Result<Circuit>> dial_pipe(support::TestScheduler& scheduler, Swarm& target,
                                        CircuitLimit limit) {
  const auto ends = support::pipe(scheduler, {.latency = std::chrono::milliseconds(30)});
  io::spawn(scheduler.executor(), accept(target, Circuit{ends.b, limit}));
  co_return Circuit{ends.a, limit};
}

}  // namespace

Party::Party(support::MemoryHost& on, std::uint64_t number, const SwarmProfile& profile)
    : host(on), key_number(number), swarm(std::make_unique<Swarm>(on, key_of(number), profile)) {
  EXPECT_TRUE(swarm->listen(parsed("/ip4/0.0.0.0/tcp/4001")));
}

Multiaddr Party::address() const {
  return Multiaddr::from_endpoint({host.outside(), 4001}, multiformats::Transport::tcp);
}

ConnectionPtr Party::connection() const {
  const auto all = swarm->connections();
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? nullptr : all.front();
}

SwarmWorld::~SwarmWorld() {
  for (const auto& party : parties) party->swarm->shut_down();
  scheduler.settle();
  for (const auto& party : parties) {
    EXPECT_EQ(party->swarm->connections().size(), 0u);
    EXPECT_EQ(party->host.listeners(), 0u);
  }
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

Party& SwarmWorld::add(const std::string& address, const SwarmProfile& profile, const std::string& outside) {
  auto& host = internet.add_host(address, outside);
  parties.push_back(std::make_unique<Party>(host, parties.size() + 1, profile));
  return *parties.back();
}

Party& SwarmWorld::add_twin(const Party& of, const std::string& address) {
  parties.push_back(std::make_unique<Party>(internet.add_host(address), of.key_number, SwarmProfile()));
  return *parties.back();
}

ConnectionPtr SwarmWorld::connect(Party& from, Party& to) {
  const auto report = run_dial(from, request_for(to.id(), {to.address().to_string()}));
  if (!report.connection) throw std::runtime_error(report.error.message());
  scheduler.run_for(std::chrono::seconds(1));
  return report.connection;
}

void SwarmWorld::join_by_circuits(Party& from, Party& to, CircuitLimit limit) {
  from.swarm->set_circuit_dialler(
      [this, &to, limit](Multiaddr, PeerId) { return dial_pipe(scheduler, *to.swarm, limit); });
}

DialRequest request_for(const PeerId& to, std::vector<std::string> addresses) {
  DialRequest request{to, {}, false};
  for (const auto& address : addresses) request.addresses.push_back(parsed(address));
  return request;
}

Multiaddr parsed(const std::string& address) { return Multiaddr::from_string(address).value(); }

}  // namespace flaresim::swarm
