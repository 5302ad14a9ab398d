#include "protocols/ping/ping.h"

#include <gmock/gmock.h>

#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::ping {
namespace {

using namespace std::chrono_literals;
using support::start;
using support::World;

struct PingTest : testing::Test {
  World world;
  support::Peer& a = world.add("1.1.1.1");
  support::Peer& b = world.add("2.2.2.2");
  swarm::ConnectionPtr connection = world.connect(a, b);
};

TEST_F(PingTest, MeasuresTheRoundTripAndNotTheNegotiation) {
  EXPECT_EQ(world.run(a.node.ping().ping(connection)).value(), 20ms);
}

TEST_F(PingTest, AddsBothDirectionsOfAnAsymmetricPath) {
  auto& c = world.add("3.3.3.3");
  world.internet.set_latency(a.host, c.host, 5ms);
  world.internet.set_latency(c.host, a.host, 70ms);
  const auto to_c = world.connect(a, c);
  EXPECT_EQ(world.run(a.node.ping().ping(to_c)).value(), 75ms);
}

TEST_F(PingTest, EchoesPayloadAfterPayloadOnOneStream) {
  const auto stream = world.open(a, b, ping_protocol);
  for (std::uint8_t round = 0; round < 3; ++round) {
    const io::Bytes payload(32, round);
    ASSERT_TRUE(world.run(support::write_all(stream, payload)));
    io::Bytes echo(32, 0xff);
    ASSERT_TRUE(world.run(io::read_exactly(*stream, echo)));
    EXPECT_EQ(echo, payload);
  }
}

TEST_F(PingTest, WaitsForThe32ndByte) {
  const auto stream = world.open(a, b, ping_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, io::Bytes(31, 1))));
  io::Bytes echo(32);
  const auto reading = start(world.scheduler, io::read_exactly(*stream, echo));
  world.scheduler.run_for(5s);
  EXPECT_FALSE(reading.done());
  ASSERT_TRUE(world.run(support::write_all(stream, io::Bytes(1, 2))));
  world.scheduler.run_for(1s);
  ASSERT_TRUE(reading.done());
  EXPECT_EQ(echo.back(), 2);
}

TEST_F(PingTest, EndsTheStreamWhenTheRemoteHasEndedItsDirection) {
  const auto stream = world.open(a, b, ping_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, io::Bytes(31, 1))));
  ASSERT_TRUE(world.run(stream->close_write()));
  const auto rest = world.run(support::read_all(stream));
  ASSERT_TRUE(rest) << rest.error().message();
  EXPECT_TRUE(rest->empty());
}

TEST_F(PingTest, AnswersTwoStreamsOfAPeerAndResetsTheThird) {
  const auto first = world.open(a, b, ping_protocol);
  const auto second = world.open(a, b, ping_protocol);
  const auto third = world.open(a, b, ping_protocol);
  const auto refused = world.run(support::read_all(third));
  EXPECT_EQ(error_of(refused), std::errc::connection_reset);
  ASSERT_TRUE(world.run(support::write_all(second, io::Bytes(32, 7))));
  io::Bytes echo(32);
  EXPECT_TRUE(world.run(io::read_exactly(*second, echo)));

  // A place is free again after one has ended.
  ASSERT_TRUE(world.run(first->close_write()));
  ASSERT_TRUE(world.run(support::read_all(first)));
  EXPECT_TRUE(world.run(a.node.ping().ping(connection)));
}

TEST_F(PingTest, AnsweringEndsAfter30Seconds) {
  const auto stream = world.open(a, b, ping_protocol);
  const auto began = world.scheduler.now();
  const auto ended = world.run(support::read_all(stream));
  EXPECT_EQ(error_of(ended), std::errc::connection_reset);
  // The handler began when the negotiation reached it: two delays of 10 ms before `open` returned, or less.
  EXPECT_NEAR(std::chrono::duration<double>(world.scheduler.now() - began).count(), 30.0, 0.025);
}

TEST_F(PingTest, FailsOnAWrongEcho) {
  b.swarm().handle(std::string(ping_protocol), support::answers(io::Bytes(32, 9)));
  const auto result = world.run(a.node.ping().ping(connection));
  EXPECT_EQ(error_of(result), Error::wrong_echo);
  world.scheduler.run_for(1s);
  EXPECT_EQ(connection->streams(), 0u);
}

TEST_F(PingTest, FailsAfterTenSecondsOfSilence) {
  b.swarm().handle(std::string(ping_protocol), support::silence());
  const auto began = world.scheduler.now();
  const auto result = world.run(a.node.ping().ping(connection));
  EXPECT_EQ(error_of(result), std::errc::timed_out);
  EXPECT_EQ(world.scheduler.now() - began, 10s + 20ms);
}

TEST_F(PingTest, RunsOnceAtATimeForEachPeer) {
  const auto first = start(world.scheduler, a.node.ping().ping(connection));
  world.scheduler.settle();
  const auto second = world.run(a.node.ping().ping(connection));
  EXPECT_EQ(error_of(second), Error::already_pinging);
  world.scheduler.run_for(1s);
  EXPECT_EQ(first.value().value(), 20ms);
}

}  // namespace
}  // namespace flaresim::ping
