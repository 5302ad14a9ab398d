#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sim/net/nat_box.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

const Interface fibre{.addresses = {ip("192.0.2.1"), ip("2001:db8:1::1")}, .metric = 100};
const Interface mobile{.addresses = {ip("198.51.100.1")}, .metric = 600};

/// What one socket received, and from where.
struct Mailbox {
  Mailbox(SmallWorld& in, Host& host, const io::Endpoint& local)
      : world(in), socket(host.bind(local).value()) {
    io::spawn(world.simulation.executor(), collect(*socket, received));
  }
  ~Mailbox() {
    socket->close();
    world.simulation.drain();
  }

  static io::Task<> collect(io::DatagramSocket& from, std::vector<io::Datagram>& into) {
    for (;;) {
      auto datagram = co_await from.receive();
      if (!datagram) co_return;
      into.push_back(*std::move(datagram));
    }
  }
  /// Who sent since the last call.
  std::vector<io::Endpoint> senders() {
    std::vector<io::Endpoint> all;
    for (const auto& datagram : std::exchange(received, {})) all.push_back(datagram.from);
    return all;
  }

  SmallWorld& world;
  std::unique_ptr<io::DatagramSocket> socket;
  std::vector<io::Datagram> received;
};

/// Host `a` with two lines into the Internet, and a public host `s`.
struct TwoLines : SmallWorld {
  TwoLines() : a(simulation, fibre, random.derive("a")) {
    plug(a.port(), "fibre", fibre.addresses);
    a.add_interface(mobile);
    plug(a.port(1), "mobile", mobile.addresses);
  }
  /// Sends, and says from where it arrives.
  std::vector<io::Endpoint> ask(io::DatagramSocket& socket) {
    EXPECT_TRUE(socket.send_to(io::as_bytes("ask"), at("203.0.113.1", 53)));
    simulation.run_for(1s);
    return server.senders();
  }

  Host a;
  Host& s = add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
  Mailbox server{*this, s, at("0.0.0.0", 53)};
};

using Senders = std::vector<io::Endpoint>;

TEST(Multihomed, ItsAddressesAreListedInterfaceByInterface) {
  TwoLines world;
  EXPECT_EQ(world.a.addresses(), (std::vector{ip("192.0.2.1"), ip("2001:db8:1::1"), ip("198.51.100.1")}));
}

TEST(Multihomed, TheLowestMetricDecidesWhereNothingElseDoes) {
  TwoLines world;
  Mailbox any(world, world.a, at("0.0.0.0", 5000));
  EXPECT_EQ(world.ask(*any.socket), (Senders{at("192.0.2.1", 5000)}));
}

TEST(Multihomed, ABoundSocketLeavesByTheInterfaceOfItsAddress) {
  TwoLines world;
  Mailbox bound(world, world.a, at("198.51.100.1", 5000));
  EXPECT_EQ(world.ask(*bound.socket), (Senders{at("198.51.100.1", 5000)}));
}

TEST(Multihomed, AnotherInterfaceStepsInWhenALinkGoesDown) {
  TwoLines world;
  Mailbox any(world, world.a, at("0.0.0.0", 5000));
  Mailbox bound(world, world.a, at("192.0.2.1", 5001));
  world.a.port(0).set_link(false);
  EXPECT_EQ(world.ask(*any.socket), (Senders{at("198.51.100.1", 5000)}));
  EXPECT_EQ(world.ask(*bound.socket), Senders{});  // sent, as far as its owner knows
  world.a.port(0).set_link(true);
  EXPECT_EQ(world.ask(*any.socket), (Senders{at("192.0.2.1", 5000)}));
}

TEST(Multihomed, AWildcardSocketAnswersFromWhereItWasAsked) {
  TwoLines world;
  Mailbox any(world, world.a, at("0.0.0.0", 5000));
  ASSERT_TRUE(world.server.socket->send_to(io::as_bytes("hello"), at("198.51.100.1", 5000)));
  world.simulation.run_for(1s);
  EXPECT_EQ(any.senders(), (Senders{at("203.0.113.1", 53)}));
  EXPECT_EQ(world.ask(*any.socket), (Senders{at("198.51.100.1", 5000)}));
  // The other way again, once it is heard there.
  ASSERT_TRUE(world.server.socket->send_to(io::as_bytes("hello"), at("192.0.2.1", 5000)));
  world.simulation.run_for(1s);
  EXPECT_EQ(world.ask(*any.socket), (Senders{at("192.0.2.1", 5000)}));
}

TEST(Multihomed, AConnectionIsAcceptedOnEitherLineAndStaysOnIt) {
  TwoLines world;
  auto listener = world.a.listen(at("0.0.0.0", 4001)).value();
  for (const char* line : {"192.0.2.1", "198.51.100.1"}) {
    const auto dialled = world.s.dial(at(line, 4001), std::nullopt).value();
    const auto accepted = world.run(accept_one(*listener));
    EXPECT_EQ(accepted->local(), at(line, 4001));
    ASSERT_TRUE(world.run(write_text(accepted, "hello")));
    EXPECT_EQ(world.run(read_text(dialled, 5)).value(), "hello");
  }
}

