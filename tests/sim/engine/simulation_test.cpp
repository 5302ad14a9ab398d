#include "sim/engine/simulation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocols/io/signal.h"

namespace flaresim::engine {
namespace {

using namespace std::chrono_literals;

const io::TimePoint t0{};

TEST(Simulation, TimeBeginsAtZeroAndTheCalendarIn2026) {
  Simulation simulation;
  EXPECT_EQ(simulation.now(), t0);
  EXPECT_EQ(simulation.calendar().time_since_epoch(), 1767225600s);
  simulation.run_for(90s);
  EXPECT_EQ(simulation.now(), t0 + 90s);
  EXPECT_EQ(simulation.calendar().time_since_epoch(), 1767225690s);
}

TEST(Simulation, ThereIsOneAtATime) {
  Simulation simulation;
  EXPECT_THROW(Simulation(), std::logic_error);
}

TEST(Simulation, PostedWorkRunsInOrderAndNeverInsideThePoster) {
  Simulation simulation;
  std::string trace;
  simulation.post([&] {
    trace += 'a';
    simulation.post([&] { trace += 'c'; });
    trace += 'b';
  });
  simulation.post([&] { trace += 'x'; });
  EXPECT_EQ(trace, "");
  simulation.run_until(t0);
  EXPECT_EQ(trace, "abxc");
  EXPECT_EQ(simulation.now(), t0);
}

TEST(Simulation, GoesOnAfterAnExceptionWithoutTheRestOfItsBatch) {
  Simulation simulation;
  std::string trace;
  simulation.post([&] { trace += 'a'; });
  simulation.post([] { throw std::runtime_error("broken"); });
  simulation.post([&] { trace += 'b'; });
  EXPECT_THROW(simulation.run_until(t0), std::runtime_error);
  simulation.post([&] { trace += 'c'; });
  simulation.drain();
  simulation.post([&] { trace += 'd'; });
  simulation.run_until(t0);
  EXPECT_EQ(trace, "acd");
}

TEST(Simulation, HandlersNeedNotBeCopyable) {
  Simulation simulation;
  int seen = 0;
  boost::asio::post(simulation.executor(), [&seen, value = std::make_unique<int>(7)] { seen = *value; });
  simulation.drain();
  EXPECT_EQ(seen, 7);
}

TEST(Simulation, PostsOfOneInstantCostOneEvent) {
  Simulation simulation;
  const auto before = simulation.events_executed();
  int ran = 0;
  for (int i = 0; i < 1000; ++i) simulation.post([&] { ++ran; });
  simulation.run_until(t0);
  EXPECT_EQ(ran, 1000);
  EXPECT_LE(simulation.events_executed() - before, 4u);  // the batch, and looking for the end of the instant
}

TEST(Simulation, TimersOfOneInstantFireInTheOrderOfTheirStart) {
  Simulation simulation;
  std::string trace;
  simulation.start_timer(t0 + 2s, [&] { trace += '3'; });
  simulation.start_timer(t0 + 1s, [&] { trace += '1'; });
  simulation.start_timer(t0 + 1s, [&] { trace += '2'; });
  simulation.run_until(t0 + 5s);
  EXPECT_EQ(trace, "123");
  EXPECT_EQ(simulation.now(), t0 + 5s);
}

TEST(Simulation, ATimerInThePastFiresAtOnce) {
  Simulation simulation;
  simulation.run_for(10s);
  io::TimePoint fired{};
  simulation.start_timer(t0 + 1s, [&] { fired = simulation.now(); });
  simulation.run_for(1s);
  EXPECT_EQ(fired, t0 + 10s);
}

TEST(Simulation, ACancelledTimerStaysSilentAndItsIdIsNotReused) {
  Simulation simulation;
  std::string trace;
  const auto first = simulation.start_timer(t0 + 1s, [&] { trace += 'x'; });
  EXPECT_EQ(simulation.armed_timers(), 1u);
  simulation.cancel_timer(first);
  EXPECT_EQ(simulation.armed_timers(), 0u);
  const auto second = simulation.start_timer(t0 + 1s, [&] { trace += 'y'; });
  EXPECT_NE(first, second);
  simulation.cancel_timer(first);
  simulation.run_for(2s);
  EXPECT_EQ(trace, "y");
  simulation.cancel_timer(second);
  simulation.cancel_timer(0);
  EXPECT_EQ(simulation.armed_timers(), 0u);
}

TEST(Simulation, RunUntilIncludesEverythingOfItsLastInstant) {
  Simulation simulation;
  std::string trace;
  simulation.start_timer(t0 + 1s, [&] {
    trace += 'a';
    simulation.post([&] {
      trace += 'b';
      simulation.start_timer(simulation.now(), [&] { trace += 'c'; });
    });
  });
  simulation.start_timer(t0 + 1s + 1ns, [&] { trace += 'x'; });
  simulation.run_until(t0 + 1s);
  EXPECT_EQ(trace, "abc");
}

TEST(Simulation, RunUntilStopsTheMomentItsConditionHolds) {
  Simulation simulation;
  bool ready = false;
  simulation.start_timer(t0 + 3s, [&] { ready = true; });
  EXPECT_TRUE(simulation.run_until([&] { return ready; }, t0 + 10s));
  EXPECT_EQ(simulation.now(), t0 + 3s);
  EXPECT_FALSE(simulation.run_until([] { return false; }, t0 + 10s));
  EXPECT_EQ(simulation.now(), t0 + 10s);
  simulation.run_until(t0 + 20s);  // no stop of an earlier run cuts this one short
  EXPECT_EQ(simulation.now(), t0 + 20s);
}

io::Task<> count_seconds(Simulation& simulation, int& count) {
  for (;;) {
    co_await simulation.sleep_for(1s);
    ++count;
  }
}

TEST(Simulation, CoroutinesSleepInSimulatedTime) {
  Simulation simulation;
  int count = 0;
  io::spawn(simulation.executor(), count_seconds(simulation, count));
  simulation.run_until(t0 + 1h);
  EXPECT_EQ(count, 3600);
}

io::Task<> hold_until_notified(std::shared_ptr<io::Signal> signal, std::shared_ptr<int> held) {
  co_await signal->wait();
  ++*held;
}

TEST(Simulation, DrainUnwindsWhatHasBeenWokenWithoutMovingTheClock) {
  Simulation simulation;
  auto signal = std::make_shared<io::Signal>(simulation);
  auto held = std::make_shared<int>(0);
  io::spawn(simulation.executor(), hold_until_notified(signal, held));
  simulation.run_for(1s);
  EXPECT_EQ(held.use_count(), 2);
  signal->notify_all();
  simulation.drain();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 1);
  EXPECT_EQ(simulation.now(), t0 + 1s);
}

TEST(Simulation, WhatNeverRanIsDestroyedWithIt) {
  auto held = std::make_shared<int>(0);
  {
    Simulation simulation;
    simulation.start_timer(t0 + 1s, [held] {});
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(Simulation, ThousandsInOneProcessLeaveNothingBehind) {
  const auto one = [] {
    Simulation simulation;
    int count = 0;
    io::spawn(simulation.executor(), count_seconds(simulation, count));
    simulation.start_timer(t0 + 1h, [] {});
    simulation.run_until(t0 + 30s);
    return count;
  };
  for (int i = 0; i < 200; ++i) ASSERT_EQ(one(), 30);
  const auto before = resident_bytes();
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(one(), 30);
  EXPECT_LT(resident_bytes(), before + (1 << 20));
}

}  // namespace
}  // namespace flaresim::engine
