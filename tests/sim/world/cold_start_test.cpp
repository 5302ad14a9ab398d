// Two peers that boot with bootstrap addresses alone, from their first word to a direct connection.

#include <gmock/gmock.h>

#include <chrono>

#include "tests/sim/world/cold_start_scenario.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using world::Cause;
using world::Outcome;
using world::Phase;
using world::Trial;

Trial run(const world::Scenario& scenario, std::uint64_t index = 0) {
  return world::run_trial(scenario, world_data(), /*seed=*/5, index, {.timeline = true, .captures = {}});
}

std::optional<io::Duration> took(const Trial& trial, Phase phase) {
  return trial.phases[static_cast<std::size_t>(phase)];
}

std::vector<std::string> phases_told(const Trial& trial, const std::string& node) {
  std::vector<std::string> names;
  for (const auto& event : events_of(trial, node, "phase")) {
    names.push_back(event.detail.substr(0, event.detail.find(':')));
  }
  return names;
}

class ColdStart : public testing::TestWithParam<const char*> {};

TEST_P(ColdStart, OfTwoPortRestrictedHomesGoesThroughEveryPhaseInOrder) {
  const auto trial = run(cold_start("port-restricted", "port-restricted", {{"transports", GetParam()}}));
  ASSERT_TRUE(is_direct(trial)) << told(trial);
  EXPECT_EQ(phases_told(trial, "B"),
            (std::vector<std::string>{"1.1 dialability", "1.2 relays found", "1.3 reservation"}))
      << told(trial);
  const auto of_a = phases_told(trial, "A");
  EXPECT_THAT(of_a, testing::IsSupersetOf({"2.1 connection", "2.2 DCUtR"})) << told(trial);
  for (const auto phase : world::all_phases)
    EXPECT_TRUE(took(trial, phase)) << to_string(phase) << told(trial);
  EXPECT_EQ(trial.dialability_b, (world::Dialability{"private", "private"}));
  EXPECT_EQ(trial.transport, std::string(GetParam()).substr(1, std::string(GetParam()).size() - 2));
  EXPECT_FALSE(trial.relay_region.empty());
}

TEST_P(ColdStart, OfAFullConeHomeNeedsNeitherRelayNorPunch) {
  const auto trial = run(cold_start("symmetric", "full-cone", {{"transports", GetParam()}}));
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << told(trial);
  EXPECT_EQ(trial.dialability_b, (world::Dialability{"public", "public"})) << told(trial);
  EXPECT_FALSE(took(trial, Phase::reservation)) << told(trial);
  EXPECT_FALSE(took(trial, Phase::punch)) << told(trial);
}

TEST_P(ColdStart, OfTwoSymmetricHomesFailsInTheLastPhase) {
  const auto trial = run(cold_start("symmetric", "symmetric", {{"transports", GetParam()}}));
  EXPECT_EQ(trial.outcome, Outcome::failed) << told(trial);
  EXPECT_TRUE(took(trial, Phase::connection)) << told(trial);
  EXPECT_FALSE(took(trial, Phase::punch)) << told(trial);
}

INSTANTIATE_TEST_SUITE_P(Over, ColdStart, testing::Values("[tcp]", "[quic]"), [](const auto& transport) {
  return std::string(transport.param) == "[tcp]" ? "Tcp" : "Quic";
});

TEST(FromAColdStart, OfAPeerWhoseRouterForwardsPortsIsPublic) {
  const std::string gateways =
      "{home-a: {nat: symmetric, region: DE_frankfurt}, "
      "home-b: {nat: symmetric, region: UK_london, services: {igd: 2}}}";
  const auto scenario =
      load("scenarios/pair.yaml", from_a_cold_start({{"gateways", gateways},
                                                     {"peers", "{a: {behind: home-a}, b: {behind: home-b}}"},
                                                     {"protocol.port_mapping", "true"}}));
  const auto trial = run(scenario);
  EXPECT_EQ(trial.dialability_b, (world::Dialability{"public", "public"})) << told(trial);
  EXPECT_EQ(trial.dialability_a.truth, "private") << told(trial);
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << told(trial);
  EXPECT_FALSE(took(trial, Phase::punch)) << told(trial);
}

TEST(FromAColdStart, OfAPeerWithoutUdpFindsNobodyOverQuic) {
  const auto trial =
      run(cold_start("port-restricted", "udp-blocked", {{"transports", "[quic]"}, {"time_limit", "60 s"}}));
  EXPECT_EQ(trial.outcome, Outcome::no_connection) << told(trial);
  EXPECT_EQ(trial.cause, Cause::bootstrap_unreachable) << told(trial);
}

TEST(FromAColdStart, OfAPeerThatTakesItselfForPublicInVainEndsBeforeAnyConnection) {
  // A NAT with address-dependent filtering lets in the server that dials back, and nobody else.
  const auto trial = run(cold_start("port-restricted", "EIM/ADF/random", {{"time_limit", "3 min"}}));
  EXPECT_EQ(trial.dialability_b, (world::Dialability{"public", "private"})) << told(trial);
  EXPECT_EQ(trial.outcome, Outcome::no_connection) << told(trial);
  EXPECT_EQ(trial.cause, Cause::verdict_wrong) << told(trial);
}

