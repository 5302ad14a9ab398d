#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/world/trial.h"

namespace flaresim::study {

/// A share with its Wilson score interval at 95 % confidence, which assumes independent trials.
/// E. B. Wilson 1927; R. G. Newcombe 1998, method 3. Without trials there is no value and no interval.
struct Rate {
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 0;
  std::optional<double> value;
  std::optional<double> low;
  std::optional<double> high;
};

/// `numerator` must not be above `denominator`.
Rate wilson(std::uint64_t numerator, std::uint64_t denominator);

/// How many trials ended in which way.
class Tally {
 public:
  void add(const world::Trial& trial);
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
  std::uint64_t trials_ = 0;
  std::array<std::uint64_t, world::all_outcomes.size()> outcomes_{};
  std::array<std::uint64_t, world::all_causes.size()> causes_{};
  std::map<std::string, std::uint64_t> transports_;
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
Verdict judge(const world::Expectation& expectation, const Tally& tally);

}  // namespace flaresim::study
