#include "protocols/io/scheduler.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/protocols/support/run_task.h"

namespace flaresim::io {
namespace {

using namespace std::chrono_literals;
using support::TestScheduler;
using testing::ElementsAre;

class TimerTest : public testing::Test {
 protected:
  TestScheduler scheduler_;
  std::vector<int> order_;
  std::function<void()> note(int number) {
    return [this, number] { order_.push_back(number); };
  }
};

TEST_F(TimerTest, CallsBackOnceAtItsTime) {
  Timer timer(scheduler_);
  const auto start = scheduler_.now();
  TimePoint ran{};
  timer.arm_after(5ms, [&] { ran = scheduler_.now(); });
  EXPECT_TRUE(timer.armed());
  scheduler_.run();
  EXPECT_EQ(ran, start + 5ms);
  EXPECT_FALSE(timer.armed());
}

TEST_F(TimerTest, ArmingAgainReplacesWhatWasSet) {
  Timer timer(scheduler_);
  timer.arm_after(5ms, note(1));
  timer.arm_after(10ms, note(2));
  EXPECT_EQ(scheduler_.armed_timers(), 1u);
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(2));
}

TEST_F(TimerTest, CancellingOrDestroyingItStopsIt) {
  Timer cancelled(scheduler_);
  cancelled.arm_after(5ms, note(1));
  cancelled.cancel();
  { Timer(scheduler_).arm_after(5ms, note(2)); }
  EXPECT_FALSE(cancelled.armed());
  EXPECT_EQ(scheduler_.armed_timers(), 0u);
  scheduler_.run();
  EXPECT_TRUE(order_.empty());
}

TEST_F(TimerTest, ItsCallbackMayArmItAgain) {
  Timer timer(scheduler_);
  timer.arm_after(1ms, [&] {
    order_.push_back(1);
    timer.arm_after(1ms, note(2));
  });
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1, 2));
}

TEST_F(TimerTest, ItsCallbackMayDestroyIt) {
  auto timer = std::make_unique<Timer>(scheduler_);
  const auto witness = std::make_shared<int>(1);
  timer->arm_after(1ms, [this, &timer, witness] {
    timer.reset();
    order_.push_back(*witness);
  });
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1));
  EXPECT_EQ(witness.use_count(), 1);
}

TEST_F(TimerTest, EqualTimesRunInTheOrderOfArming) {
  Timer first(scheduler_);
  Timer second(scheduler_);
  second.arm_after(1ms, note(2));
  first.arm_after(1ms, note(1));
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(2, 1));
}

TEST_F(TimerTest, SleepingTakesExactlyItsTime) {
  const auto start = scheduler_.now();
  support::run_task(scheduler_, scheduler_.sleep_for(250ms));
  EXPECT_EQ(scheduler_.now(), start + 250ms);
  EXPECT_EQ(scheduler_.armed_timers(), 0u);
}

TEST_F(TimerTest, SleepingUntilThePastTakesNoTime) {
  const auto start = scheduler_.now();
  support::run_task(scheduler_, scheduler_.sleep_until(start - 1s));
  EXPECT_EQ(scheduler_.now(), start);
}

TEST_F(TimerTest, PostedWorkRunsInOrderAndNotInsideThePoster) {
  scheduler_.post([this] {
    scheduler_.post(note(3));
    order_.push_back(1);
  });
  scheduler_.post(note(2));
  EXPECT_TRUE(order_.empty());
  scheduler_.run();
  EXPECT_THAT(order_, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace flaresim::io
