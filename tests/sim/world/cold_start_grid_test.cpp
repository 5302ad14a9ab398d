// The nine NATs of RFC 4787's axes against each other from a cold start, held against the predicate of the punch. What
// finding each other adds to it stands in `exceptions`, each with its reason.

#include <gtest/gtest.h>

#include "tests/sim/world/cold_start_scenario.h"
#include "tests/sim/world/predicate.h"

namespace flaresim::test {
namespace {

constexpr std::array all_axes{Axis::endpoint_independent, Axis::address_dependent,
                              Axis::address_and_port_dependent};

std::vector<NatAxes> all_nats() {
  std::vector<NatAxes> nats;
  for (const auto mapping : all_axes) {
    for (const auto filtering : all_axes) nats.push_back({mapping, filtering});
  }
  return nats;
}

struct Cell {
  NatAxes a;
  NatAxes b;
  const char* transport;

  bool quic() const { return std::string(transport) == "quic"; }
};

bool is_public(NatAxes nat) {
  return nat.mapping == Axis::endpoint_independent && nat.filtering == Axis::endpoint_independent;
}
bool punched(const Cell& cell) {
  return cell.quic() ? punched_over_quic(cell.a, cell.b) : predict_tcp(cell.a, cell.b) == Verdict::punched;
}

class ColdStartGrid : public testing::TestWithParam<Cell> {};

TEST_P(ColdStartGrid, IsDirectWhereThePunchIsAndVerdictsAreTrue) {
  const auto& cell = GetParam();
  const auto scenario = cold_start(notation(cell.a), notation(cell.b),
                                   {{"transports", std::string("[") + cell.transport + "]"}});
  const auto trial =
      world::run_trial(scenario, world_data(), /*seed=*/5, 0, {.timeline = true, .captures = {}});
  ASSERT_TRUE(trial.error.empty()) << trial.error;
  const auto& a = trial.dialability_a;
  const auto& b = trial.dialability_b;
  EXPECT_EQ(a.truth, is_public(cell.a) ? "public" : "private") << told(trial);
  EXPECT_EQ(b.truth, is_public(cell.b) ? "public" : "private") << told(trial);
  const bool verdicts_are_true = a.verdict == a.truth && b.verdict == b.truth;
  // Whom anybody can dial needs no punch.
  const bool should = punched(cell) || is_public(cell.a) || is_public(cell.b);
  if (should && verdicts_are_true) EXPECT_TRUE(is_direct(trial)) << told(trial);
  if (is_direct(trial)) return;
  // In the right phase: who has a connection fails at the punch, and who has none took itself for public.
  if (trial.relayed_after) {
    EXPECT_TRUE(trial.outcome == world::Outcome::failed || trial.outcome == world::Outcome::no_stream)
        << told(trial);
  } else {
    EXPECT_EQ(trial.outcome, world::Outcome::no_connection) << told(trial);
    EXPECT_EQ(trial.cause, world::Cause::verdict_wrong) << told(trial);
    EXPECT_NE(b.verdict, b.truth) << told(trial);
  }
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const auto* transport : {"tcp", "quic"}) {
    for (const auto a : all_nats()) {
      for (const auto b : all_nats()) cells.push_back({a, b, transport});
    }
  }
  return cells;
}

std::string cell_name(const testing::TestParamInfo<Cell>& info) {
  auto name = notation(info.param.a) + "_x_" + notation(info.param.b) + "_" + info.param.transport;
  std::ranges::replace(name, '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Nats, ColdStartGrid, testing::ValuesIn(all_cells()), cell_name);

}  // namespace
}  // namespace flaresim::test
