#include "sim/study/statistics.h"

#include <gtest/gtest.h>

namespace flaresim::study {
namespace {

using world::Cause;
using world::Outcome;

world::Trial ended(Outcome outcome, Cause cause = Cause::none) {
  world::Trial trial;
  trial.outcome = outcome;
  trial.cause = cause;
  return trial;
}

/// R. G. Newcombe: Two-sided confidence intervals for the single proportion. Statistics in Medicine 17 (1998), table I,
/// method 3.
TEST(Wilson, GivesThePublishedIntervals) {
  struct Published {
    std::uint64_t numerator;
    std::uint64_t denominator;
    double low;
    double high;
  };
  for (const auto& row : {Published{81, 263, 0.2553, 0.3662}, Published{15, 148, 0.0624, 0.1605},
                          Published{0, 20, 0.0000, 0.1611}, Published{1, 29, 0.0061, 0.1718},
                          Published{29, 29, 0.8830, 1.0000}}) {
    const auto rate = wilson(row.numerator, row.denominator);
    EXPECT_NEAR(*rate.low, row.low, 5e-5) << row.numerator << "/" << row.denominator;
    EXPECT_NEAR(*rate.high, row.high, 5e-5) << row.numerator << "/" << row.denominator;
  }
}

TEST(Wilson, TouchesItsEndsExactly) {
  EXPECT_EQ(*wilson(0, 7).low, 0);
  EXPECT_EQ(*wilson(7, 7).high, 1);
}

TEST(Wilson, SaysNothingWithoutTrials) {
  const auto rate = wilson(0, 0);
  EXPECT_FALSE(rate.value || rate.low || rate.high);
}

TEST(Tally, TellsThePunchRateFromTheDirectRate) {
  Tally tally;
  for (const auto outcome :
       {Outcome::success, Outcome::success, Outcome::success, Outcome::failed, Outcome::connection_reversed,
        Outcome::no_stream, Outcome::no_connection, Outcome::cancelled, Outcome::unknown, Outcome::unknown}) {
    tally.add(ended(outcome));
  }
  EXPECT_EQ(tally.punch_rate().numerator, 3U);
  EXPECT_EQ(tally.punch_rate().denominator, 4U);
  EXPECT_EQ(*tally.punch_rate().value, 0.75);
  EXPECT_EQ(tally.direct_rate().numerator, 4U);
  EXPECT_EQ(tally.direct_rate().denominator, 10U);
}

TEST(Tally, HasNoPunchRateWhenNothingWasPunched) {
  Tally tally;
  tally.add(ended(Outcome::connection_reversed));
  EXPECT_FALSE(tally.punch_rate().value);
  EXPECT_EQ(*tally.direct_rate().value, 1);
}

TEST(Tally, AddsUp) {
  Tally one;
  one.add(ended(Outcome::failed, Cause::silence));
  Tally two = one;
  two.add(one);
  EXPECT_EQ(two.trials(), 2U);
  EXPECT_EQ(two.count(Outcome::failed), 2U);
  EXPECT_EQ(two.count(Cause::silence), 2U);
}

TEST(Verdict, HoldsTheRateItselfAgainstItsBounds) {
  EXPECT_TRUE(judge({"punch_rate", 0.75, 0.75}, wilson(3, 4)).met);
  EXPECT_FALSE(judge({"punch_rate", 0.76, {}}, wilson(3, 4)).met);
  EXPECT_FALSE(judge({"punch_rate", {}, 0.74}, wilson(3, 4)).met);
  EXPECT_TRUE(judge({"direct_rate", 0.7, {}}, wilson(3, 4)).met);
}

TEST(Verdict, IsMissedWithoutAValue) { EXPECT_FALSE(judge({"punch_rate", 0.0, 1.0}, {}).met); }

/// Computed by hand: residuals y - p n, their squares over the worlds, and Wilson's roots with Student's quantiles
/// 12.7062 (1 degree of freedom), 4.30265 (2) and 2.77645 (4) of the usual tables.
TEST(Clustered, WidensByWhatWorldsDifferIn) {
  struct Worked {
    std::vector<Count> worlds;
    double value;
    double low;
    double high;
  };
  const std::vector<Worked> all{
      // Residuals 1, -1, 0, -2, 2; v = 5/4 * 10 / 50^2; 32 effective trials of 50.
      {{{9, 10}, {7, 10}, {8, 10}, {6, 10}, {10, 10}}, 0.8, 0.556147, 0.927375},
      // Worlds of different sizes: residuals 0.6, -2, 1.4; 22.785 effective trials of 30.
      {{{3, 4}, {10, 20}, {5, 6}}, 0.6, 0.224119, 0.886225},
      // Worlds that have little to do with each other; one without trials does not count.
      {{{1, 10}, {9, 10}, {0, 0}}, 0.5, 0.002402, 0.997598},
      // No variance to be seen: all 40 trials count, and Student's quantile still knows of two worlds.
      {{{20, 20}, {20, 20}}, 1, 0.198563, 1}};
  for (const auto& [worlds, value, low, high] : all) {
    const auto rate = clustered(worlds);
    EXPECT_EQ(rate.interval, Interval::clustered);
    EXPECT_NEAR(*rate.value, value, 1e-12);
    EXPECT_NEAR(*rate.low, low, 1e-6) << value;
    EXPECT_NEAR(*rate.high, high, 1e-6) << value;
  }
}

TEST(Clustered, IsWilsonWithinTheOnlyWorld) {
  const auto rate = clustered({{3, 4}, {0, 0}});
  EXPECT_EQ(rate.interval, Interval::within_world);
  EXPECT_EQ(rate.worlds, 1U);
  EXPECT_EQ(rate.low, wilson(3, 4).low);
  EXPECT_EQ(rate.high, wilson(3, 4).high);
}

TEST(Clustered, SaysNothingWithoutTrials) {
  EXPECT_FALSE(clustered({}).value);
  EXPECT_FALSE(clustered({{0, 0}, {0, 0}}).low);
}

TEST(Quantile, IsTheNearestRank) {
  using std::chrono::seconds;
  const std::vector<io::Duration> five{seconds(50), seconds(20), seconds(15), seconds(40), seconds(35)};
  EXPECT_EQ(quantile(five, 0.3), seconds(20));
  EXPECT_EQ(quantile(five, 0.4), seconds(20));
  EXPECT_EQ(quantile(five, 0.5), seconds(35));
  EXPECT_EQ(quantile(five, 1), seconds(50));
  EXPECT_FALSE(quantile({}, 0.5));
}

TEST(Tally, ClustersSharedWorlds) {
  Tally tally;
  for (const std::uint64_t world : {0, 0, 1, 1}) {
    auto trial = ended(world == 0 ? Outcome::success : Outcome::failed);
    trial.world = world;
    tally.add_shared(trial);
  }
  EXPECT_EQ(tally.punch_rate().interval, Interval::clustered);
  EXPECT_EQ(tally.direct_rate().worlds, 2U);
  Tally sum;
  sum.add(tally);
  EXPECT_EQ(sum.direct_rate().low, tally.direct_rate().low);
}

}  // namespace
}  // namespace flaresim::study
