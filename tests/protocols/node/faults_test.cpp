#include <gtest/gtest.h>

#include "tests/protocols/node/faulty_muxer.h"
#include "tests/protocols/node/world.h"

namespace flaresim::node {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::FaultProfile;
using support::Faults;
using support::Peer;
using support::World;

/// A relay, and two peers that meet on it and punch.
void meet(World& world, const NodeProfile& with) {
  auto& relay = world.add("9.9.9.9", "", with);
  auto& a = world.add("192.168.0.2", "1.1.1.1", with);
  auto& b = world.add("192.168.0.2", "2.2.2.2", with);
  a.host.raise_firewall();
  b.host.raise_firewall();
  relay.node.start_relay_service();

  const auto reserving =
      support::start(world.scheduler, b.node.relay_client().reserve(relay.id(), relay.addresses()));
  const auto joining = support::start(world.scheduler, a.swarm().dial({relay.id(), relay.addresses()}));
  world.scheduler.run_for(30s);
  const auto circuit = relay.address().with_peer(relay.id()).encapsulate(Multiaddr::circuit());
  const auto meeting =
      support::start(world.scheduler, a.swarm().dial({b.id(), std::vector<Multiaddr>(1, circuit)}));
  world.scheduler.run_for(200s);
  EXPECT_TRUE(reserving.done());
  EXPECT_TRUE(joining.done());
  EXPECT_TRUE(meeting.done());
  EXPECT_EQ(a.node.hole_puncher().active() + b.node.hole_puncher().active(), 0u);
}

/// While their messages are spoilt. What is left behind when it ends is what `World` looks for.
std::uint64_t meet(const FaultProfile& profile, std::uint64_t seed) {
  World world;
  const auto faults = std::make_shared<Faults>(world.scheduler, profile, seed);
  NodeProfile with;
  with.swarm.muxer_tap = [faults](muxer::MuxedConnectionPtr muxed) { return faults->tap(std::move(muxed)); };
  meet(world, with);
  world.end();
  EXPECT_EQ(faults->streams(), 0u);
  return faults->spoilt();
}

class SpoiltMessages : public testing::TestWithParam<std::pair<const char*, FaultProfile>> {};

TEST_P(SpoiltMessages, LeaveNothingBehind) {
  std::uint64_t spoilt = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) spoilt += meet(GetParam().second, seed);
  EXPECT_GT(spoilt, 40u);
}

INSTANTIATE_TEST_SUITE_P(EveryWay, SpoiltMessages, testing::ValuesIn(support::every_way_to_spoil),
                         [](const auto& way) { return way.param.first; });

}  // namespace
}  // namespace flaresim::node
