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
  Tally tally;
  for (int i = 0; i < 3; ++i) tally.add(ended(Outcome::success));
  tally.add(ended(Outcome::failed));
  EXPECT_TRUE(judge({"punch_rate", 0.75, 0.75}, tally).met);
  EXPECT_FALSE(judge({"punch_rate", 0.76, {}}, tally).met);
  EXPECT_FALSE(judge({"punch_rate", {}, 0.74}, tally).met);
  EXPECT_TRUE(judge({"direct_rate", 0.7, {}}, tally).met);
}

TEST(Verdict, IsMissedWithoutAValue) { EXPECT_FALSE(judge({"punch_rate", 0.0, 1.0}, {}).met); }

}  // namespace
}  // namespace flaresim::study
