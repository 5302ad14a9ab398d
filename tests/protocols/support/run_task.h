#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::support {

/// A task that was started and may have finished; copies share it.
template <class T>
class Started {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  bool done() const { return value_->has_value(); }
  /// What the task returned; it must be done.
  Value& value() const { return value_->value(); }

  Started(TestScheduler& scheduler, io::Task<T> task) {
    io::spawn(scheduler.executor(), keep(std::move(task), value_));
  }

 private:
  static io::Task<> keep(io::Task<T> task, std::shared_ptr<std::optional<Value>> value) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      value->emplace();
    } else {
      value->emplace(co_await std::move(task));
    }
  }

  std::shared_ptr<std::optional<Value>> value_ = std::make_shared<std::optional<Value>>();
};

/// Starts a task; it runs whenever the scheduler does.
template <class T>
Started<T> start(TestScheduler& scheduler, io::Task<T> task) {
  return Started<T>(scheduler, std::move(task));
}

/// Runs a task to its end and returns its value; throws when it has not ended after `limit` of virtual time.
template <class T>
T run_task(TestScheduler& scheduler, io::Task<T> task, io::Duration limit = std::chrono::hours(1)) {
  auto started = start(scheduler, std::move(task));
  if (!scheduler.run_until([&] { return started.done(); }, limit))
    throw std::runtime_error("task did not end");
  if constexpr (!std::is_void_v<T>) return std::move(started.value());
}

}  // namespace flaresim::support
