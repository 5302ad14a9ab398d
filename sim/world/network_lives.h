#pragma once

#include <memory>
#include <vector>

#include "sim/world/network_world.h"

namespace flaresim::world {

/// A length of time from a Weibull distribution through the two quantiles; `uniform` is in [0, 1).
io::Duration weibull(const LengthSpec& lengths, double uniform);

/// Has members join, leave and come back.
///
/// 1. Bootstrap nodes start at once and stay; the others start at an instant drawn evenly from the time of joining.
/// 2. With churn, a member's sessions and the times between them are drawn from streams of its own, so that they are
///    the same whatever else happens.
/// 3. Who was killed does not come back.
class NetworkLives {
 public:
  explicit NetworkLives(NetworkWorld& world);

  void begin();
  void kill(std::size_t number);
  void stop() { timers_.clear(); }

 private:
  void start(std::size_t number);
  void end_session(std::size_t number);

  NetworkWorld& world_;
  std::vector<std::unique_ptr<io::Timer>> timers_;  ///< of each member, for what it does next
};

}  // namespace flaresim::world
