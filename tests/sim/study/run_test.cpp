#include "sim/study/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <set>
#include <stdexcept>
#include <thread>

#include "sim/study/trial_codec.h"
#include "tests/sim/study/plans.h"

namespace flaresim::study {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

world::Trial plain(const world::Scenario&, std::uint64_t seed, std::uint64_t index,
                   const world::TrialOptions&) {
  return full_trial(seed, index);
}

std::vector<Row> rows_of(const Plan& plan, const TrialFunction& trial, RunOptions options) {
  std::vector<Row> rows;
  const auto end = run(plan, trial, options, [&](const Row& row) {
    rows.push_back(row);
    return io::Result<>{};
  });
  EXPECT_TRUE(end);
  return rows;
}

std::vector<std::pair<std::size_t, std::uint64_t>> places(const std::vector<Row>& rows) {
  std::vector<std::pair<std::size_t, std::uint64_t>> result;
  for (const auto& row : rows) result.emplace_back(row.cell, row.trial.index);
  return result;
}

bool no_children_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST(Run, ComesInOrderAlthoughTrialsEndOutOfOrder) {
  const TrialFunction uneven = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    std::this_thread::sleep_for(index % 3 == 0 ? 20ms : 0ms);
    return full_trial(seed, index);
  };
  const auto rows = rows_of(plan_of({4, 1, 3}), uneven, {.jobs = 4});
  EXPECT_THAT(places(rows),
              testing::ElementsAre(std::pair{0, 0}, std::pair{0, 1}, std::pair{0, 2}, std::pair{0, 3},
                                   std::pair{1, 0}, std::pair{2, 0}, std::pair{2, 1}, std::pair{2, 2}));
}

TEST(Run, GivesTheSameRowsWithAnyNumberOfWorkers) {
  const auto plan = plan_of({30, 20});
  std::set<std::vector<std::vector<std::uint8_t>>> results;
  for (const int jobs : {1, 2, 7}) {
    std::vector<std::vector<std::uint8_t>> bytes;
    for (const auto& row : rows_of(plan, plain, {.jobs = jobs})) bytes.push_back(encode(row.trial));
    EXPECT_EQ(bytes.size(), 50U);
    results.insert(std::move(bytes));
  }
  EXPECT_EQ(results.size(), 1U);
}

TEST(Run, UsesAsManyProcessesAsAskedFor) {
  const TrialFunction who = [](const auto&, auto, std::uint64_t index, const auto&) {
    std::this_thread::sleep_for(30ms);
    world::Trial trial;
    trial.index = index;
    trial.events = static_cast<std::uint64_t>(::getpid());
    return trial;
  };
  std::set<std::uint64_t> processes;
  for (const auto& row : rows_of(plan_of({12}), who, {.jobs = 3})) processes.insert(row.trial.events);
  EXPECT_EQ(processes.size(), 3U);
  EXPECT_FALSE(processes.contains(static_cast<std::uint64_t>(::getpid())));
}

TEST(Run, GoesOnWhereRowsEnd) {
  EXPECT_THAT(places(rows_of(plan_of({3, 2}), plain, {.jobs = 2, .skip = 2})),
              testing::ElementsAre(std::pair{0, 2}, std::pair{1, 0}, std::pair{1, 1}));
  EXPECT_TRUE(rows_of(plan_of({3}), plain, {.jobs = 2, .skip = 3}).empty());
}

TEST(Run, ACrashCostsOneRowAndNamesTheSignal) {
  const TrialFunction crash = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    if (index == 3) {
      std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would report instead
      std::raise(SIGSEGV);
    }
    return full_trial(seed, index);
  };
  auto plan = plan_of({8});
  plan.cells[0].scenario.a.kind.nat = "linux";
  const auto rows = rows_of(plan, crash, {.jobs = 2});
  ASSERT_EQ(rows.size(), 8U);
  for (const auto& row : rows) {
    if (row.trial.index == 3) continue;
    EXPECT_EQ(encode(row.trial), encode(full_trial(5, row.trial.index)));
  }
  const auto& crashed = rows[3].trial;
  EXPECT_EQ(crashed.index, 3U);
  EXPECT_EQ(crashed.outcome, world::Outcome::unknown);
  EXPECT_EQ(crashed.cause, world::Cause::internal_error);
  EXPECT_EQ(crashed.error, "the worker process was killed by SIGSEGV (Segmentation fault)");
  EXPECT_EQ(crashed.a.nat, "linux");
}

