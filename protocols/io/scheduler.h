#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "protocols/io/task.h"
#include "protocols/io/time.h"

namespace flaresim::io {

using TimerId = std::uint64_t;  // 0 is no timer

/// Where code runs and what time it is there.
///
/// 1. Everything runs on one thread, one callback at a time.
/// 2. Posted work runs at the time it was posted, in the order of posting, never inside the poster.
/// 3. Timers due at the same instant run in the order in which they were started.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  virtual Executor executor() = 0;
  virtual TimePoint now() const = 0;
  virtual CalendarTime calendar() const = 0;

  /// Calls back once at `at`, or as soon as possible if that has passed. Prefer Timer, which cancels itself.
  virtual TimerId start_timer(TimePoint at, std::function<void()> on_expiry) = 0;
  /// No effect on a timer that has fired or been cancelled.
  virtual void cancel_timer(TimerId id) = 0;
  /// How many timers are armed: zero once everything has been shut down.
  virtual std::size_t armed_timers() const = 0;

  void post(std::function<void()> work);
  Task<> sleep_until(TimePoint at);
  Task<> sleep_for(Duration duration) { return sleep_until(now() + duration); }
};

/// One alarm. Arming it again replaces what was set; destroying it cancels.
class Timer {
 public:
  explicit Timer(Scheduler& scheduler) : scheduler_(&scheduler) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm_at(TimePoint at, std::function<void()> on_expiry);
  void arm_after(Duration delay, std::function<void()> on_expiry) {
    arm_at(scheduler_->now() + delay, std::move(on_expiry));
  }
  void cancel();
  bool armed() const { return id_ != 0; }

 private:
  Scheduler* scheduler_;
  TimerId id_ = 0;
};

}  // namespace flaresim::io
