#include "sim/study/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/sim/study/plans.h"

namespace flaresim::study {
namespace {

using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("store-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / "trials.sqlite").string(); }

  static std::vector<Row> rows(const Store& store) {
    std::vector<Row> rows;
    EXPECT_TRUE(store.each([&](const Row& row) { rows.push_back(row); }));
    return rows;
  }

  std::filesystem::path folder_;
};

TEST_F(StoreTest, GivesBackEveryFieldOfARow) {
  const auto plan = plan_of({15, 1});
  auto store = Store::open(path(), plan).value();
  for (std::uint64_t i = 0; i < 15; ++i) ASSERT_TRUE(store.add(Row{0, full_trial(1, i)}));
  ASSERT_TRUE(store.add(Row{1, full_trial(2, 0)}));
  const auto read = rows(store);
  ASSERT_EQ(read.size(), 16U);
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(read[i].cell, 0U);
    EXPECT_EQ(bytes_of(read[i].trial), bytes_of(full_trial(1, i)));
  }
  EXPECT_EQ(read[15].cell, 1U);
  EXPECT_EQ(bytes_of(read[15].trial), bytes_of(full_trial(2, 0)));
}

TEST_F(StoreTest, OpensAgainForTheSameRun) {
  const auto plan = plan_of({5});
  {
    auto store = Store::open(path(), plan).value();
    for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(store.add(Row{0, full_trial(1, i)}));
    ASSERT_TRUE(store.commit());
  }
  auto again = Store::open(path(), plan).value();
  EXPECT_EQ(again.done(), 3U);
  EXPECT_TRUE(again.add(Row{0, full_trial(1, 3)}));
  EXPECT_EQ(rows(again).size(), 4U);
}

TEST_F(StoreTest, RefusesRowsOfAnotherRun) {
  { ASSERT_TRUE(Store::open(path(), plan_of({5}))); }
  auto other = plan_of({5});
  other.cells[0].scenario.seed = 6;
  const auto store = Store::open(path(), other);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, StoreError::Kind::another_run);
  EXPECT_THAT(store.error().message, HasSubstr("another scenario, seed or build"));
}

TEST_F(StoreTest, RefusesATrialThatItHas) {
  auto store = Store::open(path(), plan_of({5})).value();
  ASSERT_TRUE(store.add(Row{0, full_trial(1, 0)}));
  EXPECT_FALSE(store.add(Row{0, full_trial(1, 0)}));
}

TEST_F(StoreTest, RefusesASecondWriter) {
  const auto plan = plan_of({5});
  auto store = Store::open(path(), plan).value();
  ASSERT_TRUE(store.add(Row{0, full_trial(1, 0)}));
  const auto second = Store::open(path(), plan);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, StoreError::Kind::busy);
}

TEST_F(StoreTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path()) << std::string(4096, 'x');
  const auto store = Store::open(path(), plan_of({5}));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, StoreError::Kind::failed);
}

TEST_F(StoreTest, RefusesAFolderThatIsNotThere) {
  const auto store = Store::open("/nowhere/trials.sqlite", plan_of({5}));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, StoreError::Kind::failed);
}

TEST_F(StoreTest, HoldsABeginningOfTheRunAfterACrash) {
  const auto plan = plan_of({1000});
  const auto writer = ::fork();
  if (writer == 0) {
    auto store = Store::open(path(), plan);
    for (std::uint64_t i = 0; i < 200; ++i) {
      if (!store->add(Row{0, full_trial(1, i)})) ::_exit(1);
    }
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);
  ASSERT_TRUE(WIFSIGNALED(status));

  auto store = Store::open(path(), plan).value();
  const auto kept = rows(store);
  EXPECT_EQ(store.done(), kept.size());
  EXPECT_GE(kept.size(), 200U - 64U);
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].trial.index, i);
}

World world_of(std::uint64_t number) {
  return {.cell = 0, .number = number, .error = "", .report = full_network(1, number).report};
}

