#include "sim/net/nat_box.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

/// Host `a` behind one box, host `b` behind another, and a public host `s`, all with both families.
struct TwoHomes : SmallWorld {
  explicit TwoHomes(const char* behaviour = "EIM/APDF", engine::SimulationOptions options = {})
      : TwoHomes(nat::parse_behaviour(behaviour).value(), options) {}
  explicit TwoHomes(const nat::Behaviour& behaviour, engine::SimulationOptions options = {})
      : SmallWorld(options),
        box_a(simulation, behaviour, ip("198.51.100.1"), random.derive("box a")),
        box_b(simulation, behaviour, ip("198.51.100.2"), random.derive("box b")),
        a(simulation, {ip("192.168.1.10"), ip("2001:db8:a::10")}, random.derive("a")),
        b(simulation, {ip("192.168.1.10"), ip("2001:db8:b::10")}, random.derive("b")) {
    plug(box_a.outside(), "home a", {ip("198.51.100.1"), ip("2001:db8:a::")});
    plug(box_b.outside(), "home b", {ip("198.51.100.2"), ip("2001:db8:b::")});
    EXPECT_TRUE(box_a.attach(a.port(), a.addresses(), lan));
    EXPECT_TRUE(box_b.attach(b.port(), b.addresses(), lan));
  }

  NatBox box_a;
  NatBox box_b;
  Host a;
  Host b;
  Host& s = add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
};

io::Task<io::Datagram> receive_one(io::DatagramSocket& socket) {
  auto datagram = co_await socket.receive();
  co_return datagram.value();
}

TEST(NatBox, AServerSeesTheOutsideAddressAndAnswersReachTheHost) {
  TwoHomes world;
  auto server = world.s.bind(at("0.0.0.0", 53)).value();
  auto client = world.a.bind(at("0.0.0.0", 5000)).value();
  ASSERT_TRUE(client->send_to(io::as_bytes("ask"), at("203.0.113.1", 53)));
  const auto asked = world.run(receive_one(*server));
  EXPECT_EQ(asked.from.address, ip("198.51.100.1"));
  EXPECT_EQ(io::as_text(asked.payload), "ask");
  EXPECT_EQ(world.simulation.now(), t0 + 51ms);
  ASSERT_TRUE(server->send_to(io::as_bytes("answer"), asked.from));
  const auto answered = world.run(receive_one(*client));
  EXPECT_EQ(answered.from, at("203.0.113.1", 53));
  EXPECT_EQ(io::as_text(answered.payload), "answer");
  EXPECT_EQ(world.simulation.now(), t0 + 102ms);
}