TEST(Run, EveryTrialMayCrash) {
  const TrialFunction crash = [](const auto&, auto, auto, const auto&) -> world::Trial { ::_exit(7); };
  const auto rows = rows_of(plan_of({5}), crash, {.jobs = 2});
  ASSERT_EQ(rows.size(), 5U);
  for (const auto& row : rows) EXPECT_EQ(row.trial.error, "the worker process exited with status 7");
}

TEST(Run, AnExceptionCostsOneRowAndTheWorker) {
  const TrialFunction broken = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    static bool is_dirty = false;
    if (is_dirty) ::_exit(1);
    if (index == 1) {
      is_dirty = true;
      throw std::logic_error("a broken invariant");
    }
    return full_trial(seed, index);
  };
  const auto rows = rows_of(plan_of({4}), broken, {.jobs = 1});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1].trial.outcome, world::Outcome::unknown);
  EXPECT_EQ(rows[1].trial.error, "a broken invariant");
  for (const std::size_t i : {0, 2, 3}) EXPECT_EQ(encode(rows[i].trial), encode(full_trial(5, i)));
}

TEST(Run, AnInterruptionKeepsTheRowsSoFarAndLeavesNoWorker) {
  const TrialFunction slow = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    if (index >= 2) std::this_thread::sleep_for(1h);
    return full_trial(seed, index);
  };
  std::size_t rows = 0;
  const auto plan = plan_of({10});
  const RunOptions options{.jobs = 2, .interrupted = [&] { return rows == 2; }};
  const auto end = run(plan, slow, options, [&](const Row&) {
    ++rows;
    return io::Result<>{};
  });
  EXPECT_EQ(end.value(), RunEnd::interrupted);
  EXPECT_EQ(rows, 2U);
  EXPECT_TRUE(no_children_left());
}

TEST(Run, WorkersLeaveAnInterruptFromTheTerminalToTheParent) {
  const TrialFunction interrupted = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    std::raise(SIGINT);
    return full_trial(seed, index);
  };
  for (const auto& row : rows_of(plan_of({4}), interrupted, {.jobs = 2})) EXPECT_NE(row.trial.packets, 0U);
}

TEST(Run, FailsAsItsSinkFails) {
  const auto end = run(plan_of({4}), plain, {.jobs = 2},
                       [](const Row&) { return io::fail(std::errc::no_space_on_device); });
  EXPECT_EQ(end.error(), std::errc::no_space_on_device);
  EXPECT_TRUE(no_children_left());
}

TEST(Run, GivesEachCellItsFolderForCaptures) {
  const TrialFunction folder = [](const auto&, auto, std::uint64_t index,
                                  const world::TrialOptions& options) {
    world::Trial trial;
    trial.index = index;
    trial.error = options.captures.directory;
    return trial;
  };
  const auto many = rows_of(plan_of({1, 1}), folder, {.captures = {.directory = "c"}});
  EXPECT_EQ(many[0].trial.error, "c/0");
  EXPECT_EQ(many[1].trial.error, "c/1");
  EXPECT_EQ(rows_of(plan_of({1}), folder, {.captures = {.directory = "c"}})[0].trial.error, "c");
}

TEST(TrialCodec, RefusesWhatIsNotATrial) {
  auto bytes = encode(full_trial(1, 1));
  ASSERT_TRUE(decode_trial(bytes));
  bytes.pop_back();
  EXPECT_FALSE(decode_trial(bytes));
  EXPECT_FALSE(decode_trial(std::vector<std::uint8_t>{0x80}));
  EXPECT_FALSE(decode_trial({}));
}

}  // namespace
}  // namespace flaresim::study
