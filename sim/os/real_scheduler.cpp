#include "sim/os/real_scheduler.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>

namespace flaresim::os {
namespace asio = boost::asio;

struct RealScheduler::Loop {
  asio::io_context context{1};
  std::optional<asio::steady_timer> alarm{context};  // none while the scheduler is being destroyed
};

RealScheduler::RealScheduler() : loop_(std::make_unique<Loop>()) {}

RealScheduler::~RealScheduler() {
  // What is destroyed now, and with the loop after this, may still ask for timers; it gets none.
  loop_->alarm.reset();
  expiries_.clear();
  std::exchange(timers_, {}).clear();
}

io::Executor RealScheduler::executor() { return loop_->context.get_executor(); }

io::TimePoint RealScheduler::now() const {
  return io::TimePoint(std::chrono::duration_cast<io::Duration>(std::chrono::steady_clock::now() - start_));
}

io::CalendarTime RealScheduler::calendar() const { return std::chrono::system_clock::now(); }

io::TimerId RealScheduler::start_timer(io::TimePoint at, std::function<void()> on_expiry) {
  if (!loop_->alarm) return 0;
  const auto id = next_id_++;
  const auto timer = timers_.emplace(TimerKey{at, id}, std::move(on_expiry)).first;
  expiries_.emplace(id, at);
  if (timer == timers_.begin()) set_alarm();
  return id;
}

void RealScheduler::cancel_timer(io::TimerId id) {
  const auto expiry = expiries_.find(id);
  if (expiry == expiries_.end()) return;
  const auto timer = timers_.extract({expiry->second, id});
  expiries_.erase(expiry);
  if (timers_.empty()) loop_->alarm->cancel();  // nothing to wait for: `run` may end
}

void RealScheduler::set_alarm() {
  if (timers_.empty()) return;
  // Bounded, so that a timer set for the end of time does not overflow the machine's clock.
  const auto at = std::min(timers_.begin()->first.first, now() + std::chrono::hours(1));
  loop_->alarm->expires_at(start_ + at.time_since_epoch());
  loop_->alarm->async_wait([this](const boost::system::error_code& error) {
    if (!error) run_due();
  });
}

void RealScheduler::run_due() {
  const auto due = now();
  while (!timers_.empty() && timers_.begin()->first.first <= due) {
    const auto timer = timers_.extract(timers_.begin());
    expiries_.erase(timer.key().second);
    timer.mapped()();
  }
  set_alarm();
}

void RealScheduler::run() {
  loop_->context.restart();
  loop_->context.run();
}

void RealScheduler::run_for(io::Duration limit) {
  loop_->context.restart();
  loop_->context.run_for(limit);
}

void RealScheduler::stop() { loop_->context.stop(); }

asio::io_context& RealScheduler::context() { return loop_->context; }

}  // namespace flaresim::os