class KilledRelays : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(KilledRelays, AreReplacedAndThePeerIsReachableAgain) {
  const auto [action, transports] = GetParam();
  const auto event = std::string("[{at: 90 s, peer: relays-of-b, do: ") + action + "}]";
  const auto trial = run(cold_start(
      "port-restricted", "port-restricted",
      {{"transports", transports}, {"events", event}, {"meet_at", "3 min"}, {"time_limit", "6 min"}}));
  ASSERT_TRUE(is_direct(trial)) << told(trial);
  const auto reserved = events_of(trial, "B", "reserve.ok");
  ASSERT_GE(reserved.size(), 4u) << told(trial);
  EXPECT_LT(reserved[1].at, 90s) << told(trial);
  EXPECT_EQ(events_of(trial, "B", "reserve.lost").size(), 2u) << told(trial);
  // Candidates that are left are asked at once. A dead line is noticed by Yamux's keep-alive, every 30 s with 10 s for an
  // answer, or QUIC's idle time limit of 30 s after the last packet, of which keep-alives send one every 15 s.
  const auto noticed = std::string(action) == "stop" ? 0s : 45s;
  EXPECT_GT(reserved[2].at, 90s) << told(trial);
  EXPECT_LT(reserved[3].at, 90s + noticed + 2s) << told(trial);
}

std::string how_killed(const testing::TestParamInfo<KilledRelays::ParamType>& info) {
  const auto [action, transports] = info.param;
  return std::string(action == std::string("stop") ? "Stop" : "DeadLine") +
         (transports == std::string("[tcp]") ? "OverTcp" : "OverQuic");
}

INSTANTIATE_TEST_SUITE_P(By, KilledRelays,
                         testing::Combine(testing::Values("stop", "link-down"),
                                          testing::Values("[tcp]", "[quic]")),
                         how_killed);

TEST(FromAColdStart, NamesTheLossOfTheRelayedConnectionBeforeThePunch) {
  const auto usual = run(cold_start("port-restricted", "port-restricted"));
  const auto relayed = events_of(usual, "B", "connected.relayed");
  ASSERT_FALSE(relayed.empty()) << told(usual);
  const auto event = "[{at: " + std::to_string(relayed[0].at.count()) + " ns, peer: relays-of-b, do: stop}]";
  const auto trial = run(cold_start("port-restricted", "port-restricted", {{"events", event}}));
  EXPECT_EQ(trial.outcome, Outcome::no_stream) << told(trial);
  EXPECT_EQ(trial.cause, Cause::relayed_connection_lost) << told(trial);
}

TEST(FromAColdStart, InOneHomeFindsThePeerByMulticast) {
  const auto scenario =
      load("scenarios/pair.yaml", from_a_cold_start({{"topology", "same-lan"}, {"protocol.mdns", "true"}}));
  const auto trial = run(scenario);
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << told(trial);
  EXPECT_FALSE(events_of(trial, "A", "mdns.found").empty()) << told(trial);
  EXPECT_FALSE(trial.relayed_after) << told(trial);
  EXPECT_FALSE(took(trial, Phase::reservation)) << told(trial);
}

world::Scenario in_one_home(const std::string& topology, const std::string& transport,
                            const std::string& reversal_to_private, const std::string& reachability) {
  return load("scenarios/pair.yaml",
              from_a_cold_start({{"topology", topology},
                                 {"transports", transport},
                                 {"protocol.reachability", reachability},
                                 {"protocol.reversal_to_private", reversal_to_private}}));
}

class ColdStartInOneHome : public testing::TestWithParam<const char*> {};

TEST_P(ColdStartInOneHome, ConnectsByThePrivateAddressThatIdentifyTellsOverTheRelayWithoutAVerdict) {
  // A tells its public address beside, as long as it does not know that nobody can dial that.
  const auto trial = run(load("scenarios/pair.yaml", {{"topology", "same-lan"},
                                                      {"transports", GetParam()},
                                                      {"observers", "6"},
                                                      {"protocol.reversal_to_private", "true"}}));
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << told(trial);
  EXPECT_TRUE(trial.relayed_after) << told(trial);
  EXPECT_FALSE(events_of(trial, "B", "dcutr.reverse").empty()) << told(trial);
  EXPECT_TRUE(events_of(trial, "B", "mdns.found").empty()) << told(trial);
}

TEST_P(ColdStartInOneHome, ReversesNothingOncePublicAddressesAreWithdrawn) {
  // Who tells no public address is never dialled back, as in go-libp2p, at private ones neither.
  for (const auto* const reachability : {"v1", "both"}) {
    const auto trial = run(in_one_home("same-lan", GetParam(), "true", reachability));
    EXPECT_EQ(trial.outcome, Outcome::failed) << told(trial);
    EXPECT_TRUE(events_of(trial, "B", "dcutr.reverse").empty()) << told(trial);
  }
}

TEST_P(ColdStartInOneHome, FailsAtThePunchIfTheRouterDoesNotHairpin) {
  const auto trial = run(in_one_home("same-lan", GetParam(), "false", "both"));
  EXPECT_EQ(trial.outcome, Outcome::failed) << told(trial);
  EXPECT_EQ(trial.cause, Cause::silence) << told(trial);
}

TEST_P(ColdStartInOneHome, PunchesThroughARouterThatHairpins) {
  const auto trial = run(in_one_home("same-lan-hairpin", GetParam(), "false", "both"));
  EXPECT_TRUE(is_direct(trial)) << told(trial);
  EXPECT_TRUE(trial.relayed_after) << told(trial);
}

INSTANTIATE_TEST_SUITE_P(Over, ColdStartInOneHome, testing::Values("[tcp]", "[quic]"),
                         [](const auto& transport) {
                           return std::string(transport.param) == "[tcp]" ? "Tcp" : "Quic";
                         });

TEST(FromAColdStart, FollowsFromSeedAndIndexAlone) {
  const auto scenario = cold_start("port-restricted", "port-restricted");
  const auto one = run(scenario, 3);
  run(scenario, 4);
  const auto again = run(scenario, 3);
  EXPECT_EQ(told(one), told(again));
  EXPECT_EQ(one.events, again.events);
}

}  // namespace
}  // namespace flaresim::test
