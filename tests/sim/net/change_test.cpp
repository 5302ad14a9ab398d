#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "sim/net/nat_box.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

const LinkProfile lan{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

/// Host `a` behind a box, and a public host `s` that echoes nothing by itself.
struct Home : SmallWorld {
  explicit Home(const char* behaviour = "EIM/APDF/random")
      : box(simulation, nat::parse_behaviour(behaviour).value(), ip("198.51.100.1"), random.derive("box")),
        a(simulation, {ip("192.168.1.10")}, random.derive("a")) {
    site = plug(box.outside(), "home", {ip("198.51.100.1")});
    EXPECT_TRUE(box.attach(a.port(), a.addresses(), lan));
    server = s.bind(at("0.0.0.0", 53)).value();
    client = a.bind(at("0.0.0.0", 5000)).value();
    io::spawn(simulation.executor(), collect(*server, at_server));
    io::spawn(simulation.executor(), collect(*client, at_client));
  }

  ~Home() {
    server->close();
    client->close();
    simulation.drain();
  }

  /// Where the server sees a datagram of the client come from; nothing when it does not arrive.
  std::optional<io::Endpoint> ask() {
    if (!client->send_to(io::as_bytes("ask"), at("203.0.113.1", 53))) return {};
    simulation.run_for(1s);
    const auto heard = std::exchange(at_server, {});
    return heard.empty() ? std::nullopt : std::optional(heard.back());
  }
  /// Whether a datagram of the server to that endpoint reaches the client.
  bool reaches(const io::Endpoint& to) {
    EXPECT_TRUE(server->send_to(io::as_bytes("answer"), to));
    simulation.run_for(1s);
    return !std::exchange(at_client, {}).empty();
  }

  /// Who sent what a socket receives until it is closed.
  static io::Task<> collect(io::DatagramSocket& socket, std::vector<io::Endpoint>& into) {
    for (;;) {
      const auto datagram = co_await socket.receive();
      if (!datagram) co_return;
      into.push_back(datagram->from);
    }
  }

  std::vector<io::Endpoint> at_server;
  std::vector<io::Endpoint> at_client;
  NatBox box;
  Host a;
  Host& s = add_host("s", {ip("203.0.113.1")});
  Internet::SiteId site = 0;
  std::unique_ptr<io::DatagramSocket> server;
  std::unique_ptr<io::DatagramSocket> client;
};

TEST(Change, ARebootingBoxPassesNothingAndForgetsItsTableAndItsPorts) {
  Home world;
  const auto before = world.ask().value();
  EXPECT_TRUE(world.reaches(before));
  std::vector<NatEvent> events;
  world.box.on_verdict([&](const NatEvent& event) { events.push_back(event); });
  world.box.reboot(30s);
  EXPECT_TRUE(world.box.restarting());
  EXPECT_FALSE(world.ask());
  EXPECT_FALSE(world.reaches(before));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[0].restarting && events[1].restarting);
  EXPECT_EQ(events[1].packet.source, at("203.0.113.1", 53));

  world.simulation.run_for(30s);
  EXPECT_FALSE(world.box.restarting());
  EXPECT_FALSE(world.reaches(before));
  const auto after = world.ask().value();
  EXPECT_NE(after, before);
  EXPECT_TRUE(world.reaches(after));
}

TEST(Change, ALostTableIsBuiltAgainFromInsideOnly) {
  Home world("EIM/APDF/preserve");
  const auto before = world.ask().value();
  world.box.flush();
  EXPECT_FALSE(world.reaches(before));
  EXPECT_EQ(world.ask().value(), before);
  EXPECT_TRUE(world.reaches(before));
}

TEST(Change, AnotherOutsideAddressTakesOverAndTheOldOneIsNobodys) {
  Home world("EIM/APDF/preserve");
  const auto before = world.ask().value();
  const std::vector<io::IpAddress> renewed{ip("198.51.100.77")};
  world.box.change_address(renewed);
  ASSERT_TRUE(world.internet.readdress(world.site, renewed));
  EXPECT_FALSE(world.reaches(before));
  EXPECT_EQ(world.internet.counters().no_route, 1u);
  EXPECT_EQ(world.ask().value(), at("198.51.100.77", 5000));
  EXPECT_TRUE(world.reaches(at("198.51.100.77", 5000)));
}

TEST(Change, AnAddressThatAnotherSiteHoldsIsRefused) {
  Home world;
  EXPECT_EQ(error_of(world.internet.readdress(world.site, {ip("203.0.113.1")})), std::errc::address_in_use);
  EXPECT_TRUE(world.ask());
}

TEST(Change, AnotherBehaviourHoldsAtOnce) {
  Home world("EIM/APDF/preserve");
  auto stranger = world.s.bind(at("0.0.0.0", 99)).value();
  const auto knock = [&] {
    world.ask();
    EXPECT_TRUE(stranger->send_to(io::as_bytes("knock"), at("198.51.100.1", 5000)));
    world.simulation.run_for(1s);
    return !std::exchange(world.at_client, {}).empty();
  };
  EXPECT_FALSE(knock());
  world.box.set_behaviour(nat::parse_behaviour("EIM/EIF/preserve").value());
  EXPECT_TRUE(knock());
}

TEST(Change, APulledCableLosesBothDirectionsWithoutAWordAndKeepsTheTable) {
  Home world;
  const auto before = world.ask().value();
  world.box.outside().set_link(false);
  EXPECT_FALSE(world.ask());
  EXPECT_FALSE(world.reaches(before));
  world.box.outside().set_link(true);
  EXPECT_EQ(world.ask().value(), before);
  EXPECT_TRUE(world.reaches(before));
}

TEST(Change, WhatIsUnderWayToAPortThatLeavesIsLost) {
  Home world;
  const auto before = world.ask().value();
  ASSERT_TRUE(world.server->send_to(io::as_bytes("answer"), before));
  world.simulation.run_for(50ms + 500us);  // on the LAN by now
  world.a.port().unplug();
  world.simulation.run_for(1s);
  EXPECT_TRUE(world.box.attach(world.a.port(), {ip("192.168.1.10")}, lan));
  EXPECT_TRUE(world.at_client.empty());
  EXPECT_TRUE(world.reaches(before));
}

TEST(Change, TheInnerBoxOfTwoMayGetAnotherAddressFromTheOuter) {
  Home world("EIM/APDF/preserve");
  NatBox inner(world.simulation, nat::parse_behaviour("EIM/APDF/preserve").value(), ip("192.168.1.2"),
               world.random.derive("inner"));
  ASSERT_TRUE(world.box.attach(inner.outside(), {ip("192.168.1.2")}, lan));
  world.a.port().unplug();
  ASSERT_TRUE(inner.attach(world.a.port(), {ip("192.168.1.10")}, lan));
  ASSERT_TRUE(world.ask());
  inner.change_address({ip("192.168.1.3")});
  EXPECT_EQ(error_of(world.box.readdress(world.a.port(), {ip("192.168.1.3")})), std::errc::not_connected);
  ASSERT_TRUE(world.box.readdress(inner.outside(), {ip("192.168.1.3")}));
  EXPECT_TRUE(world.reaches(world.ask().value()));
}

}  // namespace
}  // namespace flaresim::net
