#include "sim/net/host.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "sim/net/nat_box.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

io::Task<io::Datagram> receive_one(io::DatagramSocket& socket) {
  auto datagram = co_await socket.receive();
  co_return datagram.value();
}

io::Task<io::Result<io::Datagram>> try_receive(io::DatagramSocket& socket) {
  co_return co_await socket.receive();
}

struct Pair : SmallWorld {
  Host& a = add_host("a", {ip("192.0.2.1"), ip("2001:db8:a::1")});
  Host& b = add_host("b", {ip("192.0.2.2"), ip("2001:db8:b::1")});
};

TEST(Host, DatagramsCrossInBothFamilies) {
  Pair world;
  auto to4 = world.b.bind(at("0.0.0.0", 53)).value();
  auto to6 = world.b.bind(at("::", 53)).value();
  auto from4 = world.a.bind(at("192.0.2.1", 0)).value();
  auto from6 = world.a.bind(at("::", 0)).value();
  ASSERT_TRUE(from4->send_to(io::as_bytes("four"), at("192.0.2.2", 53)));
  ASSERT_TRUE(from6->send_to(io::as_bytes("six"), at("2001:db8:b::1", 53)));
  const auto four = world.run(receive_one(*to4));
  EXPECT_EQ(four.from, at("192.0.2.1", from4->local().port));
  EXPECT_EQ(io::as_text(four.payload), "four");
  const auto six = world.run(receive_one(*to6));
  EXPECT_EQ(six.from, at("2001:db8:a::1", from6->local().port));
  EXPECT_EQ(io::as_text(six.payload), "six");
}

