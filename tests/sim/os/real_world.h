#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include "sim/os/real_network.h"

namespace flaresim::os {

/// A task in real time that was started and may have finished; copies share it.
template <class T>
class Started {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  Started(RealScheduler& scheduler, io::Task<T> task) : scheduler_(&scheduler) {
    io::spawn(scheduler.executor(), keep(scheduler, std::move(task), value_));
  }

  bool done() const { return value_->has_value(); }
  /// Runs the scheduler until the task has ended.
  Value& wait(io::Duration limit = std::chrono::seconds(10)) {
    bool late = false;
    io::Timer alarm(*scheduler_);
    alarm.arm_after(limit, [this, &late] {
      late = true;
      scheduler_->stop();
    });
    while (!done() && !late) scheduler_->run();
    if (!done()) throw std::runtime_error("task did not end");
    return value_->value();
  }

 private:
  static io::Task<> keep(RealScheduler& scheduler, io::Task<T> task,
                         std::shared_ptr<std::optional<Value>> value) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      value->emplace();
    } else {
      value->emplace(co_await std::move(task));
    }
    scheduler.stop();
  }

  RealScheduler* scheduler_;
  std::shared_ptr<std::optional<Value>> value_ = std::make_shared<std::optional<Value>>();
};

/// Real sockets on the loopback interface.
class RealWorld : public testing::Test {
 protected:
  RealScheduler scheduler_;
  RealNetwork network_{scheduler_};

  template <class T>
  Started<T> start(io::Task<T> task) {
    return Started<T>(scheduler_, std::move(task));
  }
  template <class T>
  T run(io::Task<T> task) {
    auto started = start(std::move(task));
    if constexpr (std::is_void_v<T>) {
      started.wait();
    } else {
      return std::move(started.wait());
    }
  }
  void must(io::Task<io::Result<>> task) {
    if (const auto result = run(std::move(task)); !result) throw std::system_error(result.error());
  }
  void pass(io::Duration time) { run(scheduler_.sleep_for(time)); }

  static io::Endpoint loopback(std::uint16_t port = 0) {
    return {boost::asio::ip::address_v4::loopback(), port};
  }
  std::unique_ptr<io::Listener> listener(const io::Endpoint& at = loopback()) {
    return network_.listen(at).value();
  }

  struct Ends {
    std::shared_ptr<io::StreamSocket> dialled;
    std::shared_ptr<io::StreamSocket> accepted;
  };
  /// Both ends of a connection to `to`.
  Ends connect(io::Listener& to, std::optional<std::uint16_t> local_port = {}) {
    auto dialled = network_.dial(to.local(), local_port).value();
    auto accepting = start(to.accept());
    must(dialled->connected());
    return {dialled, accepting.wait().value()};
  }
};

}  // namespace flaresim::os