TEST(Multihomed, ARefusalComesFromTheAddressThatWasDialled) {
  TwoLines world;
  const auto dialled = world.s.dial(at("198.51.100.1", 9), std::nullopt).value();
  EXPECT_EQ(error_of(world.run(connect(dialled))), std::errc::connection_refused);
}

TEST(Multihomed, APortUnreachableComesFromTheAddressThatWasAsked) {
  TwoLines world;
  Probe wire(world.simulation);
  world.plug(wire, "wire", {ip("203.0.113.99")});
  // To a port of the second line that nobody has.
  const std::vector<std::uint8_t> datagram{0x45, 0,  0,   28, 0,   0, 0,  0,    64,   17,   0, 0, 203, 0,
                                           113,  99, 198, 51, 100, 1, 19, 0x88, 0x27, 0x0f, 0, 8, 0,   0};
  wire.send(make_packet(datagram));
  world.simulation.run_for(1s);
  ASSERT_EQ(wire.received.size(), 1u);
  EXPECT_EQ(wire.received[0].packet.protocol, 1);
  EXPECT_EQ(wire.received[0].packet.source.address, ip("198.51.100.1"));
}

TEST(Multihomed, ALongerMatchBeatsTheMetric) {
  SmallWorld world;
  // A VPN takes everything but the LAN.
  Host a(world.simulation,
         Interface{.addresses = {ip("192.168.1.10")}, .metric = 100, .routes = {{ip("192.168.1.0"), 24}}},
         world.random.derive("a"));
  a.add_interface({.addresses = {ip("10.8.0.2")}, .metric = 50});
  world.plug(a.port(0), "lan", {ip("192.168.1.10")});
  world.plug(a.port(1), "tunnel", {ip("10.8.0.2")});
  auto& printer = world.add_host("printer", {ip("192.168.1.20")});
  auto& server = world.add_host("server", {ip("203.0.113.1")});
  Mailbox at_printer(world, printer, at("0.0.0.0", 9)), at_server(world, server, at("0.0.0.0", 9));
  Mailbox any(world, a, at("0.0.0.0", 5000));
  ASSERT_TRUE(any.socket->send_to(io::as_bytes("x"), at("192.168.1.20", 9)));
  ASSERT_TRUE(any.socket->send_to(io::as_bytes("x"), at("203.0.113.1", 9)));
  world.simulation.run_for(1s);
  EXPECT_EQ(at_printer.senders(), (Senders{at("192.168.1.10", 5000)}));
  EXPECT_EQ(at_server.senders(), (Senders{at("10.8.0.2", 5000)}));
}

TEST(Multihomed, ASplitTunnelTakesItsOwnRoutesOnly) {
  RoutingTable table;
  struct Nowhere final : Port {
    void deliver(PacketPtr) override {}
  } line, tunnel;
  table.add({.addresses = {ip("192.168.1.10")}, .metric = 100}, line);
  table.add(
      {.addresses = {ip("10.8.0.2")}, .metric = 50, .default_route = false, .routes = {{ip("10.0.0.0"), 8}}},
      tunnel);
  EXPECT_EQ(table.source_for(ip("10.1.2.3")), ip("10.8.0.2"));
  EXPECT_EQ(table.source_for(ip("11.1.2.3")), ip("192.168.1.10"));
  EXPECT_EQ(table.source_for(ip("2001:db8::1")), std::nullopt);
}

