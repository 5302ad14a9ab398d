#include "sim/world/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using world::Cause;
using world::Event;
using world::Outcome;
using world::Trial;

Trial run(const world::Scenario& scenario, std::uint64_t index = 0) {
  return world::run_trial(scenario, world_data(), /*seed=*/11, index, {.timeline = true, .captures = {}});
}

/// The first event of this kind at this node whose detail contains `part`.
const Event& first(const Trial& trial, const std::string& node, const std::string& what,
                   const std::string& part = "") {
  const auto found = std::find_if(trial.timeline.begin(), trial.timeline.end(), [&](const Event& event) {
    return event.node == node && event.what == what && event.detail.find(part) != std::string::npos;
  });
  if (found == trial.timeline.end()) throw std::runtime_error("no " + what + " at " + node);
  return *found;
}

/// When the first SYN of the punch left: the first one after the dial of the agreed addresses.
io::Duration punch_syn(const Trial& trial, const std::string& node) {
  const auto dial = first(trial, node, "dcutr.dial").at;
  const auto found = std::find_if(trial.timeline.begin(), trial.timeline.end(), [&](const Event& event) {
    return event.node == node && event.what == "syn.sent" && event.at >= dial;
  });
  if (found == trial.timeline.end()) throw std::runtime_error("no punch at " + node);
  return found->at;
}

TEST(Trial, TwoPortRestrictedNatsArePunchedOnTheFirstAttempt) {
  const auto trial = run(pair_scenario("port-restricted", "port-restricted"));
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause) << trial.error;
  EXPECT_EQ(trial.attempts, 1);
  EXPECT_EQ(trial.transport, "tcp");
  EXPECT_TRUE(trial.relayed_rtt && trial.direct_rtt);
}

TEST(Trial, TwoSymmetricNatsFailInSilence) {
  const auto trial = run(pair_scenario("symmetric", "symmetric"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, Cause::silence);
  EXPECT_EQ(trial.attempts, 3);
}

TEST(Trial, ThatIsCutWhileBothDialHasFailed) {
  const auto trial = run(pair_scenario("symmetric", "symmetric", {{"time_limit", "5 s"}}));
  EXPECT_LT(first(trial, "B", "dcutr.sync.sent").at, 5s);
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, Cause::time_limit);
}

TEST(Trial, APublicDiallerIsReachedWithoutAPunch) {
  const auto trial = run(pair_scenario("open", "symmetric"));
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << to_string(trial.cause) << trial.error;
}

TEST(Trial, Ipv6FirewallsOnBothSidesArePunched) {
  const auto trial = run(pair_scenario("port-restricted", "port-restricted", {{"ip", "[6]"}}));
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause) << trial.error;
}

TEST(Trial, AFirewallWithoutTranslationIsPunchedOverIpv4) {
  const auto trial = run(pair_scenario("EIM/APDF,translate=off", "EIM/APDF,translate=off"));
  // Both are firewalled under the address that they advertise: reversal is tried first, and fails.
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause) << trial.error;
}

TEST(Trial, BothSynsLeaveAtTheSpecifiedInstantsWhenTheRelayPathIsSymmetric) {
  const auto trial = run(pair_scenario("port-restricted", "port-restricted"));
  const auto a = punch_syn(trial, "A");
  const auto b = punch_syn(trial, "B");
  EXPECT_LT(std::chrono::abs(a - first(trial, "A", "dcutr.sync.received").at), 1us);
  EXPECT_LT(std::chrono::abs(b - (first(trial, "B", "dcutr.sync.sent").at + *trial.relayed_rtt / 2)), 1us);
  EXPECT_LT(std::chrono::abs(a - b), 1us);
}

TEST(Trial, TheSkewIsHalfTheAsymmetryOfTheRelayPath) {
  const auto trial =
      run(pair_scenario("port-restricted", "port-restricted", {{"relays.asymmetry", "40 ms"}}));
  // A's path through the relay to B is longer by 40 ms, so A hears SYNC 20 ms before B dials.
  EXPECT_LT(std::chrono::abs(punch_syn(trial, "B") - punch_syn(trial, "A") - 20ms), 1us);
  EXPECT_EQ(trial.outcome, Outcome::success);
}