/// RFC 1071, over an even number of bytes.
std::uint16_t sum_of(io::BytesView bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// Two bytes that give a datagram between these a checksum whose complement is zero.
io::Bytes balancing(const io::Endpoint& from, const io::Endpoint& to) {
  std::uint32_t sum = protocol_udp + 2 * 10 + from.port + to.port;
  for (const auto& address : {from.address, to.address}) {
    sum = address.is_v4() ? sum_of(address.to_v4().to_bytes(), sum) : sum_of(address.to_v6().to_bytes(), sum);
  }
  const auto rest = static_cast<std::uint16_t>(0xffff - sum_of({}, sum));
  return {static_cast<std::uint8_t>(rest >> 8), static_cast<std::uint8_t>(rest)};
}

TEST(NatBox, ADatagramWhoseChecksumComesToZeroIsNoneWithoutAChecksum) {
  TwoHomes world("EIM/APDF", {.checksums = true});
  for (const auto& [any, inside, server] : {std::tuple("0.0.0.0", "192.168.1.10", "203.0.113.1"),
                                            std::tuple("::", "2001:db8:a::10", "2001:db8:5::1")}) {
    auto receiver = world.s.bind(at(any, 53)).value();
    auto sender = world.a.bind(at(any, 5000)).value();
    const auto payload = balancing(at(inside, 5000), at(server, 53));
    ASSERT_TRUE(sender->send_to(payload, at(server, 53)));
    ASSERT_TRUE(sender->send_to(io::as_bytes("next"), at(server, 53)));
    EXPECT_EQ(world.run(receive_one(*receiver)).payload, payload) << server;
  }
}

TEST(Udp, ADatagramWithoutAChecksumIsTakenOverIPv4Only) {
  SmallWorld world({.checksums = true});
  auto& host = world.add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
  auto& other = world.add_host("o", {ip("203.0.113.2"), ip("2001:db8:6::1")});
  Probe probe(world.simulation);
  world.plug(probe, "probe", {ip("203.0.113.9"), ip("2001:db8:9::1")});
  auto v4 = host.bind(at("0.0.0.0", 53)).value();
  auto v6 = host.bind(at("::", 53)).value();

  const auto with_ports = [](io::Bytes packet, io::BytesView payload) {
    for (const std::uint8_t byte : {0, 9, 0, 53, 0, 10, 0, 0}) packet.push_back(byte);
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
  };
  const auto append = [](io::Bytes& packet, const auto& bytes) {
    packet.insert(packet.end(), bytes.begin(), bytes.end());
  };
  io::Bytes over_v4{0x45, 0, 0, 30, 0, 0, 0, 0, 64, protocol_udp, 0, 0};
  append(over_v4, ip("203.0.113.9").to_v4().to_bytes());
  append(over_v4, ip("203.0.113.1").to_v4().to_bytes());
  const auto header = static_cast<std::uint16_t>(~sum_of(over_v4));
  over_v4[10] = static_cast<std::uint8_t>(header >> 8);
  over_v4[11] = static_cast<std::uint8_t>(header);
  probe.send(make_packet(with_ports(over_v4, io::as_bytes("ok"))));
  world.simulation.run_for(1s);
  ASSERT_TRUE(other.bind(at("0.0.0.0", 0)).value()->send_to(io::as_bytes("next"), at("203.0.113.1", 53)));
  EXPECT_EQ(io::as_text(world.run(receive_one(*v4)).payload), "ok");

  io::Bytes over_v6{0x60, 0, 0, 0, 0, 10, protocol_udp, 64};
  append(over_v6, ip("2001:db8:9::1").to_v6().to_bytes());
  append(over_v6, ip("2001:db8:5::1").to_v6().to_bytes());
  // Also one whose other bytes sum up as if zero were right.
  for (const auto& payload :
       {io::Bytes{'n', 'o'}, balancing(at("2001:db8:9::1", 9), at("2001:db8:5::1", 53))}) {
    probe.send(make_packet(with_ports(over_v6, payload)));
  }
  world.simulation.run_for(1s);
  ASSERT_TRUE(other.bind(at("::", 0)).value()->send_to(io::as_bytes("next"), at("2001:db8:5::1", 53)));
  EXPECT_EQ(io::as_text(world.run(receive_one(*v6)).payload), "next");
}

TEST(NatBox, AGroupIsHeardByItsMembersInTheLanOnly) {
  TwoHomes world;
  Host neighbour(world.simulation, {ip("192.168.1.11")}, world.random.derive("neighbour"));
  Host deaf(world.simulation, {ip("192.168.1.12")}, world.random.derive("deaf"));
  ASSERT_TRUE(world.box_a.attach(neighbour.port(), neighbour.addresses(), lan));
  ASSERT_TRUE(world.box_a.attach(deaf.port(), deaf.addresses(), lan));
  auto sender = world.a.bind(at("0.0.0.0", 0)).value();
  auto member = neighbour.bind(at("0.0.0.0", 1900)).value();
  auto none = deaf.bind(at("0.0.0.0", 1900)).value();
  ASSERT_TRUE(member->join(ip("239.255.255.250")));
  EXPECT_EQ(error_of(member->join(ip("192.168.1.11"))), std::errc::invalid_argument);

  ASSERT_TRUE(sender->send_to(io::as_bytes("who"), at("239.255.255.250", 1900)));
  const auto heard = world.run(receive_one(*member));
  EXPECT_EQ(heard.from.address, ip("192.168.1.10"));
  EXPECT_EQ(io::as_text(heard.payload), "who");
  ASSERT_TRUE(member->send_to(io::as_bytes("me"), heard.from));
  EXPECT_EQ(world.run(receive_one(*sender)).from, at("192.168.1.11", 1900));

  // Had the group's datagram come to the other two, it would be read before this one.
  ASSERT_TRUE(member->send_to(io::as_bytes("you"), at("192.168.1.12", 1900)));
  EXPECT_EQ(io::as_text(world.run(receive_one(*none)).payload), "you");
  EXPECT_EQ(world.internet.counters().forwarded + world.internet.counters().no_route, 0u);
}

TEST(NatBox, TcpCrossesItWithBytesIntact) {
  TwoHomes world;
  auto listener = world.s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = world.a.dial(at("203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote().address, ip("198.51.100.1"));
  ASSERT_TRUE(world.run(write_text(accepted, std::string(100'000, 'x'))));
  EXPECT_EQ(world.run(read_text(dialled, 100'000)).value(), std::string(100'000, 'x'));
}

TEST(NatBox, HostsBehindTwoOfThemPunchThrough) {
  TwoHomes world;
  auto listens_a = world.a.listen(at("0.0.0.0", 4001)).value();
  auto listens_b = world.b.listen(at("0.0.0.0", 4001)).value();
  const auto from_a = world.a.dial(at("198.51.100.2", 4001), 4001).value();
  const auto from_b = world.b.dial(at("198.51.100.1", 4001), 4001).value();
  ASSERT_TRUE(world.run(connect(from_a)));
  ASSERT_TRUE(world.run(connect(from_b)));
  EXPECT_EQ(world.simulation.now(), t0 + 104ms);
  ASSERT_TRUE(world.run(write_text(from_a, "through")));
  EXPECT_EQ(world.run(read_text(from_b, 7)).value(), "through");
}

TEST(NatBox, Ipv6FirewallsArePunchedToo) {
  TwoHomes world;
  const auto one_sided = world.a.dial(at("2001:db8:b::10", 4001), 4002).value();
  const auto from_a = world.a.dial(at("2001:db8:b::10", 4001), 4001).value();
  const auto from_b = world.b.dial(at("2001:db8:a::10", 4001), 4001).value();
  ASSERT_TRUE(world.run(connect(from_a)));
  ASSERT_TRUE(world.run(connect(from_b)));
  EXPECT_EQ(from_b->remote(), at("2001:db8:a::10", 4001));
  EXPECT_FALSE(world.run(connect(one_sided)));
}

TEST(NatBox, EveryVerdictIsSeenWithThePacketAsItArrived) {
  TwoHomes world;
  std::vector<NatEvent> events;
  world.box_a.on_verdict([&](const NatEvent& event) { events.push_back(event); });
  auto outsider = world.s.bind(at("0.0.0.0", 53)).value();
  ASSERT_TRUE(outsider->send_to(io::as_bytes("knock"), at("198.51.100.1", 5000)));
  world.simulation.run_for(1s);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].at, t0 + 50ms);
  EXPECT_EQ(events[0].direction, Direction::inbound);
  EXPECT_EQ(events[0].rule, nat::Rule::no_mapping);
  EXPECT_FALSE(events[0].forwarded);
  EXPECT_EQ(events[0].packet.source, at("203.0.113.1", 53));
  EXPECT_EQ(events[0].packet.destination, at("198.51.100.1", 5000));

  auto client = world.a.bind(at("0.0.0.0", 5000)).value();
  ASSERT_TRUE(client->send_to(io::as_bytes("ask"), at("203.0.113.1", 53)));
  world.simulation.run_for(1s);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].direction, Direction::outbound);
  EXPECT_TRUE(events[1].forwarded);
  EXPECT_EQ(events[1].packet.source, at("192.168.1.10", 5000));  // before translation
}

TEST(NatBox, ARefusingRouterFailsTheDialAtOnce) {
  TwoHomes world("EIM/APDF/preserve,tcp_unsolicited=reset");
  const auto dialled = world.s.dial(at("198.51.100.1", 4001), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(dialled))), std::errc::connection_refused);
  EXPECT_EQ(world.simulation.now(), t0 + 100ms);
}

TEST(NatBox, AnIcmpAnswerFailsTheDialAsUnreachable) {
  TwoHomes world("EIM/APDF/preserve,tcp_unsolicited=icmp");
  const auto v4 = world.s.dial(at("198.51.100.1", 4001), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(v4))), std::errc::host_unreachable);
  EXPECT_EQ(world.simulation.now(), t0 + 100ms);
  const auto v6 = world.s.dial(at("2001:db8:a::10", 4001), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(v6))), std::errc::host_unreachable);
  EXPECT_EQ(world.simulation.now(), t0 + 200ms);
}

