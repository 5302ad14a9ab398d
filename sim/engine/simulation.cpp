#include "sim/engine/simulation.h"

#include <ns3/boolean.h>
#include <ns3/event-id.h>
#include <ns3/global-value.h>
#include <ns3/node.h>
#include <ns3/nstime.h>
#include <ns3/object-factory.h>
#include <ns3/rng-seed-manager.h>
#include <ns3/simulator.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/engine/event_queue.h"

namespace flaresim::engine {
namespace asio = boost::asio;
namespace {

bool alive = false;  // ns-3 keeps one simulator per process

io::TimePoint current_time() { return io::TimePoint(io::Duration(ns3::Simulator::Now().GetNanoSeconds())); }

/// A callable that is moved, run once and forgotten. What executors post is a pointer wide and stays in
/// place.
class Work {
 public:
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, Work>) explicit Work(F&& callable) {
    using Callable = std::decay_t<F>;
    if constexpr (sizeof(Callable) <= sizeof(storage_) && std::is_nothrow_move_constructible_v<Callable>) {
      new (storage_) Callable(std::forward<F>(callable));
      operations_ = &operations_of<Callable>;
    } else {
      auto boxed = [callable = std::make_unique<Callable>(std::forward<F>(callable))] { (*callable)(); };
      new (storage_) decltype(boxed)(std::move(boxed));
      operations_ = &operations_of<decltype(boxed)>;
    }
  }
  Work(Work&& other) noexcept : operations_(std::exchange(other.operations_, nullptr)) {
    if (operations_) operations_->relocate(other.storage_, storage_);
  }
  Work& operator=(Work&&) = delete;
  ~Work() {
    if (operations_) operations_->destroy(storage_);
  }
  void operator()() { operations_->run(storage_); }

 private:
  struct Operations {
    void (*run)(void*);
    void (*relocate)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
  };
  template <class Callable>
  static constexpr Operations operations_of{
      [](void* at) { (*static_cast<Callable*>(at))(); },
      [](void* from, void* to) noexcept {
        new (to) Callable(std::move(*static_cast<Callable*>(from)));
        static_cast<Callable*>(from)->~Callable();
      },
      [](void* at) noexcept { static_cast<Callable*>(at)->~Callable(); }};

  alignas(std::max_align_t) std::byte storage_[32];
  const Operations* operations_ = nullptr;
};

void set_up_ns3(const SimulationOptions& options) {
  ns3::RngSeedManager::SetSeed(1);
  ns3::RngSeedManager::SetRun(1);
  // Asking the node first makes the linker bring in the library that owns the setting.
  if (ns3::Node::ChecksumEnabled() != options.checksums) {
    ns3::GlobalValue::Bind("ChecksumEnabled", ns3::BooleanValue(options.checksums));
  }
  ns3::ObjectFactory scheduler;
  scheduler.SetTypeId(EventQueue::GetTypeId());
  ns3::Simulator::SetScheduler(scheduler);
}

}  // namespace

class Simulation::Loop final : public asio::execution_context {
 public:
  class Executor;

  explicit Loop(const SimulationOptions& chosen) : options(chosen) {}
  ~Loop() {
    drop_timers();
    drop_posted();
  }

  template <class F>
  void post(F&& callable) {
    posted_.emplace_back(std::forward<F>(callable));
    if (batch_scheduled_) return;
    batch_scheduled_ = true;
    ns3::Simulator::ScheduleNow(&Loop::run_batch, this);
  }

  /// Runs posted work in order, also what it posts itself. What an exception leaves of a batch is dropped.
  void run_posted() {
    while (!posted_.empty()) {
      running_.clear();
      running_.swap(posted_);
      for (auto& work : running_) {
        Work mine(std::move(work));
        mine();
      }
      running_.clear();
    }
  }

