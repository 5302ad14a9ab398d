#include "protocols/io/signal.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/protocols/support/run_task.h"

namespace flaresim::io {
namespace {

using namespace std::chrono_literals;
using support::start;
using support::TestScheduler;
using testing::ElementsAre;

Task<> note_when_woken(Signal& signal, std::vector<int>& order, int number) {
  co_await signal.wait();
  order.push_back(number);
}

Task<> wait_keeping(Signal& signal, std::shared_ptr<int>) { co_await signal.wait_until(TimePoint::max()); }

TEST(Signal, WakesWaitersInTheOrderInWhichTheyBeganToWait) {
  TestScheduler scheduler;
  Signal signal(scheduler);
  std::vector<int> order;
  for (int i = 1; i <= 3; ++i) start(scheduler, note_when_woken(signal, order, i));
  scheduler.settle();
  EXPECT_EQ(signal.waiting(), 3u);
  signal.notify_all();
  EXPECT_TRUE(order.empty());  // later, on the scheduler
  scheduler.settle();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
  EXPECT_EQ(signal.waiting(), 0u);
}

TEST(Signal, DoesNotRememberANotification) {
  TestScheduler scheduler;
  Signal signal(scheduler);
  signal.notify_all();
  auto waiting = start(scheduler, signal.wait());
  scheduler.settle();
  EXPECT_FALSE(waiting.done());
  signal.notify_all();
  scheduler.settle();
  EXPECT_TRUE(waiting.done());
}

TEST(Signal, TellsANotificationFromTheTime) {
  TestScheduler scheduler;
  Signal signal(scheduler);
  const auto begin = scheduler.now();
  auto late = start(scheduler, signal.wait_until(begin + 10ms));
  scheduler.run_for(9ms);
  EXPECT_FALSE(late.done());
  scheduler.run_for(1ms);
  EXPECT_FALSE(late.value());

  auto notified = start(scheduler, signal.wait_until(begin + 1s));
  scheduler.settle();
  signal.notify_all();
  scheduler.settle();
  EXPECT_TRUE(notified.value());
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

TEST(Signal, OneWaiterWhoseTimeHasComeLeavesTheOthersWaiting) {
  TestScheduler scheduler;
  Signal signal(scheduler);
  auto brief = start(scheduler, signal.wait_until(scheduler.now() + 1ms));
  auto patient = start(scheduler, signal.wait());
  scheduler.run_for(1ms);
  EXPECT_TRUE(brief.done());
  EXPECT_FALSE(patient.done());
  EXPECT_EQ(signal.waiting(), 1u);
}

TEST(Signal, DestroyingItUnwindsWhoWaits) {
  TestScheduler scheduler;
  auto signal = std::make_unique<Signal>(scheduler);
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> witness = kept;
  spawn(scheduler.executor(), wait_keeping(*signal, std::move(kept)));
  scheduler.settle();
  EXPECT_FALSE(witness.expired());
  signal.reset();
  scheduler.settle();
  EXPECT_TRUE(witness.expired());
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::io
