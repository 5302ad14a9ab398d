#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "protocols/io/result.h"
#include "sim/study/plan.h"
#include "sim/world/network.h"
#include "sim/world/trial.h"

namespace flaresim::study {

/// What is done for one number of a cell; called in a worker process, which it may keep for the next one.
struct Work {
  /// Runs a trial in a world of its own.
  std::function<world::Trial(const world::Scenario& scenario, std::uint64_t seed, std::uint64_t index,
                             const world::TrialOptions& options)>
      trial;
  /// Runs a world of a scenario that has a network.
  std::function<world::NetworkResult(const world::Scenario& scenario, std::uint64_t seed,
                                     std::uint64_t number, const world::NetworkOptions& options)>
      network;
};

/// One result: trial `trial.index` of cell `cell`.
struct Row {
  std::size_t cell = 0;
  world::Trial trial;
};

/// One world of a network, whose attempts are rows. Without a report it went wrong, has no rows, and says why.
struct World {
  std::size_t cell = 0;
  std::uint64_t number = 0;
  std::string error;
  std::optional<world::NetworkReport> report;
};

/// Where results go.
struct Sink {
  std::function<io::Result<>(const Row&)> row;
  std::function<io::Result<>(const World&)> world;  ///< after the world's rows
  /// What a world that is under way has come to: at each look (`network.check_every`), in their order, between what
  /// comes of other worlds.
  std::function<io::Result<>(const World&)> look = [](const World&) { return io::Result<>{}; };
};

struct RunOptions {
  int jobs = 1;            ///< worker processes, from 1
  std::uint64_t skip = 0;  ///< trials and worlds at the beginning that are known already
  /// Of trials; with several cells, each has a folder of its own inside, named by its number.
  world::Captures captures{};
  /// Asked ten times a second; `true` ends the run.
  std::function<bool()> interrupted = [] { return false; };
  /// Told ten times a second how much is done of what is under way: worlds, and parts of them.
  std::function<void(double)> under_way = [](double) {};
};

enum class RunEnd { complete, interrupted };

/// Runs the trials and worlds of a plan in worker processes and hands what they come to to `sink`, cell after cell and
/// in the order of the index, whatever order they end in.
///
/// 1. A row depends on (scenario, seed, index) alone, and a world on (scenario, seed, number), never on the number of
///    workers.
/// 2. A worker that dies costs one row, of outcome UNKNOWN with the signal named, or one world; a new worker takes
///    over. So does an exception, after which the worker's state cannot be trusted.
/// 3. Workers are forked, so this process must hold no simulator and no threads that they would need.
/// 4. Workers ignore SIGINT: the terminal sends it to all, and what to do is decided here.
/// 5. When this returns, no worker is left.
///
/// Fails when no worker can be forked, or as `sink` fails.
io::Result<RunEnd> run(const Plan& plan, const Work& work, const RunOptions& options, const Sink& sink);

}  // namespace flaresim::study
