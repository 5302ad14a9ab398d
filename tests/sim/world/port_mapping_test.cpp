#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "sim/world/trial.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using world::Outcome;

world::Scenario with_services(const std::string& services,
                              const std::vector<std::pair<std::string, std::string>>& more = {}) {
  std::vector<world::Assignment> assignments{{"gateways.home-a.services", services}};
  for (const auto& [key, value] : more) assignments.push_back({key, value});
  return world::load_scenario(source_dir + "/scenarios/port-mapping.yaml", assignments,
                              source_dir + "/topologies")
      .value();
}

world::Trial run(const world::Scenario& scenario) {
  return world::run_trial(scenario, world_data(), /*seed=*/3, 0, {.timeline = true, .captures = {}});
}

std::string mapped_at_a(const world::Trial& trial) {
  const auto found = std::ranges::find_if(
      trial.timeline, [](const auto& event) { return event.node == "A" && event.what == "ports.mapped"; });
  return found == trial.timeline.end() ? "" : found->detail;
}

class PortMapping : public testing::TestWithParam<const char*> {};

TEST_P(PortMapping, LetsTheOtherPeerDial) {
  const auto trial = run(with_services(GetParam()));
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << trial.error;
  EXPECT_THAT(mapped_at_a(trial), HasSubstr("/ip4/84.16."));
}

INSTANTIATE_TEST_SUITE_P(Services, PortMapping,
                         testing::Values("{nat_pmp: true}", "{pcp: true}", "{igd: 1}", "{igd: 2}",
                                         "{nat_pmp: true, pcp: true, igd: 2}",
                                         "{igd: 1, permanent_only: true}"));

TEST(PortMapping, WithoutItThesePeersDoNotMeet) {
  EXPECT_EQ(run(with_services("{igd: 2}", {{"protocol.port_mapping", "false"}})).outcome, Outcome::failed);
  EXPECT_EQ(run(with_services("{}")).outcome, Outcome::failed);
}

TEST(PortMapping, AnAddressThatIsNotPublicIsNotTold) {
  const auto trial = run(with_services("{nat_pmp: true, claimed_address: 100.64.0.1}"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
}

TEST(PortMapping, APortThatIsNotTheRightOneDoesNotHelp) {
  EXPECT_EQ(run(with_services("{nat_pmp: true, port_error: 1}")).outcome, Outcome::failed);
}

TEST_P(PortMapping, IsRemovedWhenThePeerEnds) {
  const auto trial = run(with_services(GetParam(), {{"discovery", "cold-start"},
                                                    {"relays", "{count: 4}"},
                                                    {"meet_at", "50 s"},
                                                    {"time_limit", "60 s"},
                                                    {"events", "[{at: 40 s, peer: a, do: stop}]"}}));
  const auto released =
      std::ranges::find_if(trial.timeline, [](const auto& event) { return event.what == "ports.released"; });
  ASSERT_NE(released, trial.timeline.end());
  EXPECT_EQ(released->node, "A");
  EXPECT_EQ(released->detail, "2");
  EXPECT_LT(released->at, 41s);
}

TEST(PortMapping, ServicesAreReadAndWrittenBack) {
  const auto scenario = with_services(
      "{nat_pmp: true, pcp: true, igd: 1, longest_lease: 90 s, forgets_after: 5 s, permanent_only: true, "
      "claimed_address: 10.0.0.1, port_error: 2, takes_over: true}");
  const auto path = testing::TempDir() + "services.yaml";
  std::ofstream(path) << world::to_yaml(scenario);
  EXPECT_EQ(world::load_scenario(path, {}, source_dir + "/topologies").value(), scenario);
}

TEST(PortMapping, MistakesAreNamed) {
  const auto complaint = [](const std::string& services) {
    const auto scenario =
        world::load_scenario(source_dir + "/scenarios/port-mapping.yaml",
                             {{"gateways.home-a.services", services}}, source_dir + "/topologies");
    return scenario ? "" : scenario.error().message;
  };
  EXPECT_THAT(complaint("{nat_pnp: true}"), HasSubstr("nat_pmp"));
  EXPECT_THAT(complaint("{igd: 3}"), HasSubstr("3"));
  EXPECT_THAT(complaint("{claimed_address: home}"), HasSubstr("expected an IPv4 address"));
}

}  // namespace
}  // namespace flaresim::test
