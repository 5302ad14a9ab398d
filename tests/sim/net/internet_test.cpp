#include "sim/net/internet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/protocols/support/error_of.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::net {
namespace {

/// Two probes and the packets that one sends the other: 40 bytes each, told apart by their sequence numbers.
struct Path : SmallWorld {
  explicit Path(LinkProfile link_a = {}, LinkProfile link_b = {}, CoreProfile core = {},
                std::uint64_t seed = 1)
      : SmallWorld({}, core, seed) {
    site_a = plug(a, "a", {ip("192.0.2.1"), ip("2001:db8:a::1")}, link_a);
    site_b = plug(b, "b", {ip("192.0.2.2")}, link_b);
  }
  void send(std::uint32_t number, std::uint16_t port = 1) {
    a.send_segment(at("192.0.2.1", port), at("192.0.2.2", 1), tcp_ack, number);
  }
  std::vector<std::uint32_t> order() const {
    std::vector<std::uint32_t> numbers;
    for (const auto& each : b.received) numbers.push_back(each.packet.tcp_sequence);
    return numbers;
  }

  Probe a{simulation};
  Probe b{simulation};
  Internet::SiteId site_a = 0;
  Internet::SiteId site_b = 0;
};

TEST(Internet, DelaysAddUpExactly) {
  Path path({.up = {.delay = 3ms}, .down = {.delay = 100ms}},
            {.up = {.delay = 200ms}, .down = {.delay = 7ms}});
  path.send(1);
  path.simulation.run_for(1s);
  ASSERT_EQ(path.b.received.size(), 1u);
  EXPECT_EQ(path.b.received[0].at, t0 + 3ms + 50ms + 7ms);
}

TEST(Internet, ExtraDelayIsOfOneDirectionOfOnePair) {
  Path path;
  path.internet.set_extra_delay(path.site_a, path.site_b, 40ms);
  path.send(1);
  path.b.send_segment(at("192.0.2.2", 1), at("192.0.2.1", 1), tcp_ack, 1);
  path.simulation.run_for(1s);
  EXPECT_EQ(path.b.received.at(0).at, t0 + 90ms);
  EXPECT_EQ(path.a.received.at(0).at, t0 + 50ms);
}

TEST(Internet, WhatNobodyHoldsIsDroppedAndSeen) {
  Path path;
  std::vector<std::pair<CoreDrop, io::Endpoint>> drops;
  path.internet.on_drop(
      [&](CoreDrop why, const PacketSummary& packet) { drops.emplace_back(why, packet.destination); });
  path.a.send_segment(at("192.0.2.1", 1), at("10.0.0.1", 9), tcp_syn, 1);
  path.simulation.run_for(1s);
  EXPECT_EQ(drops, (std::vector{std::pair(CoreDrop::no_route, at("10.0.0.1", 9))}));
  EXPECT_EQ(path.internet.counters().no_route, 1u);
}

TEST(Internet, AddressesAreHeldByOneSite) {
  Path path;
  Probe second(path.simulation);
  const auto attach = [&](const char* address, std::size_t region) {
    const Site site{.name = "second", .region = region, .link = {}, .addresses = {ip(address)}};
    return path.internet.attach(second, site);
  };
  EXPECT_EQ(error_of(attach("192.0.2.1", 0)), std::errc::address_in_use);
  EXPECT_EQ(error_of(attach("2001:db8:a::2", 0)), std::errc::address_in_use);  // the same /64
  EXPECT_EQ(error_of(attach("192.0.2.3", 1)), std::errc::invalid_argument);
  EXPECT_TRUE(attach("2001:db8:a:1::2", 0));
}

TEST(Internet, ARateSerialisesPacketsExactly) {
  // 40 bytes at 1 Mbit/s take 320 us, whichever end the rate is at.
  for (const bool at_the_far_end : {false, true}) {
    const LinkDirection slow{.delay = 5ms, .bits_per_second = 1'000'000};
    Path path({.up = at_the_far_end ? LinkDirection{} : slow},
              {.down = at_the_far_end ? slow : LinkDirection{}});
    for (std::uint32_t i = 0; i < 10; ++i) path.send(i);
    path.simulation.run_for(1s);
    ASSERT_EQ(path.b.received.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(path.b.received[i].at, t0 + 55ms + 320us * (i + 1));
  }
}

TEST(Internet, ARateThatDividesUnevenlyRoundsUpToTheNanosecond) {
  Path path({.up = {.bits_per_second = 3'000'000'000}});  // 320 bits: 106.67 ns
  path.send(1);
  path.simulation.run_for(1s);
  EXPECT_EQ(path.b.received.at(0).at, t0 + 50ms + 107ns);
}

TEST(Internet, AFullQueueDropsAtItsTail) {
  for (const bool at_the_far_end : {false, true}) {
    const LinkDirection narrow{.bits_per_second = 1'000'000, .queue_bytes = 200};  // five packets
    Path path({.up = at_the_far_end ? LinkDirection{} : narrow},
              {.down = at_the_far_end ? narrow : LinkDirection{}});
    for (std::uint32_t i = 0; i < 8; ++i) path.send(i);
    path.simulation.run_for(1s);
    EXPECT_EQ(path.order(), (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(path.internet.counters().queue_full, 3u);
    path.send(8);  // it has drained since
    path.simulation.run_for(1s);
    EXPECT_EQ(path.order().back(), 8u);
  }
}

/// A path through a core of two links with a place in the middle; both ends are one region each.
struct CorePath : SmallWorld {
  explicit CorePath(LinkDirection first, LinkDirection second)
      : SmallWorld(), core(simulation, {{0ms, 50ms}, {50ms, 0ms}}, random.derive("core")) {
    core.set_core({{{"1", first}, {"2", second}}, {{{}, {0, 1}}, {{1, 0}, {}}}});
    core.attach(a, {.name = "a", .region = 0, .addresses = {ip("192.0.2.1")}}).value();
    core.attach(b, {.name = "b", .region = 1, .addresses = {ip("192.0.2.2")}}).value();
    core.attach(c, {.name = "c", .region = 0, .addresses = {ip("192.0.2.3")}}).value();
  }
  /// 40 bytes.
  static void send(Probe& from, const char* source, const char* destination, std::uint32_t number) {
    from.send_segment(at(source, 1), at(destination, 1), tcp_ack, number);
  }

  Internet core;
  Probe a{simulation};
  Probe b{simulation};
  Probe c{simulation};
};

TEST(CoreLinks, DelaysOfLinksTakeThePlaceOfThoseBetweenRegions) {
  CorePath path({.delay = 3ms}, {.delay = 4ms, .bits_per_second = 320'000});  // 1 ms a packet
  CorePath::send(path.a, "192.0.2.1", "192.0.2.2", 1);
  CorePath::send(path.a, "192.0.2.1", "192.0.2.3", 2);  // stays in its region
  path.simulation.run_for(1s);
  EXPECT_EQ(path.b.received.at(0).at, t0 + 3ms + 1ms + 4ms);
  EXPECT_EQ(path.c.received.at(0).at, t0);
}

TEST(CoreLinks, PacketsOfDifferentSitesWaitForEachOther) {
  CorePath path({.delay = 3ms, .bits_per_second = 320'000}, {.delay = 4ms});
  CorePath::send(path.a, "192.0.2.1", "192.0.2.2", 1);
  CorePath::send(path.c, "192.0.2.3", "192.0.2.2", 2);
  path.simulation.run_for(1s);
  EXPECT_EQ(path.b.received.at(0).at, t0 + 1ms + 7ms);
  EXPECT_EQ(path.b.received.at(1).at, t0 + 2ms + 7ms);
}

TEST(CoreLinks, AFullQueueDropsAtTheTailAndCounts) {
  CorePath path({.bits_per_second = 320'000, .queue_bytes = 120}, {});
  for (std::uint32_t i = 0; i < 5; ++i) CorePath::send(path.a, "192.0.2.1", "192.0.2.2", i);
  path.simulation.run_for(1s);
  EXPECT_EQ(path.b.received.size(), 3u);
  EXPECT_EQ(path.core.counters().queue_full, 2u);
}

TEST(CoreLinks, LoseTheirShareAndKeepTheirOrder) {
  CorePath path({.delay = 9ms, .jitter = 9ms, .loss = 0.1}, {.delay = 9ms, .jitter = 9ms, .loss = 0.1});
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    CorePath::send(path.a, "192.0.2.1", "192.0.2.2", i);
    path.simulation.run_for(1ms);
  }
  path.simulation.run_for(1s);
  std::vector<std::uint32_t> order;
  for (const auto& each : path.b.received) order.push_back(each.packet.tcp_sequence);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_NEAR(static_cast<double>(order.size()), 8100, 200);  // five standard deviations
  EXPECT_EQ(order.size() + path.core.counters().lost, 10'000u);
}

TEST(CoreLinks, AccessLinksAndCutsWorkAsWithoutThem) {
  SmallWorld world;
  Internet core(world.simulation, {{0ms, 50ms}, {50ms, 0ms}}, world.random.derive("core"));
  core.set_core({{{"1", {.delay = 5ms}}}, {{{}, {0}}, {{0}, {}}}});
  Probe a(world.simulation), b(world.simulation);
  const auto at_a = core.attach(
      a, {.name = "a", .region = 0, .link = {.up = {.delay = 2ms}}, .addresses = {ip("192.0.2.1")}});
  const auto at_b = core.attach(
      b, {.name = "b", .region = 1, .link = {.down = {.delay = 3ms}}, .addresses = {ip("192.0.2.2")}});
  core.set_extra_delay(*at_a, *at_b, 40ms);
  CorePath::send(a, "192.0.2.1", "192.0.2.2", 1);
  world.simulation.run_for(1s);
  EXPECT_EQ(b.received.at(0).at, t0 + 2ms + 5ms + 40ms + 3ms);
  core.cut(*at_a, *at_b);
  CorePath::send(a, "192.0.2.1", "192.0.2.2", 2);
  world.simulation.run_for(1s);
  EXPECT_EQ(b.received.size(), 1u);
}

TEST(Internet, JitterSpreadsDelaysButNeverReordersAFlow) {
  const LinkDirection jittery{.delay = 20ms, .jitter = 20ms};
  for (const std::uint64_t rate : {0, 100'000'000}) {
    auto down = jittery;
    down.bits_per_second = rate;
    Path path({.up = jittery}, {.down = down}, {.jitter = 10ms, .loss = 0});
    std::vector<io::TimePoint> sent;
    for (std::uint32_t i = 0; i < 2000; ++i) {
      sent.push_back(path.simulation.now());
      path.send(i, static_cast<std::uint16_t>(1 + i % 3));
      path.simulation.run_for(2ms);
    }
    path.simulation.run_for(1s);
    const auto order = path.order();
    ASSERT_EQ(order.size(), 2000u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    auto shortest = io::Duration::max(), longest = io::Duration::min();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto delay = path.b.received[i].at - sent[i];
      shortest = std::min(shortest, delay);
      longest = std::max(longest, delay);
    }
    EXPECT_GE(shortest, 50ms);
    EXPECT_LE(longest, 50ms + 2 * 40ms + 10ms + 1ms);
    EXPECT_GT(longest - shortest, 40ms);
  }
}

TEST(Internet, LossLosesItsShare) {
  struct Case {
    LinkProfile a, b;
    CoreProfile core;
  };
  const Case cases[] = {{{.up = {.loss = 0.1}}, {}, {}},
                        {{}, {.down = {.loss = 0.1}}, {}},
                        {{}, {.down = {.bits_per_second = 1'000'000'000, .loss = 0.1}}, {}},
                        {{}, {}, {.jitter = {}, .loss = 0.1}}};
  for (const auto& each : cases) {
    Path path(each.a, each.b, each.core);
    for (std::uint32_t i = 0; i < 10'000; ++i) path.send(i);
    path.simulation.run_for(1s);
    EXPECT_NEAR(static_cast<double>(path.b.received.size()), 9000, 150);  // five standard deviations
    EXPECT_EQ(path.b.received.size() + path.internet.counters().lost, 10'000u);
  }
}

TEST(Internet, TheDirectionsOfALinkAreTheirOwn) {
  Path path({.up = {.loss = 1}});
  path.send(1);
  path.b.send_segment(at("192.0.2.2", 1), at("192.0.2.1", 1), tcp_ack, 1);
  path.simulation.run_for(1s);
  EXPECT_TRUE(path.b.received.empty());
  EXPECT_EQ(path.a.received.size(), 1u);
}

TEST(Internet, APortMayGoWhilePacketsAreUnderWay) {
  Path path;
  {
    Probe guest(path.simulation);
    path.plug(guest, "guest", {ip("192.0.2.5")});
    path.a.send_segment(at("192.0.2.1", 1), at("192.0.2.5", 1), tcp_syn, 1);
    path.simulation.run_for(10ms);
  }
  path.simulation.run_for(1s);
  EXPECT_EQ(path.internet.counters().forwarded, 1u);
}

TEST(Internet, AnotherSiteChangesNobodysRandomNumbers) {
  const auto deliveries = [](bool with_stranger) {
    SmallWorld world;
    Probe a(world.simulation), b(world.simulation), c(world.simulation);
    if (with_stranger) world.plug(c, "c", {ip("192.0.2.3")}, {.up = {.loss = 0.5}});
    world.plug(a, "a", {ip("192.0.2.1")}, {.up = {.delay = 20ms, .jitter = 20ms}});
    world.plug(b, "b", {ip("192.0.2.2")});
    std::vector<io::TimePoint> times;
    for (std::uint32_t i = 0; i < 100; ++i) {
      a.send_segment(at("192.0.2.1", 1), at("192.0.2.2", 1), tcp_ack, i);
      if (with_stranger) c.send_segment(at("192.0.2.3", 1), at("192.0.2.2", 2), tcp_ack, i);
      world.simulation.run_for(100ms);
    }
    for (const auto& each : b.received) {
      if (each.packet.destination.port == 1) times.push_back(each.at);
    }
    return times;
  };
  EXPECT_EQ(deliveries(false), deliveries(true));
}

}  // namespace
}  // namespace flaresim::net
