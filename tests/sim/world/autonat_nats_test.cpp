// What AutoNAT makes of each of the nine NATs of RFC 4787's axes, held against what they do.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <tuple>

#include "tests/sim/world/cold_start_scenario.h"
#include "tests/sim/world/predicate.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;

/// One outside port for everybody, which lets everybody in: what a stranger's dial needs. Where the port depends on the
/// remote, his packet gets in and the answer leaves from another port.
bool is_public(NatAxes nat) {
  return nat.mapping == Axis::endpoint_independent && nat.filtering == Axis::endpoint_independent;
}

/// Both versions dial back from the address that was asked, from another port. A NAT that lets in addresses that it has
/// contacted cannot tell that from an answer: publicly known as a false positive. A mapping for each address makes no
/// difference to v1: the server dials the port that it sees, which is the one that maps to its address, so the answer to
/// the dial-back, which goes to the same address, leaves from the port that was dialled. In packets, for ADM/ADF and
/// ADM/EIF alike: B asks from port 62436 to S:4001, S's SYN comes from S:46028 to port 62436, and its SYN-ACK leaves from
/// 62436. A stranger's SYN to that port is dropped by ADF ("filtered"), and under EIF answered from 44762, which is no
/// answer to him: B is private. A mapping for each port gives the dial-back another port, too, and v1 is right.
bool seems_public(NatAxes nat) {
  return nat.mapping != Axis::address_and_port_dependent && nat.filtering != Axis::address_and_port_dependent;
}

struct Case {
  NatAxes nat;
  const char* transport;
  const char* version;
};

/// Each case runs once, for all tests.
const world::Trial& run(const Case& of) {
  static std::map<std::tuple<std::string, std::string, std::string>, world::Trial> trials;
  const auto [known, is_new] = trials.try_emplace({notation(of.nat), of.transport, of.version});
  if (!is_new) return known->second;
  // A is behind a NAT that no plain dial gets through, and comes too late to matter.
  const auto scenario = cold_start("symmetric", notation(of.nat),
                                   {{"transports", std::string("[") + of.transport + "]"},
                                    {"protocol.reachability", of.version},
                                    {"meet_at", "59 s"},
                                    {"time_limit", "60 s"}});
  return known->second =
             world::run_trial(scenario, world_data(), /*seed=*/5, 0, {.timeline = true, .captures = {}});
}

void expect_truth(const Case& of) {
  const auto& trial = run(of);
  EXPECT_EQ(trial.dialability_b.truth, is_public(of.nat) ? "public" : "private") << told(trial);
}

void expect_verdict(const Case& of) {
  const auto& trial = run(of);
  if (std::string(of.version) == "v2" && of.nat.mapping != Axis::endpoint_independent) {
    // Everybody sees another port: there is no address that four observers agree on, and so nothing to probe.
    EXPECT_EQ(trial.dialability_b.verdict, "unknown") << told(trial);
    return;
  }
  EXPECT_EQ(trial.dialability_b.verdict, seems_public(of.nat) ? "public" : "private") << told(trial);
}

/// When the first verdict comes.
std::pair<io::Duration, io::Duration> bounds(const Case& of) {
  const bool seems = seems_public(of.nat);
  // v1 asks the first server that it gets to know, and after 15 s at the latest. A server answers at once when its dial
  // succeeds, and holds a failed answer for the whole of the dial's limit, 15 s.
  if (std::string(of.version) == "v1") return seems ? std::pair(0s, 15s) : std::pair(15s, 31s);
  // v2 asks a second after it has learnt the address, and believes what two say. They give up a silent dial after 5 s
  // over TCP and 10 s over QUIC, and answer then.
  if (seems) return {1s, 15s};
  return {1s + (std::string(of.transport) == "tcp" ? 5s : 10s), 31s};
}

void expect_first_verdict_in_time(const Case& of) {
  const auto& trial = run(of);
  const auto after = trial.phases[static_cast<std::size_t>(world::Phase::dialability)];
  if (trial.dialability_b.verdict == "unknown") {
    EXPECT_FALSE(after) << told(trial);
    return;
  }
  ASSERT_TRUE(after) << told(trial);
  const auto [from, to] = bounds(of);
  EXPECT_GE(*after, from) << told(trial);
  EXPECT_LE(*after, to) << told(trial);
}

class AutonatNats : public testing::TestWithParam<Case> {};

TEST_P(AutonatNats, TruthFollowsFromTheBehaviour) { expect_truth(GetParam()); }
TEST_P(AutonatNats, VerdictIsTheOneThatThisDialBackGives) { expect_verdict(GetParam()); }
TEST_P(AutonatNats, TheFirstVerdictComesInTime) { expect_first_verdict_in_time(GetParam()); }

class AutonatNatsLong : public testing::TestWithParam<Case> {};

TEST_P(AutonatNatsLong, TruthAndVerdictAreThoseOfTheBehaviourAndComeInTime) {
  expect_truth(GetParam());
  expect_verdict(GetParam());
  expect_first_verdict_in_time(GetParam());
}

std::vector<Case> cases_over(const char* transport) {
  constexpr std::array all_axes{Axis::endpoint_independent, Axis::address_dependent,
                                Axis::address_and_port_dependent};
  std::vector<Case> cases;
  for (const auto* version : {"v1", "v2"}) {
    for (const auto mapping : all_axes) {
      for (const auto filtering : all_axes) cases.push_back({{mapping, filtering}, transport, version});
    }
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const auto& of = info.param;
  return std::string(mapping_names[static_cast<std::size_t>(of.nat.mapping)]) + "_" +
         std::string(filtering_names[static_cast<std::size_t>(of.nat.filtering)]) + "_" + of.transport + "_" +
         of.version;
}

INSTANTIATE_TEST_SUITE_P(All, AutonatNats, testing::ValuesIn(cases_over("tcp")), case_name);
INSTANTIATE_TEST_SUITE_P(All, AutonatNatsLong, testing::ValuesIn(cases_over("quic")), case_name);

}  // namespace
}  // namespace flaresim::test
