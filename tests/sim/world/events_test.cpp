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

world::Scenario with_events(const std::string& events, const std::string& nat = "port-restricted") {
  return pair_scenario(nat, nat, {{"events", events}});
}

world::Trial run(const world::Scenario& scenario, std::uint64_t index = 0) {
  return world::run_trial(scenario, world_data(), /*seed=*/11, index, {.timeline = true, .captures = {}});
}

const world::Event* find(const world::Trial& trial, const std::string& node, const std::string& what) {
  const auto found = std::ranges::find_if(
      trial.timeline, [&](const auto& event) { return event.node == node && event.what == what; });
  return found == trial.timeline.end() ? nullptr : &*found;
}

std::string complaint(const std::string& events) {
  const auto scenario = world::load_scenario(source_dir + "/scenarios/pair.yaml", {{"events", events}},
                                             source_dir + "/topologies");
  return scenario ? "" : scenario.error().message;
}

TEST(Events, AreReadAndWrittenBack) {
  const auto scenario = with_events(
      "[{at: 1 s, gateway: a, do: reboot, off: 5 s}, {at: {between: [2 s, 3 s]}, gateway: b, do: flush}, "
      "{at: 4 s, gateway: a, do: switch, nat: symmetric}, {at: 5 s, peer: b, do: link-down}, "
      "{at: 6 s, gateway: b, do: change-address}]");
  ASSERT_EQ(scenario.events.size(), 5u);
  EXPECT_EQ(scenario.events[0].off, 5s);
  EXPECT_EQ(scenario.events[1].latest, 3s);
  EXPECT_EQ(scenario.events[2].nat, "symmetric");
  EXPECT_FALSE(scenario.events[3].at_gateway);
  const auto path = testing::TempDir() + "events.yaml";
  std::ofstream(path) << world::to_yaml(scenario);
  EXPECT_EQ(world::load_scenario(path, {}, source_dir + "/topologies").value(), scenario);
}

TEST(Events, MistakesAreNamed) {
  EXPECT_THAT(complaint("[{at: 1 s, gateway: c, do: flush}]"), HasSubstr("there is no gateway 'c'"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: rebot}]"), HasSubstr("did you mean 'reboot'"));
  EXPECT_THAT(complaint("[{at: 1 s, peer: a, do: flush}]"), HasSubstr("there is no event 'flush'"));
  EXPECT_THAT(complaint("[{at: 1 s, do: flush}]"), HasSubstr("expected gateway or peer"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: switch}]"), HasSubstr("'nat' is missing"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: flush, nat: linux}]"),
              HasSubstr("only switch has a nat"));
  EXPECT_THAT(complaint("[{at: {between: [3 s, 2 s]}, gateway: a, do: flush}]"), HasSubstr("from 3 s"));
  EXPECT_THAT(complaint("[{gateway: a, do: flush}]"), HasSubstr("'at' is missing"));
  EXPECT_THAT(complaint("{at: 1 s}"), HasSubstr("a list of events"));
}

TEST(Events, HappenAtTheirTimeAndAreToldOf) {
  const auto trial = run(with_events("[{at: 250 ms, gateway: a, do: reboot, off: 2 s}]"));
  const auto* const reboot = find(trial, "nat-a", "event.reboot");
  ASSERT_NE(reboot, nullptr);
  EXPECT_EQ(reboot->at, 250ms);
  EXPECT_EQ(reboot->detail, "off for 2 s");
}

TEST(Events, RandomTimesDifferByTrialAndNotByRun) {
  const auto scenario = with_events("[{at: {between: [1 ms, 300 ms]}, gateway: a, do: flush}]");
  const auto at = [&](std::uint64_t index) {
    const auto trial = run(scenario, index);
    const auto* const event = find(trial, "nat-a", "event.flush");
    return event ? event->at : -1ns;
  };
  EXPECT_EQ(at(0), at(0));
  EXPECT_NE(at(0), at(1));
  EXPECT_GE(at(1), 1ms);
  EXPECT_LE(at(1), 300ms);
}

TEST(Events, AnotherNatDecidesFromThenOn) {
  EXPECT_EQ(run(with_events("[]")).outcome, Outcome::success);
  const auto trial =
      run(with_events("[{at: 0 s, gateway: a, do: switch, nat: symmetric}, {at: 0 s, gateway: b, do: switch, "
                      "nat: symmetric}]"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, world::Cause::silence);
}

TEST(Events, APunchIntoARebootingGatewayFailsInTheExchangeOfTheNextAttempt) {
  // The gateway of B goes down in the very instant in which B dials, and with it the way over the relay.
  const auto usual = run(with_events("[]"));
  const auto* const dial = find(usual, "B", "dcutr.dial");
  ASSERT_NE(dial, nullptr);
  const auto trial = run(with_events("[{at: " + std::to_string(dial->at.count()) +
                                     " ns, gateway: b, do: reboot, off: 10 min}]"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, world::Cause::protocol_error);
  const auto* const lost = find(trial, "nat-b", "nat.drop");
  ASSERT_NE(lost, nullptr);
  EXPECT_THAT(lost->detail, HasSubstr("restarting"));
}

TEST(Events, APeerWithoutALinkReachesNoRelay) {
  const auto trial = run(with_events("[{at: 0 s, peer: b, do: link-down}]"));
  EXPECT_EQ(trial.outcome, Outcome::no_connection);
  EXPECT_EQ(trial.cause, world::Cause::relay_unreachable);
}

TEST(Events, ANewLeaseIsUsedByWhatComesLater) {
  for (const char* nat : {"port-restricted", "open"}) {
    const auto trial = run(with_events("[{at: 0 s, gateway: a, do: change-address}]", nat));
    const auto* const event = find(trial, "nat-a", "event.change-address");
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->detail, "84.16.40.8");
    EXPECT_TRUE(trial.outcome == Outcome::success || trial.outcome == Outcome::connection_reversed)
        << to_string(trial.outcome);
  }
}

}  // namespace
}  // namespace flaresim::test
