#include "tests/protocols/support/test_scheduler.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

namespace flaresim::support {
namespace asio = boost::asio;

struct TestScheduler::Work {
  virtual ~Work() = default;
  virtual void run() = 0;
};

struct TestScheduler::Context : asio::execution_context {
  explicit Context(TestScheduler& owner) : scheduler(owner) {}
  ~Context() {
    shutdown();
    destroy();
  }
  TestScheduler& scheduler;
};

class TestScheduler::Executor {
 public:
  explicit Executor(Context& context) : context_(&context) {}

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *context_; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }
  Executor require(asio::execution::blocking_t::never_t) const { return *this; }

  template <class F>
  void execute(F function) const {
    struct Call final : Work {
      explicit Call(F f) : function(std::move(f)) {}
      void run() override { function(); }
      F function;
    };
    context_->scheduler.ready_.push_back(std::make_unique<Call>(std::move(function)));
  }

  friend bool operator==(const Executor&, const Executor&) noexcept = default;

 private:
  Context* context_;
};

TestScheduler::TestScheduler() : context_(std::make_unique<Context>(*this)) {}

TestScheduler::~TestScheduler() {
  // Destroying a suspended coroutine may post or schedule more.
  while (!ready_.empty() || !events_.empty()) {
    auto ready = std::exchange(ready_, {});
    auto events = std::exchange(events_, {});
  }
}

io::Executor TestScheduler::executor() { return Executor(*context_); }

io::CalendarTime TestScheduler::calendar() const {
  using namespace std::chrono;
  return sys_days(year(2030) / January / 1) + now_.time_since_epoch();
}

io::TimerId TestScheduler::start_timer(io::TimePoint at, std::function<void()> on_expiry) {
  const auto id = next_id_++;
  const auto due = std::max(at, now_);
  events_.emplace(EventKey(due, id), std::move(on_expiry));
  timers_.emplace(id, due);
  return id;
}

void TestScheduler::cancel_timer(io::TimerId id) {
  const auto timer = timers_.find(id);
  if (timer == timers_.end()) return;
  const auto event = events_.extract(EventKey(timer->second, id));  // dies after the tables are consistent
  timers_.erase(timer);
}

void TestScheduler::schedule(io::TimePoint at, std::function<void()> work) {
  events_.emplace(EventKey(std::max(at, now_), next_id_++), std::move(work));
}

bool TestScheduler::step(io::TimePoint limit) {
  if (!ready_.empty()) {
    const auto work = std::move(ready_.front());
    ready_.pop_front();
    work->run();
    return true;
  }
  if (events_.empty() || events_.begin()->first.first > limit) return false;
  const auto event = events_.extract(events_.begin());
  now_ = event.key().first;
  timers_.erase(event.key().second);
  event.mapped()();
  return true;
}

void TestScheduler::run() {
  while (step(io::TimePoint::max())) {
  }
}

void TestScheduler::run_for(io::Duration duration) {
  const auto until = now_ + duration;
  while (step(until)) {
  }
  now_ = until;
}

bool TestScheduler::run_until(const std::function<bool()>& done, io::Duration limit) {
  const auto until = now_ + limit;
  while (!done()) {
    if (!step(until)) return false;
  }
  return true;
}

}  // namespace flaresim::support
