#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

/// Two hosts, each with both families.
struct Pair : SmallWorld {
  Host& a = add_host("a", {ip("192.0.2.1"), ip("2001:db8:a::1")});
  Host& b = add_host("b", {ip("192.0.2.2"), ip("2001:db8:b::1")});
};

class TcpFamily : public testing::TestWithParam<bool> {
 protected:
  io::Endpoint of_a(std::uint16_t port) const { return at(GetParam() ? "2001:db8:a::1" : "192.0.2.1", port); }
  io::Endpoint of_b(std::uint16_t port) const { return at(GetParam() ? "2001:db8:b::1" : "192.0.2.2", port); }
  io::Endpoint any(std::uint16_t port) const { return at(GetParam() ? "::" : "0.0.0.0", port); }
  Pair world;
};

INSTANTIATE_TEST_SUITE_P(Families, TcpFamily, testing::Bool(),
                         [](const auto& family) { return family.param ? "V6" : "V4"; });

TEST_P(TcpFamily, BytesCrossInBothDirections) {
  auto listener = world.b.listen(any(4001)).value();
  const auto dialled = world.a.dial(of_b(4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote(), dialled->local());
  EXPECT_EQ(accepted->local(), of_b(4001));
  ASSERT_TRUE(world.run(connect(dialled)));
  ASSERT_TRUE(world.run(write_text(dialled, "over there")));
  EXPECT_EQ(world.run(read_text(accepted, 10)).value(), "over there");
  ASSERT_TRUE(world.run(write_text(accepted, "and back")));
  EXPECT_EQ(world.run(read_text(dialled, 8)).value(), "and back");
}

TEST_P(TcpFamily, ADialTakesOneRoundTrip) {
  auto listener = world.b.listen(any(4001)).value();
  const auto dialled = world.a.dial(of_b(4001), std::nullopt).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  EXPECT_EQ(world.simulation.now(), t0 + 100ms);
}

TEST_P(TcpFamily, SimultaneousDialsMeetInOneConnection) {
  auto listens_a = world.a.listen(any(4001)).value();
  auto listens_b = world.b.listen(any(4001)).value();
  const auto from_a = world.a.dial(of_b(4001), 4001).value();
  const auto from_b = world.b.dial(of_a(4001), 4001).value();
  ASSERT_TRUE(world.run(connect(from_a)));
  ASSERT_TRUE(world.run(connect(from_b)));
  EXPECT_EQ(world.simulation.now(), t0 + 100ms);
  EXPECT_EQ(world.a.tcp_connections(), 1u);
  EXPECT_EQ(world.b.tcp_connections(), 1u);
  ASSERT_TRUE(world.run(write_text(from_a, "hello")));
  EXPECT_EQ(world.run(read_text(from_b, 5)).value(), "hello");
  ASSERT_TRUE(world.run(write_text(from_b, "world")));
  EXPECT_EQ(world.run(read_text(from_a, 5)).value(), "world");
}

TEST_P(TcpFamily, ASynThatMeetsOursOnItsWayMakesTheSameConnection) {
  const auto from_a = world.a.dial(of_b(4001), 4001).value();
  world.simulation.run_for(30ms);  // less than the way
  const auto from_b = world.b.dial(of_a(4001), 4001).value();
  ASSERT_TRUE(world.run(connect(from_a)));
  ASSERT_TRUE(world.run(connect(from_b)));
  EXPECT_LE(world.simulation.now(), t0 + 130ms);
}

TEST_P(TcpFamily, OnePortListensDialsThriceAndAccepts) {
  auto& c = world.add_host("c", {ip("192.0.2.3"), ip("2001:db8:c::1")});
  auto& d = world.add_host("d", {ip("192.0.2.4"), ip("2001:db8:d::1")});
  const io::Endpoint of_c = at(GetParam() ? "2001:db8:c::1" : "192.0.2.3", 4001);
  const io::Endpoint of_d = at(GetParam() ? "2001:db8:d::1" : "192.0.2.4", 4001);
  auto listens_a = world.a.listen(any(4001)).value();
  auto listens_b = world.b.listen(any(4001)).value();
  auto listens_c = c.listen(any(4001)).value();
  auto listens_d = d.listen(any(4001)).value();
  const auto to_b = world.a.dial(of_b(4001), 4001).value();
  const auto to_c = world.a.dial(of_c, 4001).value();
  const auto to_d = world.a.dial(of_d, 4001).value();
  EXPECT_EQ(world.a.dial(of_b(4001), 4001).error(), std::errc::address_in_use);
  const auto from_b = world.b.dial(of_a(4001), std::nullopt).value();
  for (const auto& socket : {to_b, to_c, to_d, from_b}) ASSERT_TRUE(world.run(connect(socket)));
  const auto accepted = world.run(accept_one(*listens_a));
  EXPECT_EQ(accepted->local(), of_a(4001));
  EXPECT_EQ(accepted->remote(), from_b->local());
  EXPECT_EQ(world.a.tcp_connections(), 4u);
  for (const auto& socket : {to_b, to_c, to_d}) EXPECT_EQ(socket->local(), of_a(4001));
}

TEST_P(TcpFamily, AClosedPortRefusesInOneRoundTrip) {
  const auto dialled = world.a.dial(of_b(4001), std::nullopt).value();
  EXPECT_EQ(world.run(connect(dialled)).error(), std::errc::connection_refused);
  EXPECT_EQ(world.simulation.now(), t0 + 100ms);
  EXPECT_EQ(world.a.tcp_connections(), 0u);
  EXPECT_EQ(world.b.tcp_connections(), 0u);
}

TEST_P(TcpFamily, TheEndOfOneDirectionLeavesTheOther) {
  auto listener = world.b.listen(any(4001)).value();
  const auto dialled = world.a.dial(of_b(4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  ASSERT_TRUE(world.run(write_text(dialled, "last words")));
  ASSERT_TRUE(world.run(finish(dialled)));
  EXPECT_EQ(world.run(write_text(dialled, "x")).error(), std::errc::broken_pipe);
  EXPECT_EQ(world.run(read_text(accepted, 10)).value(), "last words");
  EXPECT_EQ(world.run(read_some(accepted)).value(), 0u);
  ASSERT_TRUE(world.run(write_text(accepted, std::string(300'000, 'r'))));
  EXPECT_EQ(world.run(read_text(dialled, 300'000)).value(), std::string(300'000, 'r'));
  ASSERT_TRUE(world.run(finish(accepted)));
  EXPECT_EQ(world.run(read_some(dialled)).value(), 0u);
  world.simulation.run_for(5s);
  EXPECT_EQ(world.a.tcp_connections(), 0u);
  EXPECT_EQ(world.b.tcp_connections(), 0u);
}

TEST_P(TcpFamily, AResetReachesTheOtherEndAndFreesThePortsAtOnce) {
  auto listener = world.b.listen(any(4001)).value();
  const auto first = world.a.dial(of_b(4001), 4001).value();
  const auto accepted = world.run(accept_one(*listener));
  first->reset(std::errc::owner_dead);
  EXPECT_EQ(world.run(read_some(first)).error(), std::errc::owner_dead);
  const auto second = world.a.dial(of_b(4001), 4001).value();
  EXPECT_EQ(world.run(read_some(accepted)).error(), std::errc::connection_reset);
  ASSERT_TRUE(world.run(connect(second)));
}

TEST_P(TcpFamily, TimeWaitDoesNotStandInTheWayOfTheNextDial) {
  auto listener = world.b.listen(any(4001)).value();
  auto first = world.a.dial(of_b(4001), 4001).value();
  auto accepted = world.run(accept_one(*listener));
  ASSERT_TRUE(world.run(finish(first)));
  EXPECT_EQ(world.run(read_some(accepted)).value(), 0u);
  ASSERT_TRUE(world.run(finish(accepted)));
  EXPECT_EQ(world.run(read_some(first)).value(), 0u);
  EXPECT_EQ(world.a.tcp_connections(), 1u);  // TIME_WAIT
  const auto second = world.a.dial(of_b(4001), 4001).value();
  ASSERT_TRUE(world.run(connect(second)));
}

TEST_P(TcpFamily, MegabytesArriveWhole) {
  auto listener = world.b.listen(any(4001)).value();
  const auto dialled = world.a.dial(of_b(4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  std::string sent(5'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 24);
  io::spawn(world.simulation.executor(), [](auto stream, std::string text) -> io::Task<> {
    (void)co_await write_text(stream, std::move(text));
  }(dialled, sent));
  EXPECT_EQ(world.run(read_text(accepted, sent.size())).value(), sent);
}

}  // namespace
}  // namespace flaresim::net
