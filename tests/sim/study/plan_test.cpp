#include "sim/study/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/world/world_data.h"

namespace flaresim::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string pair_file = FLARESIM_SOURCE_DIR "/scenarios/pair.yaml";

tl::expected<Plan, world::ScenarioError> plan_of(const std::vector<Axis>& axes) {
  return make_plan(pair_file, {{"trials", "3"}}, axes, world::data_directory());
}

std::string complaint(const std::vector<Axis>& axes) {
  const auto plan = plan_of(axes);
  return plan ? "fine" : to_string(plan.error());
}

TEST(SplitValues, SeparatesAtCommas) { EXPECT_THAT(split_values("1, 2,3"), ElementsAre("1", "2", "3")); }

TEST(SplitValues, KeepsTheOptionsOfANatWithIt) {
  EXPECT_THAT(split_values("EIM/APDF,APDM/APDF/preserve,udp_timeout=30s,tcp_unsolicited=reset,linux"),
              ElementsAre("EIM/APDF", "APDM/APDF/preserve,udp_timeout=30s,tcp_unsolicited=reset", "linux"));
}

TEST(SplitValues, LetsSemicolonsSeparateInstead) {
  EXPECT_THAT(split_values("[tcp, quic]; tcp,x"), ElementsAre("[tcp, quic]", "tcp,x"));
}

TEST(SplitValues, LeavesBracketsAndQuotesWhole) {
  EXPECT_THAT(split_values("{nat: linux, region: x},[4,6],'a,b;c'"),
              ElementsAre("{nat: linux, region: x}", "[4,6]", "'a,b;c'"));
}

TEST(SplitValues, KeepsEmptyValuesToBeComplainedAbout) {
  EXPECT_THAT(split_values("1,,2"), ElementsAre("1", "", "2"));
}

TEST(Plan, WithoutASweepIsOneCell) {
  const auto plan = plan_of({}).value();
  ASSERT_EQ(plan.cells.size(), 1U);
  EXPECT_TRUE(plan.cells[0].at.empty());
  EXPECT_EQ(plan.cells[0].scenario, plan.base);
  EXPECT_EQ(plan.trials(), 3U);
}

TEST(Plan, HasACellForEveryCombinationWithTheLastAxisFastest) {
  const auto plan = plan_of({{"peers.a.nat", {"linux", "open"}}, {"trials", {"1", "2", "4"}}}).value();
  EXPECT_THAT(plan.axes, ElementsAre("peers.a.nat", "trials"));
  std::vector<std::pair<std::string, std::uint64_t>> cells;
  for (const auto& cell : plan.cells) cells.emplace_back(cell.scenario.a.kind.nat, cell.scenario.trials);
  EXPECT_THAT(cells, ElementsAre(std::pair{"linux", 1}, std::pair{"linux", 2}, std::pair{"linux", 4},
                                 std::pair{"open", 1}, std::pair{"open", 2}, std::pair{"open", 4}));
  EXPECT_EQ(plan.trials(), 14U);
}

TEST(Plan, CellsShareTheSeed) {
  const auto plan = plan_of({{"peers.a.nat", {"linux", "open"}}}).value();
  EXPECT_EQ(plan.cells[0].scenario.seed, plan.cells[1].scenario.seed);
}

TEST(Plan, AnAxisGivenAgainGetsMoreValues) {
  const auto plan = plan_of({{"trials", {"1"}}, {"trials", {"2"}}}).value();
  EXPECT_THAT(plan.axes, ElementsAre("trials"));
  EXPECT_EQ(plan.cells.size(), 2U);
}

TEST(Plan, RefusesASweepThatMakesNoSense) {
  EXPECT_EQ(complaint({{"trials", {"1", "2", "1"}}}), "--sweep trials: value '1' is given twice");
  EXPECT_EQ(complaint({{"trials", {"1", ""}}}), "--sweep trials: a value is empty");
  EXPECT_EQ(complaint({{"trials", {}}}), "--sweep trials: a value is empty");
  EXPECT_EQ(complaint({{"trails", {"1"}}}), "--sweep trails=1: unknown key 'trails'; did you mean 'trials'?");
  EXPECT_THAT(complaint({{"peers.a.nat", {"linux", "EIM/XPDF"}}}),
              HasSubstr("--sweep peers.a.nat=EIM/XPDF: character 5"));
}

TEST(Plan, RefusesASweepWithoutBounds) {
  std::vector<std::string> values;
  for (int i = 1; i <= 400; ++i) values.push_back(std::to_string(i));
  EXPECT_EQ(complaint({{"trials", values}, {"seed", values}}),
            "--sweep seed: the sweep has more than 100000 cells");
}

}  // namespace
}  // namespace flaresim::study
