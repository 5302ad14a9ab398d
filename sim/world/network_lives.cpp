#include "sim/world/network_lives.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace flaresim::world {

io::Duration weibull(const LengthSpec& lengths, double uniform) {
  const auto median = std::chrono::duration<double>(lengths.median);
  const auto p80 = std::chrono::duration<double>(lengths.p80);
  const double at_median = std::log(2.0), at_p80 = std::log(5.0);  // -ln(1 - quantile)
  const auto shape = std::log(at_p80 / at_median) / std::log(p80 / median);
  return std::chrono::round<io::Duration>(median * std::pow(-std::log1p(-uniform) / at_median, 1 / shape));
}

NetworkLives::NetworkLives(NetworkWorld& world) : world_(world) {
  for (std::size_t i = 0; i < world.members().size(); ++i)
    timers_.push_back(std::make_unique<io::Timer>(world.simulation()));
}

void NetworkLives::begin() {
  for (std::size_t i = 0; i < timers_.size(); ++i) {
    auto random = world_.members()[i].random.derive("join");
    const auto at = i < world_.spec().bootstrap ? io::Duration::zero()
                                                : random.between(io::Duration::zero(), world_.spec().join);
    timers_[i]->arm_after(at, [this, i] { start(i); });
  }
}

void NetworkLives::start(std::size_t number) {
  world_.start(number);
  const auto& churn = world_.spec().churn;
  if (!churn || number < world_.spec().bootstrap) return;
  const auto& member = world_.members()[number];
  auto random = member.random.derive(fmt::format("session/{}", member.lives));
  const auto since = std::max(member.started, io::TimePoint{} + churn->from);
  timers_[number]->arm_at(since + weibull(churn->session, random.uniform()),
                          [this, number] { end_session(number); });
}

void NetworkLives::end_session(std::size_t number) {
  const auto& churn = *world_.spec().churn;
  const auto& member = world_.members()[number];
  auto random = member.random.derive(fmt::format("off/{}", member.lives));
  const auto off = std::max(weibull(churn.off, random.uniform()), NetworkWorld::linger);
  world_.leave(number, random.uniform() < churn.silent ? Leave::silent : Leave::closing);
  timers_[number]->arm_after(off, [this, number] { start(number); });
}

void NetworkLives::kill(std::size_t number) {
  timers_[number]->cancel();
  world_.leave(number, Leave::silent);
}

}  // namespace flaresim::world
