#pragma once

#include <list>

#include "protocols/io/scheduler.h"

namespace flaresim::io {

/// Lets coroutines wait for a condition that others make true.
///
/// 1. `notify_all` wakes whoever waits now; it is not remembered. Wait in a loop over the condition.
/// 2. Woken coroutines run later, on the scheduler, in the order in which they began to wait.
/// 3. Destroying the signal unwinds the coroutines that still wait; own the signal from the coroutine
///    (a shared_ptr to its owner) where that must not happen.
class Signal {
 public:
  explicit Signal(Scheduler& scheduler);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  Task<> wait();
  /// True when notified, false when the time came first.
  Task<bool> wait_until(TimePoint deadline);
  void notify_all();

  std::size_t waiting() const { return waiters_.size(); }

 private:
  struct Waiter;
  Task<bool> wait_for_wake(const TimePoint* deadline);
  void wake(std::list<Waiter>::iterator waiter, bool notified);

  Scheduler* scheduler_;
  std::list<Waiter> waiters_;
};

}  // namespace flaresim::io