void add_world(Store& store, std::uint64_t number) {
  for (const auto& trial : full_network(1, number).rows) ASSERT_TRUE(store.add(Row{0, trial}));
  ASSERT_TRUE(store.add(world_of(number)));
}

std::vector<World> worlds(const Store& store) {
  std::vector<World> worlds;
  EXPECT_TRUE(store.each_world([&](const World& world) { worlds.push_back(world); }));
  return worlds;
}

TEST_F(StoreTest, GivesBackWorldsAsTheyWere) {
  auto store = Store::open(path(), networks_of({3})).value();
  add_world(store, 0);
  add_world(store, 1);
  ASSERT_TRUE(store.add(World{.cell = 0, .number = 2, .error = "it's gone", .report = {}}));
  EXPECT_EQ(store.done(), 3U);
  const auto read = worlds(store);
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(read[0].report, full_network(1, 0).report);
  EXPECT_EQ(read[1].report, full_network(1, 1).report);
  EXPECT_FALSE(read[2].report);
  EXPECT_EQ(read[2].error, "it's gone");
  const auto kept = rows(store);
  ASSERT_EQ(kept.size(), 6U);
  EXPECT_EQ(bytes_of(kept[4].trial), bytes_of(full_network(1, 1).rows[1]));
}

World look_at(std::uint64_t number, io::Duration at, std::uint64_t events) {
  auto look = world_of(number);
  look.report->simulated = at;
  look.report->events = events;
  return look;
}

TEST_F(StoreTest, KeepsLooksAtOnceAndTheirWorldsInOrder) {
  using namespace std::chrono_literals;
  const auto plan = networks_of({3});
  const auto writer = ::fork();
  if (writer == 0) {
    auto store = Store::open(path(), plan);
    (void)store->add_look(look_at(1, 10min, 5));
    (void)store->add_look(look_at(0, 5min, 6));
    add_world(*store, 0);
    (void)store->add_look(look_at(1, 15min, 7));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);

  auto store = Store::open(path(), plan).value();
  EXPECT_EQ(store.done(), 1U);
  ASSERT_TRUE(store.add_look(look_at(1, 10min, 8)));  // of the second start
  std::vector<std::optional<world::NetworkReport>> looks;
  ASSERT_TRUE(store.each_look([&](const World& look) { looks.push_back(look.report); }));
  EXPECT_THAT(looks, testing::ElementsAre(look_at(0, 5min, 6).report, look_at(1, 10min, 8).report,
                                          look_at(1, 15min, 7).report));
}

TEST_F(StoreTest, GoesOnAfterTheLastWholeWorld) {
  const auto plan = networks_of({3});
  const auto writer = ::fork();
  if (writer == 0) {
    auto store = Store::open(path(), plan);
    add_world(*store, 0);
    (void)store->add(Row{0, full_network(1, 1).rows[0]});
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);
  auto store = Store::open(path(), plan).value();
  EXPECT_EQ(store.done(), 1U);
  EXPECT_EQ(rows(store).size(), 3U);
  add_world(store, 1);
  EXPECT_EQ(store.done(), 2U);
}

TEST_F(StoreTest, TakesAwayThePartOfAWorldThatWasCommitted) {
  const auto plan = networks_of({3});
  {
    auto store = Store::open(path(), plan).value();
    add_world(store, 0);
    ASSERT_TRUE(store.add(Row{0, full_network(1, 1).rows[0]}));
    ASSERT_TRUE(store.commit());
  }
  auto store = Store::open(path(), plan).value();
  EXPECT_EQ(store.done(), 1U);
  EXPECT_EQ(rows(store).size(), 3U);
}

TEST(Fingerprint, ChangesWithAnyCell) {
  const auto print = fingerprint(plan_of({5, 6}));
  EXPECT_EQ(print, fingerprint(plan_of({5, 6})));
  EXPECT_NE(print, fingerprint(plan_of({5, 7})));
  EXPECT_NE(print, fingerprint(plan_of({5})));
  EXPECT_EQ(print.size(), 64U);
}

}  // namespace
}  // namespace flaresim::study
