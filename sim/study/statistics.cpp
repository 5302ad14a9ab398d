#include "sim/study/statistics.h"

#include <cmath>

namespace flaresim::study {

Rate wilson(std::uint64_t numerator, std::uint64_t denominator) {
  Rate rate{.numerator = numerator, .denominator = denominator, .value = {}, .low = {}, .high = {}};
  if (denominator == 0) return rate;
  constexpr double z = 1.959963984540054;  // 97.5 % quantile of the normal distribution
  const auto n = static_cast<double>(denominator);
  const auto p = static_cast<double>(numerator) / n;
  const auto centre = p + z * z / (2 * n);
  const auto spread = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const auto scale = 1 + z * z / n;
  rate.value = p;
  // Exact at the ends, where rounding would leave something like 1e-17.
  rate.low = numerator == 0 ? 0 : (centre - spread) / scale;
  rate.high = numerator == denominator ? 1 : (centre + spread) / scale;
  return rate;
}

void Tally::add(const world::Trial& trial) {
  ++trials_;
  ++outcomes_[static_cast<std::size_t>(trial.outcome)];
  ++causes_[static_cast<std::size_t>(trial.cause)];
  if (trial.outcome == world::Outcome::success && !trial.transport.empty()) ++transports_[trial.transport];
}

void Tally::add(const Tally& other) {
  trials_ += other.trials_;
  for (std::size_t i = 0; i < outcomes_.size(); ++i) outcomes_[i] += other.outcomes_[i];
  for (std::size_t i = 0; i < causes_.size(); ++i) causes_[i] += other.causes_[i];
  for (const auto& [transport, count] : other.transports_) transports_[transport] += count;
}

Rate Tally::punch_rate() const {
  const auto punched = count(world::Outcome::success);
  return wilson(punched, punched + count(world::Outcome::failed));
}

Rate Tally::direct_rate() const {
  return wilson(count(world::Outcome::success) + count(world::Outcome::connection_reversed), trials_);
}

Verdict judge(const world::Expectation& expectation, const Tally& tally) {
  const auto rate = expectation.rate == "punch_rate" ? tally.punch_rate() : tally.direct_rate();
  const auto met = rate.value && *rate.value >= expectation.at_least.value_or(0) &&
                   *rate.value <= expectation.at_most.value_or(1);
  return {expectation, rate, met};
}

}  // namespace flaresim::study