  io::TimerId start_timer(io::TimePoint at, std::function<void()> on_expiry) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(timers_.size()));
      timers_.emplace_back();
    }
    const auto index = free_.back();
    free_.pop_back();
    auto& timer = timers_[index];
    timer.on_expiry = std::move(on_expiry);
    timer.armed = true;
    const auto delay = std::max(io::Duration::zero(), at - current_time());
    timer.event = ns3::Simulator::Schedule(ns3::NanoSeconds(delay.count()), &Loop::expire, this, index);
    ++armed_;
    return static_cast<io::TimerId>(timer.generation) << 32 | (index + 1);
  }

  void cancel_timer(io::TimerId which) {
    const auto index = static_cast<std::uint32_t>(which) - 1;
    if (which == 0 || index >= timers_.size()) return;
    auto& timer = timers_[index];
    if (!timer.armed || timer.generation != which >> 32) return;
    timer.event.Cancel();
    const auto forgotten = release(index);  // its destructor may start and cancel timers
  }

  std::size_t armed() const { return armed_; }

  /// Runs events up to `at`; returns early once the condition holds.
  void run(io::TimePoint at, const std::function<bool()>* done) {
    done_ = done;
    events_at_stop_ = 0;
    const auto delay = std::max(io::Duration::zero(), at - current_time());
    stop_ = ns3::Simulator::Schedule(ns3::NanoSeconds(delay.count()), &Loop::stop_when_quiet, this);
    const RunEnd end{*this};  // also when an exception passes through
    ns3::Simulator::Run();
  }

  const SimulationOptions options;

 private:
  struct TimerSlot {
    ns3::EventId event;
    std::function<void()> on_expiry;
    std::uint32_t generation = 0;
    bool armed = false;
  };

  struct RunEnd {
    Loop& loop;
    ~RunEnd() {
      loop.stop_.Cancel();
      loop.done_ = nullptr;
    }
  };

  void run_batch() {
    batch_scheduled_ = false;
    run_posted();
    check_condition();
  }

  void expire(std::uint32_t index) {
    const auto on_expiry = release(index);
    on_expiry();
    check_condition();
  }

  std::function<void()> release(std::uint32_t index) {
    auto& timer = timers_[index];
    timer.armed = false;
    ++timer.generation;
    free_.push_back(index);
    --armed_;
    return std::exchange(timer.on_expiry, nullptr);
  }

  void check_condition() {
    if (done_ != nullptr && (*done_)()) ns3::Simulator::Stop();
  }

  /// Events of this instant that were scheduled after the stop belong to it as well: let them go first, until
  /// a round brings none.
  void stop_when_quiet() {
    const auto events = ns3::Simulator::GetEventCount();
    if (events == events_at_stop_ + 1) return ns3::Simulator::Stop();
    events_at_stop_ = events;
    stop_ = ns3::Simulator::ScheduleNow(&Loop::stop_when_quiet, this);
  }

  void drop_posted() {
    while (!posted_.empty()) {
      auto dropped = std::move(posted_);
      posted_.clear();
    }
  }

  void drop_timers() {
    for (std::size_t i = 0; i < timers_.size(); ++i) {
      if (timers_[i].armed) cancel_timer(static_cast<io::TimerId>(timers_[i].generation) << 32 | (i + 1));
    }
  }

  std::vector<Work> posted_;
  std::vector<Work> running_;
  bool batch_scheduled_ = false;
  std::vector<TimerSlot> timers_;
  std::vector<std::uint32_t> free_;
  std::size_t armed_ = 0;
  const std::function<bool()>* done_ = nullptr;
  ns3::EventId stop_;
  std::uint64_t events_at_stop_ = 0;
};

class Simulation::Loop::Executor {
 public:
  explicit Executor(Loop& loop) : loop_(&loop) {}

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *loop_; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }
  Executor require(asio::execution::blocking_t::never_t) const { return *this; }
  template <class F>
  void execute(F&& callable) const {
    loop_->post(std::forward<F>(callable));
  }
  friend bool operator==(const Executor& a, const Executor& b) noexcept { return a.loop_ == b.loop_; }
  friend bool operator!=(const Executor& a, const Executor& b) noexcept { return a.loop_ != b.loop_; }

 private:
  Loop* loop_;
};

Simulation::Simulation(SimulationOptions options) {
  if (std::exchange(alive, true)) throw std::logic_error("one simulation at a time");
  set_up_ns3(options);
  loop_ = std::make_unique<Loop>(options);
}

Simulation::~Simulation() {
  drain();
  loop_.reset();
  ns3::Simulator::Destroy();
  alive = false;
}

io::Executor Simulation::executor() { return Loop::Executor(*loop_); }
io::TimePoint Simulation::now() const { return current_time(); }

io::CalendarTime Simulation::calendar() const {
  constexpr auto beginning = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};
  return beginning + current_time().time_since_epoch();
}

io::TimerId Simulation::start_timer(io::TimePoint at, std::function<void()> on_expiry) {
  return loop_->start_timer(at, std::move(on_expiry));
}
void Simulation::cancel_timer(io::TimerId id) { loop_->cancel_timer(id); }
std::size_t Simulation::armed_timers() const { return loop_->armed(); }

void Simulation::run_until(io::TimePoint at) { loop_->run(at, nullptr); }

bool Simulation::run_until(const std::function<bool()>& done, io::TimePoint deadline) {
  if (done()) return true;
  loop_->run(deadline, &done);
  return done();
}

void Simulation::drain() { loop_->run_posted(); }
bool Simulation::checksums() const { return loop_->options.checksums; }
std::uint64_t Simulation::events_executed() const { return ns3::Simulator::GetEventCount(); }

}  // namespace flaresim::engine
