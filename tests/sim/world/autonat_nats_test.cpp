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
/// contacted cannot tell that from an answer, and where it has one mapping for each address, the answer leaves from the
/// port that was dialled: publicly known as a false positive.
bool seems_public(NatAxes nat) {
  return nat.mapping != Axis::address_and_port_dependent && nat.filtering != Axis::address_and_port_dependent;
}

struct Case {
  NatAxes nat;
  const char* transport;
  const char* version;
};

class AutonatNats : public testing::TestWithParam<Case> {};

/// Each case runs once, for all tests.
const world::Trial& run(const Case& of) {
  static std::map<std::tuple<std::string, std::string, std::string>, world::Trial> trials;
  const auto [known, is_new] = trials.try_emplace({notation(of.nat), of.transport, of.version});
  if (!is_new) return known->second;
  // A is behind a NAT that no plain dial gets through, and comes too late to matter.
  const auto scenario = cold_start("symmetric", notation(of.nat),
                                   {{"transports", std::string("[") + of.transport + "]"},
                                    {"protocol.reachability", of.version},
                                    {"meet_at", "1 h"},
                                    {"time_limit", "60 s"}});
  return known->second =
             world::run_trial(scenario, world_data(), /*seed=*/5, 0, {.timeline = true, .captures = {}});
}

TEST_P(AutonatNats, TruthFollowsFromTheBehaviour) {
  const auto& trial = run(GetParam());
  EXPECT_EQ(trial.dialability_b.truth, is_public(GetParam().nat) ? "public" : "private") << told(trial);
}

TEST_P(AutonatNats, VerdictIsTheOneThatThisDialBackGives) {
  const auto& of = GetParam();
  const auto& trial = run(of);
  if (std::string(of.version) == "v2" && of.nat.mapping != Axis::endpoint_independent) {
    // Everybody sees another port: there is no address that four observers agree on, and so nothing to probe.
    EXPECT_EQ(trial.dialability_b.verdict, "unknown") << told(trial);
    return;
  }
  EXPECT_EQ(trial.dialability_b.verdict, seems_public(of.nat) ? "public" : "private") << told(trial);
}

TEST_P(AutonatNats, TheFirstPrivateVerdictOfV1ComesAfter15To31Seconds) {
  const auto& of = GetParam();
  if (std::string(of.version) != "v1" || seems_public(of.nat)) return;
  const auto& trial = run(of);
  const auto after = trial.phases[static_cast<std::size_t>(world::Phase::dialability)];
  ASSERT_TRUE(after) << told(trial);
  // The server holds a failed answer for the whole of its dial's limit, 15 s; we wait 15 s at most before we ask.
  EXPECT_GE(*after, 15s) << told(trial);
  EXPECT_LE(*after, 31s) << told(trial);
}

std::vector<Case> all_cases() {
  constexpr std::array all_axes{Axis::endpoint_independent, Axis::address_dependent,
                                Axis::address_and_port_dependent};
  std::vector<Case> cases;
  for (const auto* version : {"v1", "v2"}) {
    for (const auto* transport : {"tcp", "quic"}) {
      for (const auto mapping : all_axes) {
        for (const auto filtering : all_axes) cases.push_back({{mapping, filtering}, transport, version});
      }
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

INSTANTIATE_TEST_SUITE_P(All, AutonatNats, testing::ValuesIn(all_cases()), case_name);

}  // namespace
}  // namespace flaresim::test
