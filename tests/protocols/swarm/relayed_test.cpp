#include <gmock/gmock.h>

#include "tests/protocols/support/error_of.h"
#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using multiformats::PeerId;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const CircuitLimit limited{120s, 128 * 1024};

io::Task<io::Result<Circuit>> refuse() { co_return io::fail(std::errc::connection_refused); }

/// Dials through relays come to nothing, and leave the time at which they began.
void note_circuit_dials(Party& from, std::vector<io::TimePoint>& times) {
  from.swarm->set_circuit_dialler([&from, &times](Multiaddr, PeerId) {
    times.push_back(from.swarm->scheduler().now());
    return refuse();
  });
}

io::Task<> ignore(IncomingStream) { co_return; }

/// A connection between both that is relayed.
ConnectionPtr connect_relayed(SwarmWorld& world, Party& from, Party& to, CircuitLimit limit) {
  world.join_by_circuits(from, to, limit);
  const auto report = world.run_dial(from, request_for(to.id(), {circuit_address}));
  EXPECT_TRUE(report.connection) << report.error.message();
  world.scheduler.run_for(1s);
  return report.connection;
}

TEST(RelayedDial, WaitsWhileADirectAddressMayYetSucceed) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  std::vector<io::TimePoint> times;
  note_circuit_dials(a, times);
  world.run_dial(a, request_for(world.add("2.2.2.2").id(), {circuit_address, "/ip4/5.5.5.5/tcp/4001"}));
  EXPECT_THAT(times, ElementsAre(io::TimePoint(500ms)));
}

TEST(RelayedDial, BeginsAsSoonAsAllDirectAddressesHaveFailed) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  std::vector<io::TimePoint> times;
  note_circuit_dials(a, times);
  world.run_dial(a, request_for(b.id(), {circuit_address, "/ip4/2.2.2.2/tcp/9", "/ip4/2.2.2.2/tcp/10"}));
  EXPECT_THAT(times, ElementsAre(io::TimePoint(40ms)));  // a round trip for each refusal
}

TEST(RelayedDial, BeginsAtOnceWithoutADirectAddress) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  std::vector<io::TimePoint> times;
  note_circuit_dials(a, times);
  world.run_dial(a, request_for(world.add("2.2.2.2").id(), {circuit_address, "/dns4/example.com/tcp/4001"}));
  EXPECT_THAT(times, ElementsAre(io::TimePoint(0ms)));
}

TEST(RelayedDial, IsNotMadeOnceADirectAddressHasSucceeded) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  std::vector<io::TimePoint> times;
  note_circuit_dials(a, times);
  const auto report = world.run_dial(a, request_for(b.id(), {circuit_address, b.address().to_string()}));
  EXPECT_NE(report.connection, nullptr);
  world.scheduler.run_for(2s);
  EXPECT_THAT(times, IsEmpty());
}

TEST(RelayedDial, BothEndsKnowThatTheConnectionIsRelayedAndHowItIsLimited) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  connect_relayed(world, a, b, limited);
  for (const auto* party : {&a, &b}) {
    const auto connection = party->connection();
    EXPECT_TRUE(connection->relayed());
    EXPECT_TRUE(connection->limited());
    EXPECT_EQ(connection->facts().limit.bytes, 128u * 1024);
  }
  EXPECT_EQ(a.connection()->facts().remote_address, parsed(circuit_address).with_peer(b.id()));
  EXPECT_EQ(b.connection()->facts().remote_address, parsed(circuit_address));
}

TEST(DirectOnly, IsNotContentWithARelayedConnection) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto relayed = connect_relayed(world, a, b, limited);
  EXPECT_EQ(a.swarm->direct_connection_to(b.id()), nullptr);
  auto request = request_for(b.id(), {circuit_address, b.address().to_string()});
  request.direct_only = true;
  const auto report = world.run_dial(a, std::move(request));
  ASSERT_NE(report.connection, nullptr);
  EXPECT_FALSE(report.connection->relayed());
  EXPECT_NE(report.connection, relayed);
}

TEST(DirectOnly, DoesNotDialThroughRelays) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  std::vector<io::TimePoint> times;
  note_circuit_dials(a, times);
  auto request = request_for(b.id(), {circuit_address});
  request.direct_only = true;
  EXPECT_EQ(world.run_dial(a, std::move(request)).error, Error::no_transport);
  EXPECT_THAT(times, IsEmpty());
}

TEST(BestConnection, IsDirectBeforeRelayedUnlimitedBeforeLimitedOlderBeforeYounger) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto best = [&] { return a.swarm->connection_to(b.id()); };
  const auto newest = [&] { return a.swarm->connections().back(); };
  const auto gone = std::make_error_code(std::errc::operation_canceled);

  connect_relayed(world, b, a, limited);
  const auto first_limited = newest();
  EXPECT_EQ(best(), first_limited);
  connect_relayed(world, world.add_twin(b, "3.3.3.1"), a, limited);
  EXPECT_EQ(best(), first_limited);
  connect_relayed(world, world.add_twin(b, "3.3.3.2"), a, {});
  const auto first_unlimited = newest();
  EXPECT_EQ(best(), first_unlimited);
  connect_relayed(world, world.add_twin(b, "3.3.3.3"), a, {});
  EXPECT_EQ(best(), first_unlimited);
  world.connect(world.add_twin(b, "3.3.3.4"), a);
  const auto first_direct = newest();
  EXPECT_EQ(best(), first_direct);
  world.connect(world.add_twin(b, "3.3.3.5"), a);
  EXPECT_EQ(best(), first_direct);
  EXPECT_EQ(a.swarm->direct_connection_to(b.id()), first_direct);

  newest()->close(gone);
  first_direct->close(gone);
  EXPECT_EQ(best(), first_unlimited);
  EXPECT_EQ(a.swarm->direct_connection_to(b.id()), nullptr);
}

TEST(LimitedConnection, CarriesOnlyProtocolsThatOptedIn) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/heavy", ignore);
  b.swarm->handle("/light", ignore, OverLimited::yes);
  const auto connection = connect_relayed(world, a, b, limited);
  const auto heavy = world.run(a.swarm->open_stream(b.id(), {"/heavy"}));
  EXPECT_EQ(error_of(heavy), Error::limited_connection);
  EXPECT_TRUE(world.run(a.swarm->open_stream(b.id(), {"/light"}, OverLimited::yes)));
  // The remote does not rely on the caller.
  const auto forced = world.run(connection->open_stream({"/heavy"}));
  EXPECT_EQ(error_of(forced), negotiation::Error::no_protocol);
}

TEST(UnlimitedCircuit, CarriesEveryProtocol) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/heavy", ignore);
  connect_relayed(world, a, b, {});
  EXPECT_TRUE(world.run(a.swarm->open_stream(b.id(), {"/heavy"})));
}

}  // namespace
}  // namespace flaresim::swarm
