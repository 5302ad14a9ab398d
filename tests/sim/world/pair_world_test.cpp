#include "sim/world/pair_world.h"

#include <gtest/gtest.h>

#include <fstream>

#include "sim/world/trial.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  long total = 0;
  long resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident) * 4096.0 / (1024.0 * 1024.0);
}

void run_worlds(int worlds) {
  const auto scenario = load("scenarios/flare-2022.yaml", {});
  const int warm_up = 100;
  double before = 0;
  for (int i = 0; i < worlds; ++i) {
    if (i == warm_up) before = resident_mib();
    world::run_trial(scenario, world_data(), 1, static_cast<std::uint64_t>(i), {});
  }
  EXPECT_LT(resident_mib() - before, 2.0)
      << "MiB more after " << worlds - warm_up << " worlds, from " << before;
}

TEST(PairWorlds, FourHundredInOneProcessLeakNothing) { run_worlds(400); }
TEST(PairWorldsLong, TenThousandInOneProcessLeakNothing) { run_worlds(10'000); }

TEST(PairWorld, LeavesNothingRunningWhenShutDownInTheMiddleOfAnything) {
  const auto scenario = pair_scenario("port-restricted", "port-restricted");
  const io::Random random(5);
  world::Geography geography(scenario, world_data());
  const auto drawn = world::draw(scenario, geography, random);
  for (int step = 0; step < 60; ++step) {
    world::PairWorld world(scenario, world_data(), geography, drawn, random);
    auto& b = world.b();
    auto& relay = world.relay();
    io::spawn(world.simulation().executor(), [](world::PairWorld& in) -> io::Task<> {
      co_await in.b().node->relay_client().reserve(in.relay().node->id(),
                                                   in.addresses_of(in.relay(), world::Transport::tcp));
      auto circuit =
          in.addresses_of(in.relay(), world::Transport::tcp).front().with_peer(in.relay().node->id());
      swarm::DialRequest request{in.b().node->id(),
                                 {circuit.encapsulate(multiformats::Multiaddr::circuit())},
                                 false,
                                 std::nullopt,
                                 {}};
      co_await in.a().node->swarm().dial(std::move(request));
    }(world));
    world.simulation().run_for(std::chrono::milliseconds(10 * step));
    world.shut_down();
    EXPECT_EQ(world.simulation().armed_timers(), 0u) << "stopped after " << 10 * step << " ms";
    EXPECT_EQ(relay.node->relay_service()->reservations(), 0u);
    EXPECT_EQ(relay.node->relay_service()->circuits(), 0u);
    EXPECT_TRUE(b.node->swarm().connections().empty());
    EXPECT_EQ(b.node->hole_puncher().active(), 0u);
    EXPECT_EQ(world.a().node->hole_puncher().active(), 0u);
  }
}

}  // namespace
}  // namespace flaresim::test
