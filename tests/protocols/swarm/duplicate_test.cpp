#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using multiformats::Transport;
using security::Role;
using testing::SizeIs;

/// Two parties that listen on TCP and QUIC. Connections between them appear in whatever order a test wants, within
/// the time in which they belong to a punch.
struct Duplicates : testing::Test {
  SwarmWorld world;
  Party& a = world.add("1.1.1.1");
  Party& b = world.add("2.2.2.2");

  Duplicates() {
    for (auto* party : {&a, &b}) EXPECT_TRUE(party->swarm->listen(parsed("/ip4/0.0.0.0/udp/4001/quic-v1")));
  }

  static multiformats::Multiaddr address_of(const Party& party, Transport transport) {
    return multiformats::Multiaddr::from_endpoint({party.host.outside(), 4001}, transport);
  }
  /// A dial over these transports, which no connection over others satisfies if there is only one.
  static DialRequest punch(const Party& to, Role role, std::vector<Transport> transports) {
    DialRequest request{to.id(), {}, true, role, 10s};
    for (const auto transport : transports) request.addresses.push_back(address_of(to, transport));
    if (transports.size() == 1) request.over = transports[0];
    return request;
  }
  /// What is left, as both ends see it: one connection, the same.
  void expect_one(Transport transport, const Party& client) {
    world.scheduler.run_for(1s);
    for (const auto* party : {&a, &b}) {
      ASSERT_THAT(party->swarm->connections(), SizeIs(1)) << (party == &a ? "a" : "b");
      const auto& facts = party->connection()->facts();
      EXPECT_EQ(facts.remote_address.transport(), transport);
      EXPECT_EQ(facts.role, party == &client ? Role::client : Role::server);
    }
  }
  /// Both connect to the other over QUIC, the second one later by this.
  void cross(Party& first, Party& second, io::Duration later) {
    const auto from_first = world.dial(first, punch(second, Role::client, {Transport::quic_v1}));
    world.scheduler.run_for(later);
    const auto from_second = world.dial(second, punch(first, Role::client, {Transport::quic_v1}));
    world.scheduler.run_for(5s);
    EXPECT_TRUE(from_first.done() && from_second.done());
  }
  Party& lesser() { return a.id() < b.id() ? a : b; }
};

TEST_F(Duplicates, QuicIsKeptWhenTcpWasFirst) {
  const auto tcp = world.dial(a, punch(b, Role::client, {Transport::tcp}));
  const auto known = world.dial(b, punch(a, Role::server, {Transport::tcp}));
  world.scheduler.run_for(1s);
  expect_one(Transport::tcp, a);
  const auto quic = world.dial(a, punch(b, Role::client, {Transport::quic_v1}));
  expect_one(Transport::quic_v1, a);
}

TEST_F(Duplicates, QuicIsKeptWhenItWasFirst) {
  const auto quic = world.dial(a, punch(b, Role::client, {Transport::quic_v1}));
  const auto noise = world.dial(b, punch(a, Role::server, {Transport::quic_v1}));
  expect_one(Transport::quic_v1, a);
  const auto tcp = world.dial(a, punch(b, Role::client, {Transport::tcp}));
  world.scheduler.run_for(1s);
  ASSERT_TRUE(tcp.done());
  expect_one(Transport::quic_v1, a);
}

TEST_F(Duplicates, QuicIsKeptThatTheOtherSideDialledWhenTcpWasFirst) {
  const auto tcp = world.dial(a, punch(b, Role::client, {Transport::tcp}));
  const auto known = world.dial(b, punch(a, Role::server, {Transport::tcp}));
  world.scheduler.run_for(1s);
  const auto quic = world.dial(b, punch(a, Role::client, {Transport::quic_v1}));
  expect_one(Transport::quic_v1, b);
}

TEST_F(Duplicates, QuicIsKeptThatTheOtherSideDialledWhenItWasFirst) {
  const auto quic = world.dial(b, punch(a, Role::client, {Transport::quic_v1}));
  const auto noise = world.dial(a, punch(b, Role::server, {Transport::quic_v1}));
  expect_one(Transport::quic_v1, b);
  const auto tcp = world.dial(a, punch(b, Role::client, {Transport::tcp}));
  expect_one(Transport::quic_v1, b);
}

TEST_F(Duplicates, OfTwoOverQuicTheOneWhoseClientHasTheLesserIdIsKept) {
  cross(a, b, 0ms);
  expect_one(Transport::quic_v1, lesser());
}

TEST_F(Duplicates, ThisHoldsHoweverTheyOverlap) {
  for (auto later = 1ms; later <= 40ms; ++later) {
    for (const bool a_is_first : {true, false}) {
      a_is_first ? cross(a, b, later) : cross(b, a, later);
      world.scheduler.run_for(1s);
      ASSERT_THAT(a.swarm->connections(), SizeIs(1)) << later.count();
      ASSERT_THAT(b.swarm->connections(), SizeIs(1)) << later.count();
      EXPECT_NE(a.connection()->facts().role, b.connection()->facts().role) << later.count();
      a.connection()->close(std::make_error_code(std::errc::operation_canceled));
      world.scheduler.run_for(20s);
    }
  }
}

/// A race of both transports, the datagrams slower and slower, across the instant at which both are through at once.
TEST_F(Duplicates, ARaceLeavesOneConnectionHoweverItEnds) {
  std::size_t quic = 0, tcp = 0;
  for (auto delay = 0us; delay <= 60ms; delay += 250us) {
    world.internet.datagram_delay = delay;
    const auto both = {Transport::tcp, Transport::quic_v1};
    const auto from_a = world.dial(a, punch(b, Role::client, both));
    const auto from_b = world.dial(b, punch(a, Role::server, both));
    world.scheduler.run_for(2s);
    ASSERT_THAT(a.swarm->connections(), SizeIs(1)) << delay.count();
    ASSERT_THAT(b.swarm->connections(), SizeIs(1)) << delay.count();
    const auto won = a.connection()->facts().remote_address.transport();
    EXPECT_EQ(b.connection()->facts().remote_address.transport(), won) << delay.count();
    ++(won == Transport::quic_v1 ? quic : tcp);
    a.connection()->close(std::make_error_code(std::errc::operation_canceled));
    world.scheduler.run_for(20s);
  }
  EXPECT_GT(quic, 20u);
  EXPECT_GT(tcp, 20u);
}

}  // namespace
}  // namespace flaresim::swarm
