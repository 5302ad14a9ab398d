#pragma once

#include <chrono>

namespace flaresim::io {

using Duration = std::chrono::nanoseconds;

/// The clock of whichever world runs: simulated time or the machine's steady clock. It has no `now()`, so
/// that nobody can ask the wrong one; the time comes from a Scheduler.
struct WorldClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<WorldClock>;
  static constexpr bool is_steady = true;
};

using TimePoint = WorldClock::time_point;

/// Seconds since 1970, for messages that carry calendar time.
using CalendarTime = std::chrono::sys_time<Duration>;

}  // namespace flaresim::io
