#include "sim/world/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/sim/world/network_scenario.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;
using test::network_scenario;
using test::world_data;

/// Joining, learning, finding relays, and then probes and pairs; nobody leaves.
NetworkResult quiet_world(std::size_t nodes) {
  const auto scenario = network_scenario(nodes, "14 min",
                                         {{"network.probes", "{count: 200, at: 8 min, over: 1 min}"},
                                          {"network.pairs", "{attempts: 30, from: 9 min, limit: 2 min}"}});
  return run_network(scenario, world_data(), 1, 0);
}

std::string text_of(const NetworkReport& report) {
  std::string text;
  for (const auto& kind : report.verdicts) {
    text += "\n" + (kind.nat.empty() ? "public" : kind.nat) + ": " + std::to_string(kind.nodes) + " nodes, " +
            std::to_string(kind.says_public) + " say public, " + std::to_string(kind.says_private) +
            " private, " + std::to_string(kind.says_unknown) + " unknown";
  }
  return text;
}

/// Holds for worlds of every size in which nobody leaves.
void expect_a_sound_network(const NetworkResult& result) {
  const auto& report = result.report;
  const auto nodes = static_cast<double>(report.nodes);
  EXPECT_EQ(report.leaves, 0u);
  EXPECT_EQ(report.starts, report.nodes);

  EXPECT_EQ(report.probes.count, 200u);
  EXPECT_GE(report.probes.right, 198u);
  EXPECT_LE(report.probes.hops.mean, std::log2(nodes) / 2 + 2);

  EXPECT_GT(report.tables.entries, 0u);
  EXPECT_EQ(report.tables.never_public, 0u);
  EXPECT_EQ(report.tables.lapsed, 0u);
  EXPECT_EQ(report.tables.offline, 0u);

  for (const auto& kind : report.verdicts) {
    EXPECT_EQ(kind.says_public + kind.says_private + kind.says_unknown, kind.nodes);
    if (kind.nat.empty()) {
      EXPECT_EQ(kind.says_public, kind.nodes) << text_of(report);
    }
    if (kind.nat == "EIM/APDF") {
      EXPECT_EQ(kind.says_private, kind.nodes) << text_of(report);
    }
    if (kind.nat == "APDM/APDF/random") {
      EXPECT_EQ(kind.says_public, 0u) << text_of(report);
    }
    // The dial back comes from an address that such a gateway has let out before.
    if (kind.nat == "EIM/ADF") {
      EXPECT_FALSE(kind.dialable);
      EXPECT_EQ(kind.says_public, kind.nodes) << text_of(report);
    }
  }

  EXPECT_GT(report.relays.granted, 0u);
  EXPECT_EQ(report.relays.above_limits, 0u);
  EXPECT_EQ(report.relays.without_reservation, 0u);

  EXPECT_EQ(result.rows.size(), 30u);
  EXPECT_EQ(report.funnel.attempts, 30u);
  EXPECT_GE(report.funnel.found, 27u);
  EXPECT_GT(report.funnel.punched, 10u);
  EXPECT_EQ(report.left_behind, 0u);
}

TEST(Network, OfAHundredNodesIsSound) { expect_a_sound_network(quiet_world(100)); }

TEST(Network, IsTheSameAgainFromTheSameSeed) {
  const auto scenario = network_scenario(
      40, "8 min",
      {{"network.churn",
        "{from: 3 min, session: {median: 4 min, p80: 10 min}, off: {median: 1 min, p80: 2 min}}"},
       {"network.pairs", "{attempts: 10, from: 4 min, limit: 2 min}"}});
  const auto once = run_network(scenario, world_data(), 7, 3);
  const auto again = run_network(scenario, world_data(), 7, 3);
  EXPECT_GT(once.report.leaves, 0u);
  EXPECT_EQ(once.report, again.report);
  ASSERT_EQ(once.rows.size(), again.rows.size());
  for (std::size_t i = 0; i < once.rows.size(); ++i) {
    EXPECT_EQ(once.rows[i].index, 3 * 10 + i);
    EXPECT_EQ(once.rows[i].world, 3u);
    EXPECT_EQ(once.rows[i].outcome, again.rows[i].outcome);
    EXPECT_EQ(once.rows[i].phases, again.rows[i].phases);
  }
  const auto other = run_network(scenario, world_data(), 7, 4);
  EXPECT_NE(once.report.packets, other.report.packets);
}

