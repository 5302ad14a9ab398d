#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "protocols/io/result.h"
#include "sim/study/plan.h"
#include "sim/world/trial.h"

namespace flaresim::study {

/// Runs one trial; called in a worker process, which it may keep for the next one.
using TrialFunction = std::function<world::Trial(const world::Scenario& scenario, std::uint64_t seed,
                                                 std::uint64_t index, const world::TrialOptions& options)>;

/// One result: trial `trial.index` of cell `cell`.
struct Row {
  std::size_t cell = 0;
  world::Trial trial;
};

struct RunOptions {
  int jobs = 1;            ///< worker processes, from 1
  std::uint64_t skip = 0;  ///< rows at the beginning that are known already
  world::Captures
      captures{};  ///< with several cells, each has a folder of its own inside, named by its number
  /// Asked ten times a second; `true` ends the run.
  std::function<bool()> interrupted = [] { return false; };
};

enum class RunEnd { complete, interrupted };

/// Runs the trials of a plan in worker processes and hands each row to `sink`, cell after cell and in the
/// order of the index, whatever order they end in.
///
/// 1. A row depends on (scenario, seed, index) alone, never on the number of workers.
/// 2. A worker that dies costs one row, of outcome UNKNOWN with the signal named; a new worker takes over. So
/// does
///    an exception, after which the worker's state cannot be trusted.
/// 3. Workers are forked, so this process must hold no simulator and no threads that they would need.
/// 4. Workers ignore SIGINT: the terminal sends it to all, and what to do is decided here.
/// 5. When this returns, no worker is left.
///
/// Fails when no worker can be forked, or as `sink` fails.
io::Result<RunEnd> run(const Plan& plan, const TrialFunction& trial, const RunOptions& options,
                       const std::function<io::Result<>(const Row&)>& sink);

}  // namespace flaresim::study
