#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/trial.h"

namespace flaresim::study {

/// How an interval at 95 % confidence came about.
enum class Interval {
  wilson,        ///< `wilson`: trials are independent
  clustered,     ///< `clustered`: trials share worlds, which are independent
  within_world,  ///< `wilson` of trials that all share one world; says nothing about other worlds
};
std::string_view to_string(Interval interval);

/// A share with an interval at 95 % confidence. Without trials there is no value and no interval.
struct Rate {
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 0;
  std::optional<double> value{};
  std::optional<double> low{};
  std::optional<double> high{};
  Interval interval = Interval::wilson;
  std::uint64_t worlds = 0;  ///< that were counted in; 0 where trials have worlds of their own
};

/// The Wilson score interval, which assumes independent trials. E. B. Wilson 1927; R. G. Newcombe 1998, method 3.
/// `numerator` must not be above `denominator`.
Rate wilson(std::uint64_t numerator, std::uint64_t denominator);

/// Part and whole in one world.
struct Count {
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 0;
};

/// The share of all worlds' trials together, whose interval knows that trials of one world are alike.
///
/// 1. The rate is the ratio p = sum(y) / sum(n) over the m worlds with n > 0. Its variance between worlds is
///    v = m / (m - 1) * sum((y - p n)^2) / sum(n)^2 (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, section 3.12).
/// 2. The interval is Wilson's with Student's quantile of m - 1 degrees of freedom for the normal one, and with the
///    effective number of trials p (1 - p) / v for the number of trials (P. S. Kott and D. A. Carr, "Developing an
///    Estimation Strategy for a Pesticide Data Program", J. Official Statistics 13, 1997; N. Dean and M. Pagano,
///    "Evaluating Confidence Interval Methods for Binomial Proportions in Clustered Surveys", J. Survey Statistics and
///    Methodology 3, 2015). The effective number is at most the number of trials, which it also is at p = 0 and p = 1
///    (J. D. Parker et al., NCHS Data Presentation Standards for Proportions, Vital Health Stat. 2(175), 2017).
/// 3. With one world nothing shows how worlds differ: the interval is `within_world`.
Rate clustered(const std::vector<Count>& worlds);

/// The value that `share` of all values do not exceed, by the nearest rank; nothing without values. `share` is above 0
/// and at most 1.
std::optional<io::Duration> quantile(std::vector<io::Duration> values, double share);

/// How many trials ended in which way. Those of networks and others do not mix.
class Tally {
 public:
  void add(const world::Trial& trial);
  /// An attempt in a world that it shares with others: the rates are `clustered` from now on.
  void add_shared(const world::Trial& trial);
  void add(const Tally& other);

  std::uint64_t trials() const { return trials_; }
  std::uint64_t count(world::Outcome outcome) const { return outcomes_[static_cast<std::size_t>(outcome)]; }
  std::uint64_t count(world::Cause cause) const { return causes_[static_cast<std::size_t>(cause)]; }

  /// What the punched connections run over, with their number.
  const std::map<std::string, std::uint64_t>& transports() const { return transports_; }

  /// SUCCESS / (SUCCESS + FAILED): the field's number, given that a punch was tried.
  Rate punch_rate() const;
  /// (SUCCESS + CONNECTION_REVERSED) / all trials.
  Rate direct_rate() const;

 private:
  struct Ends {
    std::uint64_t all = 0;
    std::uint64_t punched = 0;
    std::uint64_t reversed = 0;
    std::uint64_t failed = 0;
  };

  std::uint64_t trials_ = 0;
  std::array<std::uint64_t, world::all_outcomes.size()> outcomes_{};
  std::array<std::uint64_t, world::all_causes.size()> causes_{};
  std::map<std::string, std::uint64_t> transports_;
  /// By the world's number; empty when trials have worlds of their own. Worlds of one number follow from the same random
  /// numbers in all cells of a sweep, and are one cluster.
  std::map<std::uint64_t, Ends> worlds_;
};

/// The trials of one pair of NATs, as drawn.
struct Group {
  std::string nat_a;
  std::string nat_b;
  Tally tally;
};

/// An expectation held against a rate.
struct Verdict {
  world::Expectation expectation;
  Rate rate;
  bool met = false;  ///< never without a value: a rate that nothing was counted for shows nothing
};
Verdict judge(const world::Expectation& expectation, const Rate& rate);

}  // namespace flaresim::study
