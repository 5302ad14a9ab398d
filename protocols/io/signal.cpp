#include "protocols/io/signal.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

namespace flaresim::io {
namespace asio = boost::asio;

struct Signal::Waiter {
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(bool)>::handler_type;

  Handler handler;
  TimerId timer = 0;
};

Signal::Signal(Scheduler& scheduler) : scheduler_(&scheduler) {}

Signal::~Signal() {
  for (auto& waiter : waiters_) scheduler_->cancel_timer(waiter.timer);
}

Task<> Signal::wait() { co_await wait_for_wake(nullptr); }

Task<bool> Signal::wait_until(TimePoint deadline) { return wait_for_wake(&deadline); }

/// Not a coroutine itself: a large simulation has hundreds of thousands that wait, each with its frames.
Task<bool> Signal::wait_for_wake(const TimePoint* deadline) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [this, limit = deadline == nullptr ? std::nullopt : std::optional(*deadline)](Waiter::Handler handler) {
        const auto waiter = waiters_.insert(waiters_.end(), Waiter{std::move(handler)});
        if (limit) {
          waiter->timer = scheduler_->start_timer(*limit, [this, waiter] {
            waiter->timer = 0;
            wake(waiter, false);
          });
        }
      },
      asio::use_awaitable);
}

void Signal::wake(std::list<Waiter>::iterator waiter, bool notified) {
  if (waiter->timer != 0) scheduler_->cancel_timer(waiter->timer);
  auto handler = std::move(waiter->handler);
  waiters_.erase(waiter);
  asio::post(scheduler_->executor(),
             [handler = std::move(handler), notified]() mutable { std::move(handler)(notified); });
}

void Signal::notify_all() {
  while (!waiters_.empty()) wake(waiters_.begin(), true);
}

}  // namespace flaresim::io
