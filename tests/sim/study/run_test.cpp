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

#include "sim/study/network_codec.h"
#include "tests/protocols/support/error_of.h"
#include "tests/sim/study/plans.h"

namespace flaresim::study {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using TrialWork = decltype(Work::trial);

world::NetworkResult whole(const world::Scenario&, std::uint64_t seed, std::uint64_t number,
                           const world::NetworkOptions&) {
  return full_network(seed, number);
}

/// What a sink was given, in its order.
struct Found {
  std::vector<Row> rows;
  std::vector<World> worlds;
  std::vector<World> looks;
};

Found found_of(const Plan& plan, const Work& work, const RunOptions& options) {
  Found found;
  const auto end = run(plan, work, options,
                       {.row =
                            [&](const Row& row) {
                              found.rows.push_back(row);
                              return io::Result<>{};
                            },
                        .world =
                            [&](const World& world) {
                              found.worlds.push_back(world);
                              return io::Result<>{};
                            },
                        .look =
                            [&](const World& world) {
                              found.looks.push_back(world);
                              return io::Result<>{};
                            }});
  EXPECT_TRUE(end);
  return found;
}

world::Trial plain(const world::Scenario&, std::uint64_t seed, std::uint64_t index,
                   const world::TrialOptions&) {
  return full_trial(seed, index);
}

std::vector<Row> rows_of(const Plan& plan, const TrialWork& trial, const RunOptions& options) {
  return found_of(plan, {.trial = trial, .network = whole}, options).rows;
}

std::vector<std::pair<std::size_t, std::uint64_t>> places(const std::vector<Row>& rows) {
  std::vector<std::pair<std::size_t, std::uint64_t>> result;
  for (const auto& row : rows) result.emplace_back(row.cell, row.trial.index);
  return result;
}

bool no_children_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST(Run, ComesInOrderAlthoughTrialsEndOutOfOrder) {
  const TrialWork uneven = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
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
    for (const auto& row : rows_of(plan, plain, {.jobs = jobs})) bytes.push_back(bytes_of(row.trial));
    EXPECT_EQ(bytes.size(), 50U);
    results.insert(std::move(bytes));
  }
  EXPECT_EQ(results.size(), 1U);
}

TEST(Run, UsesAsManyProcessesAsAskedFor) {
  const TrialWork who = [](const auto&, auto, std::uint64_t index, const auto&) {
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
  const TrialWork crash = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
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
    EXPECT_EQ(bytes_of(row.trial), bytes_of(full_trial(5, row.trial.index)));
  }
  const auto& crashed = rows[3].trial;
  EXPECT_EQ(crashed.index, 3U);
  EXPECT_EQ(crashed.outcome, world::Outcome::unknown);
  EXPECT_EQ(crashed.cause, world::Cause::internal_error);
  EXPECT_EQ(crashed.error, "the worker process was killed by SIGSEGV (Segmentation fault)");
  EXPECT_EQ(crashed.a.nat, "linux");
}

TEST(Run, EveryTrialMayCrash) {
  const TrialWork crash = [](const auto&, auto, auto, const auto&) -> world::Trial { ::_exit(7); };
  const auto rows = rows_of(plan_of({5}), crash, {.jobs = 2});
  ASSERT_EQ(rows.size(), 5U);
  for (const auto& row : rows) EXPECT_EQ(row.trial.error, "the worker process exited with status 7");
}

TEST(Run, AnExceptionCostsOneRowAndTheWorker) {
  const TrialWork broken = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
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
  for (const std::size_t i : {0, 2, 3}) EXPECT_EQ(bytes_of(rows[i].trial), bytes_of(full_trial(5, i)));
}

TEST(Run, AnInterruptionKeepsTheRowsSoFarAndLeavesNoWorker) {
  const TrialWork slow = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    if (index >= 2) std::this_thread::sleep_for(1h);
    return full_trial(seed, index);
  };
  std::size_t rows = 0;
  const auto plan = plan_of({10});
  const RunOptions options{.jobs = 2, .interrupted = [&] { return rows == 2; }};
  const auto end = run(plan, {.trial = slow, .network = whole}, options,
                       {.row =
                            [&](const Row&) {
                              ++rows;
                              return io::Result<>{};
                            },
                        .world = {}});
  EXPECT_EQ(end.value(), RunEnd::interrupted);
  EXPECT_EQ(rows, 2U);
  EXPECT_TRUE(no_children_left());
}

