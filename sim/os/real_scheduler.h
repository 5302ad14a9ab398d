#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "protocols/io/scheduler.h"

namespace boost::asio {
class io_context;
}

namespace flaresim::os {

/// The machine's own time, and one thread of it.
///
/// 1. Time is the steady clock's, counted from the construction; the calendar is the system's.
/// 2. Arming and cancelling a timer take O(log n).
/// 3. Everything it still holds is destroyed with it; destroy networks, streams and sessions before it.
class RealScheduler final : public io::Scheduler {
 public:
  RealScheduler();
  ~RealScheduler() override;
  RealScheduler(const RealScheduler&) = delete;
  RealScheduler& operator=(const RealScheduler&) = delete;

  io::Executor executor() override;
  io::TimePoint now() const override;
  io::CalendarTime calendar() const override;
  io::TimerId start_timer(io::TimePoint at, std::function<void()> on_expiry) override;
  void cancel_timer(io::TimerId id) override;
  std::size_t armed_timers() const override { return timers_.size(); }

  /// Runs what there is to run, and waits for more, until `stop` or until nothing can happen any more.
  void run();
  /// The same, for so long at most.
  void run_for(io::Duration limit);
  void stop();

  /// Where the sockets of this world live.
  boost::asio::io_context& context();

 private:
  using TimerKey = std::pair<io::TimePoint, io::TimerId>;

  void set_alarm();
  void run_due();

  struct Loop;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::map<TimerKey, std::function<void()>> timers_;
  std::unordered_map<io::TimerId, io::TimePoint> expiries_;
  io::TimerId next_id_ = 1;
  std::unique_ptr<Loop> loop_;
};

}  // namespace flaresim::os
