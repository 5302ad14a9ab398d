#include "protocols/io/scheduler.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

namespace flaresim::io {
namespace asio = boost::asio;

void Scheduler::post(std::function<void()> work) { asio::post(executor(), std::move(work)); }

Task<> Scheduler::sleep_until(TimePoint at) {
  // The timer owns the sleeper, so that whoever drops the timer unwinds it.
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [this, at](auto handler) {
        auto sleeper = std::make_shared<decltype(handler)>(std::move(handler));
        start_timer(at, [this, sleeper = std::move(sleeper)] {
          asio::post(executor(), [woken = std::move(*sleeper)]() mutable { std::move(woken)(); });
        });
      },
      asio::use_awaitable);
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
