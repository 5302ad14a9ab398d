// All nine NATs of RFC 4787's mapping and filtering axes against all nine, over scenarios/pair.yaml, held against
// a predicate that knows nothing of the simulation.

#include <gtest/gtest.h>

#include "sim/world/trial.h"
#include "sim/world/world_data.h"
#include "tests/sim/world/pair_scenario.h"
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
};

class Grid : public testing::TestWithParam<Cell> {};

TEST_P(Grid, QuicEqualsThePredicate) {
  const auto [a, b] = GetParam();
  const auto scenario = pair_scenario(notation(a), notation(b), {{"transports", "[quic]"}});
  for (std::uint64_t index = 0; index < 2; ++index) {
    const auto trial = world::run_trial(scenario, world_data(), /*seed=*/7, index, {});
    EXPECT_EQ(trial.outcome, punched_over_quic(a, b) ? world::Outcome::success : world::Outcome::failed)
        << to_string(trial.outcome) << " because " << to_string(trial.cause) << " " << trial.error;
  }
}

TEST_P(Grid, QuicWithTheRolesSwappedIsTheMirrorImage) {
  const auto [a, b] = GetParam();
  const auto scenario =
      pair_scenario(notation(a), notation(b), {{"transports", "[quic]"}, {"protocol.roles", "legacy"}});
  const auto trial = world::run_trial(scenario, world_data(), /*seed=*/7, /*index=*/0, {});
  EXPECT_EQ(trial.outcome, punched_over_quic(b, a) ? world::Outcome::success : world::Outcome::failed)
      << to_string(trial.outcome) << " because " << to_string(trial.cause) << " " << trial.error;
}

TEST_P(Grid, TcpEqualsThePredicate) {
  const auto [a, b] = GetParam();
  const auto scenario = pair_scenario(notation(a), notation(b));
  const auto expected = predict_tcp(a, b);
  for (std::uint64_t index = 0; index < 2; ++index) {
    const auto trial = world::run_trial(scenario, world_data(), /*seed=*/7, index, {});
    EXPECT_EQ(trial.outcome, expected == Verdict::punched ? world::Outcome::success : world::Outcome::failed)
        << to_string(trial.outcome) << " because " << to_string(trial.cause) << " " << trial.error;
    // The role trap is told apart from a NAT that lets nothing through.
    EXPECT_EQ(trial.cause == world::Cause::both_servers, expected == Verdict::both_servers)
        << to_string(trial.cause);
  }
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const auto a : all_nats()) {
    for (const auto b : all_nats()) cells.push_back({a, b});
  }
  return cells;
}

std::string cell_name(const testing::TestParamInfo<Cell>& info) {
  auto name = notation(info.param.a) + "_x_" + notation(info.param.b);
  for (auto& letter : name) {
    if (letter == '/') letter = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Nats, Grid, testing::ValuesIn(all_cells()), cell_name);

}  // namespace
}  // namespace flaresim::test
