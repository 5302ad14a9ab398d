#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "protocols/io/scheduler.h"

namespace flaresim::support {

/// A scheduler in virtual time: an hour passes as fast as its events can be run.
///
/// 1. Time moves only inside `run`, `run_for` and `run_until`, straight to the next event.
/// 2. Posted work runs before any later event, in the order of posting.
/// 3. Everything it still holds is destroyed with it; destroy streams and sessions before it.
class TestScheduler final : public io::Scheduler {
 public:
  TestScheduler();
  ~TestScheduler() override;

  io::Executor executor() override;
  io::TimePoint now() const override { return now_; }
  /// 2030-01-01 00:00:00 at the start, so that records are neither from 1970 nor from today.
  io::CalendarTime calendar() const override;
  io::TimerId start_timer(io::TimePoint at, std::function<void()> on_expiry) override;
  void cancel_timer(io::TimerId id) override;
  std::size_t armed_timers() const override { return timers_.size(); }

  /// Something the world does by itself, such as delivering a packet: it is no armed timer.
  void schedule(io::TimePoint at, std::function<void()> work);

  /// Until nothing is left to do. Whoever re-arms timers for ever (a keep-alive) needs `run_for`.
  void run();
  /// Everything due within `duration`; then that much time has passed.
  void run_for(io::Duration duration);
  /// Until `done` or until `limit` has passed; tells which.
  bool run_until(const std::function<bool()>& done, io::Duration limit = std::chrono::hours(1));
  /// Everything that can be done without time passing.
  void settle() { run_for(io::Duration::zero()); }

  struct Work;
  class Executor;

 private:
  using EventKey = std::pair<io::TimePoint, std::uint64_t>;

  /// One piece of work or one event that is due by `limit`; false when there is none.
  bool step(io::TimePoint limit);

  struct Context;
  std::unique_ptr<Context> context_;
  std::deque<std::unique_ptr<Work>> ready_;
  std::map<EventKey, std::function<void()>> events_;
  std::map<io::TimerId, io::TimePoint> timers_;
  io::TimePoint now_{};
  std::uint64_t next_id_ = 1;
};

}  // namespace flaresim::support