TEST(Multihomed, AnMtuBoundsItsTcpSegments) {
  SmallWorld world;
  Host a(world.simulation, Interface{.addresses = {ip("192.0.2.1")}, .mtu_bytes = 1400},
         world.random.derive("a"));
  auto& s = world.add_host("s", {ip("203.0.113.1")});
  auto listener = s.listen(at("0.0.0.0", 443)).value();
  NatBox router(world.simulation, nat::parse_behaviour("EIM/EIF,translate=off").value(), std::nullopt,
                world.random.derive("router"));
  std::size_t largest = 0;
  router.on_verdict([&](const NatEvent& event) {
    if (event.direction == Direction::outbound) largest = std::max(largest, event.packet.bytes);
  });
  ASSERT_TRUE(router.attach(a.port(), a.addresses(), {}));
  world.plug(router.outside(), "a", {ip("192.0.2.1")});
  const auto dialled = a.dial(at("203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  ASSERT_TRUE(world.run(write_text(dialled, std::string(100'000, 'x'))));
  ASSERT_TRUE(world.run(read_text(accepted, 100'000)));
  EXPECT_EQ(largest, 1400u);
}

TEST(Multihomed, TwoAddressesOfAFamilyOnOneInterfaceAreABrokenInvariant) {
  SmallWorld world;
  EXPECT_THROW(Host(world.simulation, {ip("192.0.2.1"), ip("192.0.2.2")}, io::Random(1)), std::logic_error);
  EXPECT_THROW(
      Host(world.simulation, Interface{.addresses = {ip("192.0.2.1")}, .mtu_bytes = 1279}, io::Random(1)),
      std::logic_error);
}

// Moving

/// Host `a` in the home of one box, with the other box's home beside it, and a public host `s`.
struct TwoNetworks : SmallWorld {
  TwoNetworks() {
    plug(home.outside(), "home", {ip("198.51.100.1")});
    plug(cafe.outside(), "cafe", {ip("198.51.100.2"), ip("2001:db8:c::")});
    EXPECT_TRUE(home.attach(a.port(), a.addresses(), {}));
  }
  void move() {
    const std::vector<io::IpAddress> there{ip("10.0.0.7"), ip("2001:db8:c::7")};
    a.readdress(0, there);
    EXPECT_TRUE(cafe.attach(a.port(), there, {}));
  }

  nat::Behaviour behaviour = nat::parse_behaviour("EIM/APDF/preserve").value();
  NatBox home{simulation, behaviour, ip("198.51.100.1"), random.derive("home")};
  NatBox cafe{simulation, behaviour, ip("198.51.100.2"), random.derive("cafe")};
  Host a{simulation, {ip("192.168.1.10")}, random.derive("a")};
  Host& s = add_host("s", {ip("203.0.113.1"), ip("2001:db8:5::1")});
  Mailbox server{*this, s, at("0.0.0.0", 53)};
};

TEST(Move, AWildcardSocketGoesOnFromTheNewAddress) {
  TwoNetworks world;
  Mailbox any(world, world.a, at("0.0.0.0", 5000));
  world.move();
  EXPECT_EQ(world.a.addresses(), (std::vector{ip("10.0.0.7"), ip("2001:db8:c::7")}));
  ASSERT_TRUE(any.socket->send_to(io::as_bytes("ask"), at("203.0.113.1", 53)));
  world.simulation.run_for(1s);
  EXPECT_EQ(world.server.senders(), (Senders{at("198.51.100.2", 5000)}));
  ASSERT_TRUE(world.server.socket->send_to(io::as_bytes("answer"), at("198.51.100.2", 5000)));
  world.simulation.run_for(1s);
  EXPECT_EQ(any.senders(), (Senders{at("203.0.113.1", 53)}));
}

TEST(Move, ASocketBoundToTheOldAddressCannotSend) {
  TwoNetworks world;
  Mailbox bound(world, world.a, at("192.168.1.10", 5000));
  world.move();
  EXPECT_EQ(error_of(bound.socket->send_to(io::as_bytes("ask"), at("203.0.113.1", 53))),
            std::errc::network_unreachable);
}

TEST(Move, AFamilyThatTheHostDidNotHaveWorksAtOnce) {
  TwoNetworks world;
  EXPECT_EQ(error_of(world.a.bind(at("::", 0))), std::errc::address_not_available);
  world.move();
  auto listener = world.s.listen(at("::", 443)).value();
  const auto dialled = world.a.dial(at("2001:db8:5::1", 443), std::nullopt).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  EXPECT_EQ(dialled->local().address, ip("2001:db8:c::7"));
}

TEST(Move, ATcpConnectionSaysNothingAndTimesOut) {
  TwoNetworks world;
  auto listener = world.s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = world.a.dial(at("203.0.113.1", 443), std::nullopt).value();
  ASSERT_TRUE(world.run(connect(dialled)));
  world.move();
  ASSERT_TRUE(world.run(write_text(dialled, "lost")));
  EXPECT_FALSE(world.try_run(read_some(dialled), 5min));
  const auto failed = world.try_run(read_some(dialled), 1h);
  ASSERT_TRUE(failed);
  EXPECT_EQ(error_of(*failed), std::errc::timed_out);
}

TEST(Move, ATcpConnectionRecoversWhenTheAddressComesBack) {
  TwoNetworks world;
  auto listener = world.s.listen(at("0.0.0.0", 443)).value();
  const auto dialled = world.a.dial(at("203.0.113.1", 443), std::nullopt).value();
  const auto accepted = world.run(accept_one(*listener));
  world.move();
  ASSERT_TRUE(world.run(write_text(dialled, "late")));
  world.simulation.run_for(5s);
  world.a.readdress(0, {ip("192.168.1.10")});
  ASSERT_TRUE(world.home.attach(world.a.port(), {ip("192.168.1.10")}, {}));
  EXPECT_EQ(world.run(read_text(accepted, 4)).value(), "late");
}

}  // namespace
}  // namespace flaresim::net
