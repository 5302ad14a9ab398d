// Whole nodes with modelled Noise beside the same nodes with the real one.

#include <gmock/gmock.h>

#include "protocols/crypto/keys.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/transport/datagram_net.h"

namespace flaresim::support {
namespace {

using namespace std::chrono_literals;
using security::NoiseMode;

struct Story {
  std::vector<std::string> lines;
  bool direct = false;
};

node::NodeProfile with(NoiseMode mode) {
  node::NodeProfile profile;
  profile.swarm.noise = mode;
  return profile;
}

/// Two peers behind firewalls meet through a relay and punch; everything that any of them told, and when.
Story meet(NoiseMode relays, NoiseMode peers) {
  World world;
  auto& relay = world.add("1.1.1.1", "", with(relays));
  auto& a = world.add("10.0.0.1", "2.2.2.1", with(peers));
  auto& b = world.add("10.0.0.2", "2.2.2.2", with(peers));
  a.host.raise_firewall();
  b.host.raise_firewall();
  EXPECT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(5min);
  Story story{.lines = {}, .direct = a.swarm().direct_connection_to(b.id()) != nullptr};
  for (const auto* peer : {&relay, &a, &b}) {
    for (const auto& event : peer->events) {
      story.lines.push_back(std::to_string(event.at.time_since_epoch().count()) + " " + event.what + " " +
                            event.detail);
    }
  }
  for (const auto& syn : world.internet.syns) {
    story.lines.push_back(std::to_string(syn.at.time_since_epoch().count()) + " " + io::to_string(syn.from) +
                          " to " + io::to_string(syn.to));
  }
  return story;
}

TEST(ModelledWorld, NodesTellTheSameStoryWithModelledNoiseAsWithTheRealOne) {
  const auto real = meet(NoiseMode::real, NoiseMode::real);
  EXPECT_TRUE(real.direct);
  EXPECT_GT(real.lines.size(), 20u);
  EXPECT_EQ(meet(NoiseMode::modelled, NoiseMode::modelled).lines, real.lines);
}

TEST(ModelledWorld, PeersThatAreStudiedLiveAmongModelledOnes) {
  const auto real = meet(NoiseMode::real, NoiseMode::real);
  EXPECT_EQ(meet(NoiseMode::modelled, NoiseMode::answer_modelled).lines, real.lines);
  EXPECT_EQ(meet(NoiseMode::answer_modelled, NoiseMode::modelled).lines, real.lines);
}

TEST(ModelledWorld, ASwarmOnANetworkThatIsNotSimulatedRefusesTheModel) {
  TestScheduler scheduler;
  DatagramNet net(scheduler, 1);
  const auto host = net.host("192.0.2.1");  // says of itself what real networks say
  ASSERT_FALSE(host->is_simulated());
  io::Random random(1);
  const auto key = crypto::PrivateKey::generate(random);
  for (const auto mode : {NoiseMode::modelled, NoiseMode::answer_modelled})
    EXPECT_THROW(swarm::Swarm(*host, key, with(mode).swarm), std::logic_error);
  EXPECT_NO_THROW(swarm::Swarm(*host, key, with(NoiseMode::real).swarm));
}

}  // namespace
}  // namespace flaresim::support
