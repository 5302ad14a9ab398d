#include "protocols/node/node.h"

#include <gmock/gmock.h>

#include "tests/protocols/node/world.h"

namespace flaresim::node {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::World;
using testing::Contains;
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
  EXPECT_THAT(a.swarm().peers().find(b.id()).protocols, Not(Contains(hop)));
  b.node.start_relay_service();
  world.scheduler.run_for(2s);
  EXPECT_THAT(a.swarm().peers().find(b.id()).protocols, Contains(hop));
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

}  // namespace
}  // namespace flaresim::node