TEST(Network, LosesNobodyWhoIsStillConnectedWhenHalfOfItDies) {
  const auto scenario =
      network_scenario(100, "18 min", {{"network.kill", "{at: 7 min, share: 0.5, settle: 10 min}"}});
  const auto report = run_network(scenario, world_data(), 1, 0).report;
  ASSERT_TRUE(report.kill);
  EXPECT_NEAR(static_cast<double>(report.kill->killed), 50, 20);
  EXPECT_EQ(report.kill->killed + report.kill->survivors, 100u);
  EXPECT_GE(report.kill->connected, report.kill->survivors * 9 / 10);
  EXPECT_EQ(report.kill->lost, 0u);
  EXPECT_EQ(report.left_behind, 0u);
}

TEST(Network, WhoJoinsAfterTheKillIsNoSurvivor) {
  const auto scenario = network_scenario(
      40, "8 min", {{"network.join", "6 min"}, {"network.kill", "{at: 2 min, share: 0.2, settle: 5 min}"}});
  const auto report = run_network(scenario, world_data(), 1, 0).report;
  ASSERT_TRUE(report.kill);
  EXPECT_EQ(report.starts, 40u);
  EXPECT_GT(report.kill->killed, 0u);
  EXPECT_LT(report.kill->killed + report.kill->survivors, 25u);
}

TEST(Network, EndsAlsoWhenNobodyIsLeft) {
  const auto scenario = network_scenario(12, "6 min",
                                         {{"network.kill", "{at: 3 min, share: 1, settle: 1 min}"},
                                          {"network.probes", "{count: 9, at: 4 min, over: 1 min}"}});
  const auto report = run_network(scenario, world_data(), 1, 0).report;
  ASSERT_TRUE(report.kill);
  EXPECT_EQ(report.kill->killed, 12u);
  EXPECT_EQ(report.kill->survivors, 0u);
  EXPECT_EQ(report.probes.count, 0u);
  EXPECT_EQ(report.left_behind, 0u);
}

TEST(Network, RelaysRefuseTenTimesWhatTheyMayHold) {
  const auto scenario = network_scenario(50, "7 min",
                                         {{"network.public_share", "0.12"},
                                          {"network.peers", "{nat: EIM/APDF, access: cable}"},
                                          {"network.max_reservations", "1"}});
  const auto report = run_network(scenario, world_data(), 1, 0).report;
  constexpr int reservation_refused =
      200;  // libp2p/specs relay/circuit-v2.md, "Status codes and error handling"
  EXPECT_EQ(report.relays.relays, 6u);
  EXPECT_EQ(report.relays.private_nodes, 44u);  // and each of them wants two
  EXPECT_EQ(report.relays.most_reservations, 1u);
  EXPECT_EQ(report.relays.above_limits, 0u);
  EXPECT_GE(report.relays.without_reservation, 44u - 6u);
  ASSERT_EQ(report.relays.refused.size(), 1u);
  EXPECT_GT(report.relays.refused.at(reservation_refused), 44u);
  EXPECT_EQ(report.left_behind, 0u);
}

// Without gateways that filter by address alone: servers that cannot be dialled spoil lookups.
TEST(NetworkLong, FindsTheClosestServersOfAll) {
  const auto scenario = network_scenario(300, "20 min",
                                         {{"network.peers", "{nat: EIM/APDF, access: cable}"},
                                          {"network.probes", "{count: 200, at: 15 min, over: 2 min}"}});
  const auto report = run_network(scenario, world_data(), 1, 0).report;
  EXPECT_EQ(report.probes.count, 200u);
  EXPECT_GE(report.probes.right, 198u);
}

TEST(NetworkLong, OfThreeHundredNodesIsSound) { expect_a_sound_network(quiet_world(300)); }
TEST(NetworkLong, OfAThousandNodesIsSound) { expect_a_sound_network(quiet_world(1000)); }

}  // namespace
}  // namespace flaresim::world
