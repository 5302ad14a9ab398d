#include "protocols/io/scheduler.h"

#include <boost/asio/post.hpp>

#include "protocols/io/signal.h"

namespace flaresim::io {

void Scheduler::post(std::function<void()> work) { boost::asio::post(executor(), std::move(work)); }

Task<> Scheduler::sleep_until(TimePoint at) {
  Signal never(*this);
  co_await never.wait_until(at);
}

void Timer::arm_at(TimePoint at, std::function<void()> on_expiry) {
  cancel();
  id_ = scheduler_->start_timer(at, [this, on_expiry = std::move(on_expiry)] {
    id_ = 0;
    // The callback may destroy this timer, and with it the closure that runs: let the callback live on the
    // stack.
    auto call = on_expiry;
    call();
  });
}

void Timer::cancel() {
  if (id_ != 0) scheduler_->cancel_timer(std::exchange(id_, 0));
}

}  // namespace flaresim::io