TEST(Run, WorkersLeaveAnInterruptFromTheTerminalToTheParent) {
  const TrialWork interrupted = [](const auto&, std::uint64_t seed, std::uint64_t index, const auto&) {
    std::raise(SIGINT);
    return full_trial(seed, index);
  };
  for (const auto& row : rows_of(plan_of({4}), interrupted, {.jobs = 2})) EXPECT_NE(row.trial.packets, 0U);
}

TEST(Run, FailsAsItsSinkFails) {
  const auto end =
      run(plan_of({4}), {.trial = plain, .network = whole}, {.jobs = 2},
          {.row = [](const Row&) { return io::fail(std::errc::no_space_on_device); }, .world = {}});
  EXPECT_EQ(error_of(end), std::errc::no_space_on_device);
  EXPECT_TRUE(no_children_left());
}

TEST(Run, GivesEachCellItsFolderForCaptures) {
  const TrialWork folder = [](const auto&, auto, std::uint64_t index, const world::TrialOptions& options) {
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

std::vector<std::pair<std::size_t, std::uint64_t>> places(const std::vector<World>& worlds) {
  std::vector<std::pair<std::size_t, std::uint64_t>> result;
  for (const auto& world : worlds) result.emplace_back(world.cell, world.number);
  return result;
}

TEST(RunOfNetworks, GivesEachWorldAfterItsRows) {
  std::vector<std::string> order;
  const auto plan = networks_of({2});
  const Sink sink{.row =
                      [&](const Row& row) {
                        order.push_back("row " + std::to_string(row.trial.index));
                        return io::Result<>{};
                      },
                  .world =
                      [&](const World& world) {
                        order.push_back("world " + std::to_string(world.number));
                        return io::Result<>{};
                      }};
  EXPECT_EQ(run(plan, {.trial = plain, .network = whole}, {.jobs = 2}, sink).value(), RunEnd::complete);
  EXPECT_THAT(order, testing::ElementsAre("row 0", "row 1", "row 2", "world 0", "row 3", "row 4", "row 5",
                                          "world 1"));
}

TEST(RunOfNetworks, GivesTheSameWithAnyNumberOfWorkers) {
  const auto plan = networks_of({4, 3});
  for (const int jobs : {1, 2, 5}) {
    const auto found = found_of(plan, {.trial = plain, .network = whole}, {.jobs = jobs});
    ASSERT_EQ(found.worlds.size(), 7U);
    ASSERT_EQ(found.rows.size(), 21U);
    for (std::size_t i = 0; i < 21; ++i) {
      const auto expected = full_network(5, i < 12 ? i / 3 : (i - 12) / 3).rows[i % 3];
      EXPECT_EQ(bytes_of(found.rows[i].trial), bytes_of(expected)) << i;
    }
    for (std::size_t i = 0; i < 7; ++i)
      EXPECT_EQ(found.worlds[i].report, full_network(5, i < 4 ? i : i - 4).report);
  }
}

TEST(RunOfNetworks, GoesOnWithTheNextWorld) {
  const auto found =
      found_of(networks_of({2, 2}), {.trial = plain, .network = whole}, {.jobs = 2, .skip = 1});
  EXPECT_THAT(places(found.worlds), testing::ElementsAre(std::pair{0, 1}, std::pair{1, 0}, std::pair{1, 1}));
  EXPECT_EQ(found.rows.front().trial.index, 3U);
}

TEST(RunOfNetworks, TellsHowMuchOfAWorldIsDone) {
  const auto slow = [](const world::Scenario& scenario, std::uint64_t seed, std::uint64_t number,
                       const world::NetworkOptions& options) {
    for (const int quarter : {1, 2, 3}) {
      options.on_look(scenario.network->duration * quarter / 4, {}, {});
      std::this_thread::sleep_for(300ms);
    }
    return full_network(seed, number);
  };
  std::vector<double> told;
  RunOptions options{.jobs = 1};
  options.under_way = [&](double done) {
    if (told.empty() || told.back() != done) told.push_back(done);
  };
  EXPECT_EQ(found_of(networks_of({2}), {.trial = plain, .network = slow}, options).worlds.size(), 2U);
  EXPECT_THAT(told, testing::ElementsAre(0, 0.25, 0.5, 0.75, 0, 0.25, 0.5, 0.75));
}

TEST(RunOfNetworks, HandsOnEveryLookBeforeTheWorldEndsOrDies) {
  const auto looked_at = [](std::uint64_t number, int quarter) {
    auto report = full_network(5, number).report;
    report.simulated = quarter * 15min;
    return report;
  };
  const auto looking = [&](const world::Scenario&, std::uint64_t seed, std::uint64_t number,
                           const world::NetworkOptions& options) {
    for (const int quarter : {1, 2, 3}) options.on_look(15min * quarter, looked_at(number, quarter), {});
    if (number == 1) std::raise(SIGKILL);
    return full_network(seed, number);
  };
  const auto found = found_of(networks_of({1, 2}), {.trial = plain, .network = looking}, {.jobs = 1});
  ASSERT_EQ(found.looks.size(), 9U);
  EXPECT_THAT(places(found.looks), testing::ElementsAre(std::pair{0, 0}, std::pair{0, 0}, std::pair{0, 0},
                                                        std::pair{1, 0}, std::pair{1, 0}, std::pair{1, 0},
                                                        std::pair{1, 1}, std::pair{1, 1}, std::pair{1, 1}));
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(found.looks[i].report, looked_at(found.looks[i].number, 1 + static_cast<int>(i % 3)));
  }
}

TEST(RunOfNetworks, ACrashCostsOneWorldAndNamesTheSignal) {
  const auto crash = [](const world::Scenario&, std::uint64_t seed, std::uint64_t number,
                        const world::NetworkOptions&) {
    if (number == 1) std::raise(SIGKILL);
    if (number == 2) throw std::runtime_error("a broken invariant");
    return full_network(seed, number);
  };
  const auto found = found_of(networks_of({4}), {.trial = plain, .network = crash}, {.jobs = 2});
  ASSERT_EQ(found.worlds.size(), 4U);
  EXPECT_EQ(found.rows.size(), 6U);
  EXPECT_EQ(found.worlds[0].report, full_network(5, 0).report);
  EXPECT_FALSE(found.worlds[1].report);
  EXPECT_EQ(found.worlds[1].error, "the worker process was killed by SIGKILL (Killed)");
  EXPECT_FALSE(found.worlds[2].report);
  EXPECT_EQ(found.worlds[2].error, "a broken invariant");
  EXPECT_EQ(found.worlds[3].report, full_network(5, 3).report);
}

TEST(RunOfNetworks, TakesWorldsOfManyRows) {
  const auto large = [](const world::Scenario&, std::uint64_t seed, std::uint64_t number,
                        const world::NetworkOptions&) {
    auto result = full_network(seed, number);
    for (std::uint64_t i = 3; i < 20'000; ++i) result.rows.push_back(full_trial(seed, i));
    return result;
  };
  EXPECT_EQ(found_of(networks_of({1}), {.trial = plain, .network = large}, {.jobs = 1}).rows.size(), 20'000U);
}

TEST(ResultCodec, GivesBackEverything) {
  const auto network = full_network(5, 1);
  const JobResult result{.trials = network.rows, .report = network.report, .failure = "not so"};
  const auto back = decode(encode(result));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->trials.size(), 3U);
  EXPECT_EQ(bytes_of(back->trials[2]), bytes_of(network.rows[2]));
  EXPECT_EQ(back->report, network.report);
  EXPECT_EQ(back->failure, "not so");
}

TEST(ResultCodec, RefusesWhatIsNotAResult) {
  auto bytes = bytes_of(full_trial(1, 1));
  ASSERT_TRUE(decode(bytes));
  bytes.pop_back();
  EXPECT_FALSE(decode(bytes));
  EXPECT_FALSE(decode(std::vector<std::uint8_t>{0x80}));
  EXPECT_FALSE(decode({}));
}

TEST(NetworkCodec, RefusesWhatIsNotAReport) {
  const auto text = to_json(full_network(5, 1).report);
  EXPECT_EQ(parse_report(text), full_network(5, 1).report);
  EXPECT_FALSE(parse_report(text.substr(1)));
  EXPECT_FALSE(parse_report("{}"));
  EXPECT_FALSE(parse_report(""));
}

}  // namespace
}  // namespace flaresim::study
