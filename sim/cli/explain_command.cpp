#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "sim/cli/arguments.h"
#include "sim/cli/program.h"
#include "sim/report/report.h"
#include "sim/world/world_data.h"

namespace flaresim::cli {
namespace {

struct ExplainArguments {
  std::string file;
  std::optional<std::uint64_t> trial;
  std::optional<std::uint64_t> world;
  std::optional<std::uint64_t> pair;
  std::string seed;
  std::vector<std::string> set;
  std::string out = ".";
  CaptureArguments capture;
};

int usage(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  return exit_usage;
}

int tell(const world::Scenario& scenario, const world::Trial& trial) {
  fmt::print("{}", report::story(scenario, trial));
  return trial.outcome == world::Outcome::unknown ? exit_trials_erred : exit_fine;
}

/// Runs the whole world again: a pair's attempt follows from everything in it.
int explain_pair(const ExplainArguments& arguments, const Context& context, const world::Scenario& scenario,
                 const world::WorldData& data) {
  if (!arguments.world || !arguments.pair) {
    return usage(
        "--world and --pair are required: the scenario has a network, whose rows are attempts of pairs");
  }
  if (arguments.capture.captures.any() || arguments.capture.predictable_keys) {
    return usage("--pcap, --keylog, --qlog and --predictable-keys are of trials, and not of networks");
  }
  const auto result = context.network(scenario, data, scenario.seed, *arguments.world, {.timeline = true});
  const auto attempts = scenario.network->pairs ? scenario.network->pairs->attempts : 0;
  const auto index = *arguments.world * attempts + *arguments.pair;
  const auto found = std::ranges::find(result.rows, index, &world::Trial::index);
  if (*arguments.pair >= attempts || found == result.rows.end()) {
    return usage(fmt::format("--pair {}: world {} has {} attempts", *arguments.pair, *arguments.world,
                             result.rows.size()));
  }
  fmt::print("world {}, pair {}\n", *arguments.world, *arguments.pair);
  return tell(scenario, *found);
}

int explain(const ExplainArguments& arguments, const Context& context) {
  std::vector<world::Assignment> assignments;
  for (const auto& argument : arguments.set) {
    auto assignment = parse_assignment(argument, "--set");
    if (!assignment) return usage(assignment.error());
    assignments.push_back(std::move(*assignment));
  }
  if (!arguments.seed.empty()) assignments.push_back({"seed", arguments.seed, "--seed"});
  const auto scenario = world::load_scenario(arguments.file, assignments, world::data_directory());
  if (!scenario) return usage(to_string(scenario.error()));
  const auto data = world::WorldData::load(world::data_directory());
  if (!data) return usage(to_string(data.error()));

  for (const auto& axis : scenario->sweep) {
    if (std::ranges::find(assignments, axis.key, &world::Assignment::key) != assignments.end()) continue;
    fmt::print(stderr, "note: the scenario sweeps {0}; choose a cell with --set {0}=… (one of {1})\n",
               axis.key, fmt::join(axis.values, "; "));
  }
  if (scenario->network) return explain_pair(arguments, context, *scenario, *data);
  if (!arguments.trial) return usage("--trial is required");
  if (arguments.world || arguments.pair) {
    return usage("--world and --pair are of scenarios with a network; this one has --trial");
  }
  world::TrialOptions options{.timeline = true, .captures = arguments.capture.captures};
  if (options.captures.any()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.out, error);
    if (error) return usage(fmt::format("--out {}: {}", arguments.out, error.message()));
    options.captures.directory = arguments.out;
  }
  const auto perform = trial_of(context, arguments.capture);
  return tell(*scenario, perform(*scenario, *data, scenario->seed, *arguments.trial, options));
}

}  // namespace

void add_explain_command(CLI::App& program, Context& context) {
  auto* command = program.add_subcommand(
      "explain", "Replay one trial, or an attempt of a network, and tell what happened in it");
  auto arguments = std::make_shared<ExplainArguments>();
  command->add_option("FILE", arguments->file, "Scenario, in YAML")->required();
  command->add_option("--trial", arguments->trial, "Index of the trial, from 0")->type_name("N");
  command->add_option("--world", arguments->world, "Of a network: the number of the world, from 0")
      ->type_name("N");
  command->add_option("--pair", arguments->pair, "The number of the attempt in this world, from 0")
      ->type_name("M");
  command->add_option("--seed", arguments->seed, "Seed, instead of the scenario's")->type_name("N");
  command->add_option("--set", arguments->set, "Another value for a key of the scenario; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  command
      ->add_option("--out", arguments->out,
                   "Folder for what --pcap, --keylog and --qlog keep; made when missing")
      ->type_name("DIR")
      ->capture_default_str();
  add_capture_flags(*command, arguments->capture);
  command->callback([arguments, &context] {
    context.exit_code = explain(*arguments, context);
    if (context.exit_code != exit_fine) fmt::print(stderr, "rerun: {}\n", context.command_line);
  });
}

}  // namespace flaresim::cli