TEST(NatBox, AnIcmpErrorFromOutsideFindsTheDiallerInside) {
  TwoHomes world("EIM/APDF/preserve,tcp_unsolicited=icmp");
  const auto dialled = world.a.dial(at("198.51.100.2", 4001), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(dialled))), std::errc::host_unreachable);
  EXPECT_EQ(world.simulation.now(), t0 + 102ms);
}

TEST(NatBox, NeighboursReachEachOtherWithoutIt) {
  TwoHomes world;
  Host neighbour(world.simulation, {ip("192.168.1.11")}, world.random.derive("neighbour"));
  ASSERT_TRUE(world.box_a.attach(neighbour.port(), neighbour.addresses(), lan));
  int verdicts = 0;
  world.box_a.on_verdict([&](const NatEvent&) { ++verdicts; });
  auto listener = world.a.listen(at("0.0.0.0", 4001)).value();
  const auto dialled = neighbour.dial(at("192.168.1.10", 4001), std::nullopt).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  EXPECT_EQ(world.simulation.now(), t0 + 4ms);
  EXPECT_EQ(verdicts, 0);
}

TEST(NatBox, BoxesNest) {
  TwoHomes world;
  const auto behaviour = nat::parse_behaviour("EIM/EIF").value();
  NatBox home(world.simulation, behaviour, ip("100.64.0.2"), world.random.derive("inner"));
  ASSERT_TRUE(world.box_a.attach(home.outside(), {ip("100.64.0.2")}, lan));
  Host inner(world.simulation, {ip("10.0.0.5")}, world.random.derive("inner host"));
  ASSERT_TRUE(home.attach(inner.port(), inner.addresses(), lan));
  auto listener = world.s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = inner.dial(at("203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  EXPECT_EQ(accepted->remote().address, ip("198.51.100.1"));
  ASSERT_TRUE(world.run(connect(dialled)));
}

TEST(NatBox, AnAddressIsHeldByOnePort) {
  TwoHomes world;
  Host second(world.simulation, {ip("192.168.1.10")}, world.random.derive("second"));
  EXPECT_EQ(error_of(world.box_a.attach(second.port(), second.addresses(), lan)), std::errc::address_in_use);
}

}  // namespace
}  // namespace flaresim::net
