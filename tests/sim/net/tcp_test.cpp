#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/protocols/support/error_of.h"
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
  EXPECT_EQ(error_of(world.a.dial(of_b(4001), 4001)), std::errc::address_in_use);
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
  EXPECT_EQ(error_of(world.run(connect(dialled))), std::errc::connection_refused);
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
  EXPECT_EQ(error_of(world.run(write_text(dialled, "x"))), std::errc::broken_pipe);
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
  EXPECT_EQ(error_of(world.run(read_some(first))), std::errc::owner_dead);
  const auto second = world.a.dial(of_b(4001), 4001).value();
  EXPECT_EQ(error_of(world.run(read_some(accepted))), std::errc::connection_reset);
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

/// Reads in gulps, with long breaks.
io::Task<std::size_t> read_slowly(std::shared_ptr<io::StreamSocket> stream, io::Scheduler& scheduler,
                                  io::Duration pause) {
  std::vector<std::uint8_t> gulp(64 * 1024);
  std::size_t total = 0;
  for (;;) {
    const auto got = co_await stream->read(gulp);
    if (!got || *got == 0) co_return total;
    total += *got;
    co_await scheduler.sleep_for(pause);
  }
}

io::Task<> write_and_finish(std::shared_ptr<io::StreamSocket> stream, std::size_t bytes,
                            io::TimePoint& written, io::Scheduler& scheduler) {
  if (const auto sent = co_await write_text(stream, std::string(bytes, 'w')); !sent) co_return;
  written = scheduler.now();
  (void)co_await stream->close_write();
}

TEST(Tcp, AReaderThatFallsBehindHoldsTheWriterBack) {
  Pair world;
  auto listener = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto dialled = world.a.dial(at("192.0.2.2", 4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  io::TimePoint written{};
  io::spawn(world.simulation.executor(), write_and_finish(dialled, 4'000'000, written, world.simulation));
  world.simulation.run_for(60s);
  EXPECT_EQ(written, t0);  // more than both ends' buffers
  EXPECT_EQ(world.run(read_slowly(accepted, world.simulation, 100ms)), 4'000'000u);
  EXPECT_GT(written, t0 + 60s);
}

TEST(Tcp, ASlowReaderAndLossTogetherLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SmallWorld world({}, {.jitter = {}, .loss = 0.003}, seed);
    auto& a = world.add_host("a", {ip("192.0.2.1")});
    auto& b = world.add_host("b", {ip("192.0.2.2")});
    auto listener = b.listen(at("0.0.0.0", 4001)).value();
    const auto dialled = a.dial(at("192.0.2.2", 4001), std::nullopt).value();
    const auto accepted = world.run(accept_one(*listener));
    io::TimePoint written{};
    io::spawn(world.simulation.executor(), write_and_finish(dialled, 3'000'000, written, world.simulation));
    EXPECT_EQ(world.run(read_slowly(accepted, world.simulation, 200ms)), 3'000'000u) << "seed " << seed;
  }
}

io::Task<> echo(std::shared_ptr<io::StreamSocket> stream) {
  for (;;) {
    auto text = co_await read_text(stream, 4);
    if (!text) co_return;
    (void)co_await write_text(stream, *text);
  }
}

/// Small messages with pauses, both ways: acknowledgements travel on data, and the round-trip estimate has to
/// survive that, or a loss is repaired much too late.
TEST(Tcp, ALossAfterManyIdlePingsIsRepairedWithinOneRetransmissionTimeout) {
  Pair world;
  auto listener = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto dialled = world.a.dial(at("192.0.2.2", 4001), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  io::spawn(world.simulation.executor(), echo(accepted));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(world.run(write_text(dialled, "ping")));
    ASSERT_EQ(world.run(read_text(dialled, 4)).value(), "ping");
    world.simulation.run_for(15s);
  }
  // As good as lost: the ping takes ten seconds.
  world.internet.set_extra_delay(0, 1, 10s);
  const auto sent_at = world.simulation.now();
  ASSERT_TRUE(world.run(write_text(dialled, "ping")));
  world.simulation.run_for(1ms);
  world.internet.set_extra_delay(0, 1, 0ns);
  ASSERT_EQ(world.run(read_text(dialled, 4)).value(), "ping");
  EXPECT_LT(world.simulation.now() - sent_at, 600ms);
}

TEST(Tcp, AnAddressOfOnesOwnIsUnreachable) {
  Pair world;
  EXPECT_EQ(error_of(world.a.dial(at("192.0.2.1", 4001), std::nullopt)), std::errc::network_unreachable);
  EXPECT_EQ(error_of(world.a.dial(at("127.0.0.1", 4001), std::nullopt)), std::errc::network_unreachable);
  EXPECT_EQ(error_of(world.a.dial(at("::1", 4001), std::nullopt)), std::errc::network_unreachable);
  EXPECT_EQ(error_of(world.a.dial(at("2001:db8:a::1", 4001), std::nullopt)), std::errc::network_unreachable);
  auto& only_v4 = world.add_host("c", {ip("192.0.2.3")});
  EXPECT_EQ(error_of(only_v4.dial(at("2001:db8:a::1", 4001), std::nullopt)), std::errc::network_unreachable);
}

TEST(Tcp, AListenersPortIsItsOwn) {
  Pair world;
  auto first = world.a.listen(at("0.0.0.0", 4001)).value();
  EXPECT_EQ(error_of(world.a.listen(at("0.0.0.0", 4001))), std::errc::address_in_use);
  EXPECT_EQ(error_of(world.a.listen(at("192.0.2.77", 4002))), std::errc::address_not_available);
  auto chosen = world.a.listen(at("0.0.0.0", 0)).value();
  EXPECT_GE(chosen->local().port, 32768);
  first->close();
  EXPECT_TRUE(world.a.listen(at("0.0.0.0", 4001)));
}

TEST(Tcp, AClosedListenerEndsItsAccept) {
  Pair world;
  auto listener = world.a.listen(at("0.0.0.0", 4001)).value();
  world.simulation.start_timer(t0 + 1s, [&] { listener->close(); });
  const auto accepted = [](io::Listener& at) -> io::Task<io::Result<std::shared_ptr<io::StreamSocket>>> {
    co_return co_await at.accept();
  };
  EXPECT_EQ(error_of(world.run(accepted(*listener))), std::errc::operation_canceled);
}

}  // namespace
}  // namespace flaresim::net
