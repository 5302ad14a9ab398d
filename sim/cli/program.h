#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/trial.h"

namespace CLI {
class App;
}

namespace flaresim::cli {

/// What the program tells its caller. 99 is what k6 gives for a missed threshold; 130 is 128 + SIGINT.
enum ExitCode : int {
  exit_fine = 0,
  exit_internal = 1,
  exit_usage = 2,         ///< bad usage or a bad scenario
  exit_trials_erred = 3,  ///< some trials ended UNKNOWN
  exit_expectation_missed = 99,
  exit_interrupted = 130,
};

/// `world::run_trial`, or what stands for it in a test.
using WorldTrial =
    std::function<world::Trial(const world::Scenario& scenario, const world::WorldData& data,
                               std::uint64_t seed, std::uint64_t index, const world::TrialOptions& options)>;

/// `world::run_network`, or what stands for it in a test.
using WorldNetwork = std::function<world::NetworkResult(
    const world::Scenario& scenario, const world::WorldData& data, std::uint64_t seed, std::uint64_t world,
    const world::NetworkOptions& options)>;

/// What the commands share.
struct Context {
  WorldTrial trial;
  WorldNetwork network;
  std::string program;       ///< as it was called
  std::string command_line;  ///< quoted for a shell
  int exit_code = exit_fine;
};

struct CaptureArguments;
/// The context's trial as the arguments want it. Warns of predictable keys.
WorldTrial trial_of(const Context& context, const CaptureArguments& arguments);

/// Adds a command of another part of the house. A callback ends with another exit code than 0 by throwing
/// CLI::RuntimeError, as CLI11 has it.
using AddCommand = void (*)(CLI::App& program);

void add_run_command(CLI::App& program, Context& context);
void add_explain_command(CLI::App& program, Context& context);
void add_nat_command(CLI::App& program);
void add_topology_command(CLI::App& program);

/// The whole program: `flaresim run | explain | nat | topology | …`. Gives the exit code.
int run_program(int argc, const char* const* argv, WorldTrial trial, WorldNetwork network,
                const std::vector<AddCommand>& more = {});

}  // namespace flaresim::cli