TEST(Trial, ANatThatDropsTheCrossingSynIsSavedByTheOtherOne) {
  // The peer takes our SYN, and its SYN|ACK answers what our NAT remembers. Only two such NATs close the path.
  const std::string untracked = "EIM/APDF,simultaneous_open=off";
  EXPECT_EQ(run(pair_scenario("port-restricted", untracked)).outcome, Outcome::success);
  EXPECT_EQ(run(pair_scenario(untracked, "port-restricted")).outcome, Outcome::success);
  EXPECT_EQ(run(pair_scenario(untracked, untracked)).outcome, Outcome::failed);
}

TEST(Trial, AResetForTheCrossingSynComesTooLateToRefuseIt) {
  // By then the peer is in SYN-RECEIVED, where a reset must fit the sequence numbers (RFC 9293 §3.10.7.4).
  const auto trial =
      run(pair_scenario("port-restricted", "EIM/APDF,simultaneous_open=off,tcp_unsolicited=reset"));
  EXPECT_EQ(trial.outcome, Outcome::success);
}

TEST(Trial, AGatewayThatTranslatesOnlyTcpByRemoteClosesTheTcpPath) {
  const auto trial = run(pair_scenario("port-restricted", "EIM/APDF,tcp_mapping=APDM,tcp_ports=random"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
}

TEST(Trial, QuicPunchesWhereTcpIsTranslatedByRemote) {
  const auto scenario = pair_scenario("port-restricted", "EIM/APDF,tcp_mapping=APDM,tcp_ports=random",
                                      {{"transports", "[tcp, quic]"}});
  const auto trial = run(scenario);
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause);
  EXPECT_EQ(trial.transport, "quic");
}

TEST(Trial, TcpPunchesWhereUdpIsBlocked) {
  const auto trial = run(pair_scenario("udp-blocked", "port-restricted", {{"transports", "[tcp, quic]"}}));
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause);
  EXPECT_EQ(trial.transport, "tcp");
}

TEST(Trial, Ipv6FirewallsOnBothSidesArePunchedOverQuic) {
  const auto trial =
      run(pair_scenario("port-restricted", "port-restricted", {{"ip", "[6]"}, {"transports", "[quic]"}}));
  EXPECT_EQ(trial.outcome, Outcome::success) << to_string(trial.cause) << trial.error;
}

TEST(Trial, SwappingRolesOnTheLastAttemptReachesASymmetricServer) {
  const auto nats = [](const std::string& roles) {
    return pair_scenario("EIM/ADF/random", "symmetric",
                         {{"transports", "[quic]"}, {"protocol.roles", roles}});
  };
  EXPECT_EQ(run(nats("spec")).outcome, Outcome::failed);
  const auto swapped = run(nats("swap_on_last_attempt"));
  EXPECT_EQ(swapped.outcome, Outcome::success) << to_string(swapped.cause);
  EXPECT_EQ(swapped.attempts, 3);
}

TEST(Trial, AnAcceptedSocketWithThePunchRoleEscapesTheRoleTrap) {
  const auto nats = [](const std::string& takes_role) {
    return pair_scenario("EIM/EIF/random", "symmetric",
                         {{"protocol.accepted_socket_takes_punch_role", takes_role}});
  };
  EXPECT_EQ(run(nats("false")).cause, Cause::both_servers);
  EXPECT_EQ(run(nats("true")).outcome, Outcome::success);
}

TEST(Trial, TheSessionReplySwitchOpensWhatFreshMappingsClose) {
  // Both SYNs arrive, A's answer to B's leaves from another port than B dialled; from the session's, they meet.
  EXPECT_EQ(run(pair_scenario("ADM/EIF/random", "EIM/EIF/random")).outcome, Outcome::failed);
  EXPECT_EQ(run(pair_scenario("ADM/EIF/random,reply=session", "EIM/EIF/random")).outcome, Outcome::success);
}

TEST(Trial, APathThatCarriesNothingFailsWhateverTheNats) {
  const auto trial = run(pair_scenario("full-cone", "full-cone", {{"unreachable_pairs", "1"}}));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, Cause::silence);
}

TEST(Trial, FollowsFromSeedAndIndexAlone) {
  const auto scenario = load("scenarios/flare-2022.yaml", {});
  const auto one = run(scenario, 3);
  run(scenario, 4);
  const auto again = run(scenario, 3);
  ASSERT_EQ(one.timeline.size(), again.timeline.size());
  for (std::size_t i = 0; i < one.timeline.size(); ++i) {
    EXPECT_EQ(one.timeline[i].at, again.timeline[i].at);
    EXPECT_EQ(one.timeline[i].detail, again.timeline[i].detail);
  }
  EXPECT_EQ(one.events, again.events);
}

}  // namespace
}  // namespace flaresim::test
