#include "sim/study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <stdexcept>

namespace flaresim::study {

namespace {

constexpr double normal_quantile = 1.959963984540054;  // 97.5 % of the normal distribution

/// `trials` may be an effective number.
void set_interval(Rate& rate, double trials, double quantile) {
  const auto p = *rate.value;
  const auto square = quantile * quantile;
  const auto centre = p + square / (2 * trials);
  const auto spread = quantile * std::sqrt(p * (1 - p) / trials + square / (4 * trials * trials));
  const auto scale = 1 + square / trials;
  // Exact at the ends, where rounding would leave something like 1e-17.
  rate.low = rate.numerator == 0 ? 0 : (centre - spread) / scale;
  rate.high = rate.numerator == rate.denominator ? 1 : (centre + spread) / scale;
}

/// The rate's variance between worlds.
double variance(const std::vector<Count>& worlds, const Rate& rate) {
  double squares = 0;
  for (const auto& world : worlds) {
    const auto off =
        static_cast<double>(world.numerator) - *rate.value * static_cast<double>(world.denominator);
    squares += off * off;
  }
  const auto all = static_cast<double>(rate.denominator);
  const auto m = static_cast<double>(rate.worlds);
  return m / (m - 1) * squares / (all * all);
}

double effective_trials(const Rate& rate, double variance) {
  const auto all = static_cast<double>(rate.denominator);
  if (variance == 0) return all;
  return std::min(all, *rate.value * (1 - *rate.value) / variance);
}

}  // namespace

std::string_view to_string(Interval interval) {
  switch (interval) {
    case Interval::wilson:
      return "wilson";
    case Interval::clustered:
      return "clustered";
    case Interval::within_world:
      return "within-world";
  }
  throw std::logic_error("interval");
}

Rate wilson(std::uint64_t numerator, std::uint64_t denominator) {
  Rate rate{.numerator = numerator, .denominator = denominator};
  if (denominator == 0) return rate;
  rate.value = static_cast<double>(numerator) / static_cast<double>(denominator);
  set_interval(rate, static_cast<double>(denominator), normal_quantile);
  return rate;
}

Rate clustered(const std::vector<Count>& worlds) {
  Count all;
  std::uint64_t counted = 0;
  for (const auto& world : worlds) {
    all.numerator += world.numerator;
    all.denominator += world.denominator;
    if (world.denominator > 0) ++counted;
  }
  auto rate = wilson(all.numerator, all.denominator);
  rate.interval = counted > 1 ? Interval::clustered : Interval::within_world;
  rate.worlds = counted;
  if (counted < 2) return rate;
  const boost::math::students_t student(static_cast<double>(counted - 1));
  set_interval(rate, effective_trials(rate, variance(worlds, rate)), boost::math::quantile(student, 0.975));
  return rate;
}

std::optional<io::Duration> quantile(std::vector<io::Duration> values, double share) {
  if (values.empty()) return std::nullopt;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, values.size()) - 1);
  std::ranges::nth_element(values, at);
  return *at;
}

void Tally::add(const world::Trial& trial) {
  ++trials_;
  ++outcomes_[static_cast<std::size_t>(trial.outcome)];
  ++causes_[static_cast<std::size_t>(trial.cause)];
  if (trial.outcome == world::Outcome::success && !trial.transport.empty()) ++transports_[trial.transport];
}

void Tally::add_shared(const world::Trial& trial) {
  add(trial);
  auto& ends = worlds_[trial.world];
  ++ends.all;
  ends.punched += trial.outcome == world::Outcome::success;
  ends.reversed += trial.outcome == world::Outcome::connection_reversed;
  ends.failed += trial.outcome == world::Outcome::failed;
}

void Tally::add(const Tally& other) {
  trials_ += other.trials_;
  for (std::size_t i = 0; i < outcomes_.size(); ++i) outcomes_[i] += other.outcomes_[i];
  for (std::size_t i = 0; i < causes_.size(); ++i) causes_[i] += other.causes_[i];
  for (const auto& [transport, count] : other.transports_) transports_[transport] += count;
  for (const auto& [world, ends] : other.worlds_) {
    auto& sum = worlds_[world];
    sum.all += ends.all;
    sum.punched += ends.punched;
    sum.reversed += ends.reversed;
    sum.failed += ends.failed;
  }
}

Rate Tally::punch_rate() const {
  const auto punched = count(world::Outcome::success);
  if (worlds_.empty()) return wilson(punched, punched + count(world::Outcome::failed));
  std::vector<Count> counts;
  for (const auto& [world, ends] : worlds_) counts.push_back({ends.punched, ends.punched + ends.failed});
  return clustered(counts);
}

Rate Tally::direct_rate() const {
  if (worlds_.empty()) {
    return wilson(count(world::Outcome::success) + count(world::Outcome::connection_reversed), trials_);
  }
  std::vector<Count> counts;
  for (const auto& [world, ends] : worlds_) counts.push_back({ends.punched + ends.reversed, ends.all});
  return clustered(counts);
}

Verdict judge(const world::Expectation& expectation, const Rate& rate) {
  const auto met = rate.value && *rate.value >= expectation.at_least.value_or(0) &&
                   *rate.value <= expectation.at_most.value_or(1);
  return {expectation, rate, met};
}

}  // namespace flaresim::study