TEST(Host, LargeDatagramsTravelInFragments) {
  Pair world;
  for (const bool v6 : {false, true}) {
    auto to = world.b.bind(at(v6 ? "::" : "0.0.0.0", 53)).value();
    auto from = world.a.bind(at(v6 ? "::" : "0.0.0.0", 0)).value();
    const std::string large(20'000, 'l');
    ASSERT_TRUE(from->send_to(io::as_bytes(large), at(v6 ? "2001:db8:b::1" : "192.0.2.2", 53)));
    EXPECT_EQ(io::as_text(world.run(receive_one(*to)).payload), large);
  }
}

TEST(Host, DatagramErrorsAreTheSystems) {
  Pair world;
  auto socket = world.a.bind(at("0.0.0.0", 53)).value();
  EXPECT_EQ(error_of(world.a.bind(at("0.0.0.0", 53))), std::errc::address_in_use);
  EXPECT_EQ(error_of(world.a.bind(at("192.0.2.99", 54))), std::errc::address_not_available);
  EXPECT_EQ(error_of(socket->send_to(io::as_bytes("x"), at("192.0.2.1", 53))),
            std::errc::network_unreachable);
  EXPECT_EQ(error_of(socket->send_to(io::as_bytes("x"), at("2001:db8:b::1", 53))),
            std::errc::network_unreachable);
  EXPECT_EQ(error_of(socket->send_to(io::Bytes(65'508), at("192.0.2.2", 53))), std::errc::message_size);
  world.simulation.start_timer(t0 + 1s, [&] { socket->close(); });
  EXPECT_EQ(error_of(world.run(try_receive(*socket))), std::errc::operation_canceled);
  EXPECT_EQ(error_of(socket->send_to(io::as_bytes("x"), at("192.0.2.2", 53))), std::errc::operation_canceled);
  EXPECT_TRUE(world.a.bind(at("0.0.0.0", 53)));
}

TEST(Host, ASocketNobodyReadsDropsWhatItCannotHold) {
  Pair world;
  auto to = world.b.bind(at("0.0.0.0", 53)).value();
  auto from = world.a.bind(at("0.0.0.0", 0)).value();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(from->send_to(io::Bytes(1000), at("192.0.2.2", 53)));
  world.simulation.run_for(1s);
  int read = 0;
  while (world.try_run(try_receive(*to), 1ms)) ++read;
  EXPECT_EQ(read, 212);  // 212 992 bytes
}

TEST(Host, RandomStreamsAreNamed) {
  Pair world;
  EXPECT_EQ(world.a.random("x").next(), world.a.random("x").next());
  EXPECT_NE(world.a.random("x").next(), world.a.random("y").next());
  EXPECT_NE(world.a.random("x").next(), world.b.random("x").next());
}

TEST(Host, EverySynIsSeenWithItsInstant) {
  Pair world;
  std::vector<SynEvent> seen;
  world.a.on_syn([&](const SynEvent& event) { seen.push_back(event); });
  world.simulation.run_for(1s);
  auto listener = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto dialled = world.a.dial(at("192.0.2.2", 4001), 4001).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].at, t0 + 1s);
  EXPECT_TRUE(seen[0].sent);
  EXPECT_FALSE(seen[0].ack);
  EXPECT_EQ(seen[0].local, at("192.0.2.1", 4001));
  EXPECT_EQ(seen[0].remote, at("192.0.2.2", 4001));
  EXPECT_EQ(seen[1].at, t0 + 1s + 100ms);
  EXPECT_FALSE(seen[1].sent);
  EXPECT_TRUE(seen[1].ack);
}

TEST(Host, OneThatGoesAwayIsSilent) {
  SmallWorld world;
  auto& a = world.add_host("a", {ip("192.0.2.1")});
  Probe wire(world.simulation);
  world.plug(wire, "wire", {ip("192.0.2.9")});
  {
    auto socket = a.dial(at("192.0.2.9", 1), std::nullopt).value();
    world.simulation.run_for(100ms);
  }
  world.hosts.clear();
  world.simulation.run_for(300s);
  EXPECT_EQ(wire.received.size(), 1u);
}

TEST(Host, ItsConnectionsAreAbortedWhenItGoes) {
  Pair world;
  auto listener = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto dialled = world.a.dial(at("192.0.2.2", 4001), std::nullopt).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  world.hosts.erase(world.hosts.begin());
  EXPECT_EQ(error_of(world.run(read_some(dialled))), std::errc::connection_aborted);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Two homes, a server, a punched and an ordinary connection with data on them. Says when all was done.
io::TimePoint small_trial(std::uint64_t seed) {
  SmallWorld world({}, {.jitter = 3ms, .loss = 0}, seed);
  const auto behaviour = nat::parse_behaviour("EIM/APDF").value();
  const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};
  NatBox box_a(world.simulation, behaviour, ip("198.51.100.1"), world.random.derive("box a"));
  NatBox box_b(world.simulation, behaviour, ip("198.51.100.2"), world.random.derive("box b"));
  Host a(world.simulation, {ip("10.0.0.1"), ip("2001:db8:a::1")}, world.random.derive("a"));
  Host b(world.simulation, {ip("10.0.0.1"), ip("2001:db8:b::1")}, world.random.derive("b"));
  world.plug(box_a.outside(), "home a", {ip("198.51.100.1"), ip("2001:db8:a::")});
  world.plug(box_b.outside(), "home b", {ip("198.51.100.2"), ip("2001:db8:b::")});
  EXPECT_TRUE(box_a.attach(a.port(), a.addresses(), lan));
  EXPECT_TRUE(box_b.attach(b.port(), b.addresses(), lan));
  auto& s = world.add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
  auto listens_s = s.listen(at("0.0.0.0", 443)).value();
  auto listens_a = a.listen(at("0.0.0.0", 4001)).value();
  auto listens_b = b.listen(at("0.0.0.0", 4001)).value();
  const auto to_s = a.dial(at("203.0.113.1", 443), 4001).value();
  const auto accepted = world.run(accept_one(*listens_s));
  const auto from_a = a.dial(at("198.51.100.2", 4001), 4001).value();
  const auto from_b = b.dial(at("198.51.100.1", 4001), 4001).value();
  EXPECT_TRUE(world.run(connect(from_a)));
  EXPECT_TRUE(world.run(connect(from_b)));
  EXPECT_TRUE(world.run(write_text(from_a, std::string(10'000, 'a'))));
  EXPECT_TRUE(world.run(read_text(from_b, 10'000)));
  return world.simulation.now();
}

TEST(Host, FiveHundredWorldsInOneProcessTakeTheMemoryOfOne) {
  for (std::uint64_t i = 0; i < 100; ++i) small_trial(i);
  const auto before = resident_bytes();
  for (std::uint64_t i = 100; i < 600; ++i) small_trial(i);
  EXPECT_LT(resident_bytes(), before + (256 << 10));
}

TEST(Host, AWorldIsTheSameAfterWhateverOthers) {
  const auto first = small_trial(7);
  small_trial(8);
  EXPECT_EQ(small_trial(7), first);
  EXPECT_NE(small_trial(9), first);
}

TEST(Host, AnIdleOneWithAListenerIsSmall) {
  SmallWorld world;
  constexpr std::size_t count = 2000;
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::unique_ptr<io::Listener>> listeners;
  std::vector<std::unique_ptr<io::DatagramSocket>> sockets;
  const auto before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    const auto v4 = boost::asio::ip::address_v4(0x0b00'0000u + static_cast<std::uint32_t>(i));
    boost::asio::ip::address_v6::bytes_type v6{
        0x20, 0x01, 0x0d, 0xb8, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    v6[15] = 1;
    const std::vector<io::IpAddress> addresses{v4, boost::asio::ip::address_v6(v6)};
    auto& host = hosts.emplace_back(
        std::make_unique<Host>(world.simulation, addresses, world.random.derive(std::to_string(i))));
    world.plug(host->port(), std::to_string(i), addresses);
    listeners.push_back(host->listen(at("0.0.0.0", 4001)).value());
    listeners.push_back(host->listen(at("::", 4001)).value());
    sockets.push_back(host->bind(at("0.0.0.0", 4001)).value());
  }
  const auto each = (resident_bytes() - before) / count;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LT(each, 25'000u);
}

}  // namespace
}  // namespace flaresim::net
