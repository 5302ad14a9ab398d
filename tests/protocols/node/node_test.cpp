#include "protocols/node/node.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/protocols/node/world.h"

namespace flaresim::node {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::World;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

TEST(Node, TwoNodesPingAndIdentifyEachOther) {
  World world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto connection = world.connect(a, b);
  EXPECT_EQ(world.run(a.node.ping().ping(connection)).value(), 20ms);
  EXPECT_EQ(b.swarm().peers().find(a.id()).agent, "flaresim/0.1.0");
  EXPECT_THAT(a.swarm().peers().find(b.id()).addresses, Contains(b.address()));
}

TEST(Node, ANewRelayServiceIsToldToConnectedPeers) {
  World world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  world.connect(a, b);
  const std::string hop(relay::hop_protocol);
  EXPECT_THAT(a.swarm().peers().find(b.id()).protocols(), Not(Contains(hop)));
  b.node.start_relay_service();
  world.scheduler.run_for(2s);
  EXPECT_THAT(a.swarm().peers().find(b.id()).protocols(), Contains(hop));
}

TEST(Node, CanBeDestroyedInTheMiddleOfEverything) {
  support::TestScheduler scheduler;
  support::MemoryInternet internet(scheduler);
  auto& host_a = internet.add_host("1.1.1.1");
  auto& host_b = internet.add_host("2.2.2.2");
  // After each number of milliseconds of a connection, its handshake and identify.
  for (int delay = 0; delay < 150; delay += 3) {
    auto a = std::make_unique<support::Peer>(host_a, 4001, 1, NodeProfile());
    auto b = std::make_unique<support::Peer>(host_b, 4001, 2, NodeProfile());
    b->node.start_relay_service();
    const auto reserving = support::start(scheduler, a->node.relay_client().reserve(b->id(), b->addresses()));
    scheduler.run_for(std::chrono::milliseconds(delay));
    a.reset();
    b.reset();
    scheduler.run_for(30s);
    EXPECT_TRUE(reserving.done()) << delay;
    EXPECT_EQ(scheduler.armed_timers(), 0u) << delay;
  }
}

TEST(ShuttingDown, EndsADialBackInThatInstant) {
  NodeProfile profile;
  profile.autonat.emplace().from = ReachabilityFrom::v2;
  World world;
  auto& server = world.add("1.1.1.1", "", profile);
  auto& user = world.add("2.2.2.2", "", profile);
  user.host.raise_firewall();  // so that the dial-back takes its time
  world.connect(user, server);
  const auto dials_back = [&] {
    return std::ranges::any_of(world.internet.syns, [&](const support::Syn& syn) {
      return syn.from.address == server.host.outside() && syn.to.address == user.host.outside();
    });
  };
  ASSERT_TRUE(world.scheduler.run_until(dials_back, 1min));
  EXPECT_EQ(server.node.autonat_v2_server()->active(), 1u);
  server.node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(server.node.autonat_v2_server()->active(), 0u);
  EXPECT_EQ(server.host.open_sockets(), 0u);
}

TEST(ShuttingDown, LeavesNoTrimForLater) {
  NodeProfile profile;
  profile.connection_manager = {.low_water = 1, .high_water = 1, .silence = 1h};
  World world;
  auto& hub = world.add("1.1.1.1", "", profile);
  for (const auto* address : {"2.2.2.2", "3.3.3.3"}) world.connect(world.add(address), hub);
  EXPECT_EQ(hub.swarm().connections().size(), 2u);  // too many, but too young
  world.end();                                      // expects that no timer is armed
}

TEST(ShuttingDown, ReleasesReservations) {
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("2.2.2.2");
  relay.node.start_relay_service();
  ASSERT_TRUE(world.run(a.node.relay_client().reserve(relay.id(), relay.addresses())));
  std::vector<std::error_code> why;
  a.node.relay_client().on_lost(
      [&](const multiformats::PeerId&, std::error_code reason) { why.push_back(reason); });
  a.node.shut_down();
  world.scheduler.run_for(1s);
  EXPECT_THAT(why, ElementsAre(relay::Error::released));
}

}  // namespace
}  // namespace flaresim::node
