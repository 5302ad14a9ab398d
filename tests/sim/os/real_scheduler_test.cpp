#include "sim/os/real_scheduler.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/sim/os/real_world.h"

namespace flaresim::os {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class RealSchedulerTest : public RealWorld {
 protected:
  std::vector<int> order_;
  std::function<void()> note(int number) {
    return [this, number] { order_.push_back(number); };
  }
};

TEST_F(RealSchedulerTest, TimersRunInTheOrderOfTheirTimes) {
  const auto now = scheduler_.now();
  scheduler_.start_timer(now + 20ms, note(3));
  scheduler_.start_timer(now + 5ms, note(1));
  scheduler_.start_timer(now + 10ms, note(2));
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1, 2, 3));
}

TEST_F(RealSchedulerTest, TimersOfOneInstantRunInTheOrderOfTheirStart) {
  const auto at = scheduler_.now() + 5ms;
  for (int i = 1; i <= 4; ++i) scheduler_.start_timer(at, note(i));
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1, 2, 3, 4));
}

TEST_F(RealSchedulerTest, ATimerIsNeverEarly) {
  const auto due = scheduler_.now() + 10ms;
  io::TimePoint ran{};
  scheduler_.start_timer(due, [&] { ran = scheduler_.now(); });
  scheduler_.run();
  EXPECT_GE(ran, due);
}

TEST_F(RealSchedulerTest, ATimerInThePastRunsSoonButNotInsideItsStarter) {
  scheduler_.start_timer(scheduler_.now() - 1s, note(1));
  EXPECT_TRUE(order_.empty());
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1));
}

TEST_F(RealSchedulerTest, ACancelledTimerNeitherRunsNorKeepsTheLoopAlive) {
  const auto id = scheduler_.start_timer(scheduler_.now() + 1h, note(1));
  EXPECT_EQ(scheduler_.armed_timers(), 1u);
  scheduler_.cancel_timer(id);
  scheduler_.cancel_timer(id);
  EXPECT_EQ(scheduler_.armed_timers(), 0u);
  const auto before = scheduler_.now();
  scheduler_.run();
  EXPECT_LT(scheduler_.now() - before, 10s);
  EXPECT_TRUE(order_.empty());
}

TEST_F(RealSchedulerTest, ATimerMayCancelAnotherOneThatIsDue) {
  const auto now = scheduler_.now();
  io::TimerId second = 0;
  scheduler_.start_timer(now, [&] { scheduler_.cancel_timer(second); });
  second = scheduler_.start_timer(now, note(2));
  scheduler_.run();
  EXPECT_TRUE(order_.empty());
}

TEST_F(RealSchedulerTest, ATimerAtTheEndOfTimeDoesNotFire) {
  const auto id = scheduler_.start_timer(io::TimePoint::max(), note(1));
  pass(5ms);
  EXPECT_TRUE(order_.empty());
  scheduler_.cancel_timer(id);
}

TEST_F(RealSchedulerTest, PostedWorkRunsInOrderAndNotInsideThePoster) {
  scheduler_.post([this] {
    scheduler_.post(note(2));
    order_.push_back(1);
  });
  EXPECT_TRUE(order_.empty());
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1, 2));
}

TEST_F(RealSchedulerTest, CalendarIsTheSystemClock) {
  const auto difference = std::chrono::system_clock::now() - scheduler_.calendar();
  EXPECT_LT(std::chrono::abs(difference), 1s);
}

io::Task<> accept_once(std::shared_ptr<io::Listener> listener, std::shared_ptr<int>) {
  co_await listener->accept();
}

TEST_F(RealSchedulerTest, ItMayBeDestroyedWithTimersArmedAndSocketsWaiting) {
  const auto witness = std::make_shared<int>(0);
  {
    RealScheduler scheduler;
    RealNetwork network(scheduler);
    scheduler.start_timer(scheduler.now() + 1h, [witness] {});
    std::shared_ptr<io::Listener> listener = network.listen(loopback()).value();
    io::spawn(scheduler.executor(), accept_once(std::move(listener), witness));
    scheduler.start_timer(scheduler.now() + 1ms, [&] { scheduler.stop(); });
    scheduler.run();
    EXPECT_EQ(witness.use_count(), 3);
  }
  EXPECT_EQ(witness.use_count(), 1);
}

}  // namespace
}  // namespace flaresim::os
