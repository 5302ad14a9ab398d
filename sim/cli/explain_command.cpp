#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "sim/cli/arguments.h"
#include "sim/cli/program.h"
#include "sim/report/report.h"
#include "sim/world/world_data.h"

namespace flaresim::cli {
namespace {

struct ExplainArguments {
  std::string file;
  std::uint64_t trial = 0;
  std::string seed;
  std::vector<std::string> set;
  std::string out = ".";
  CaptureArguments capture;
};

int explain(const ExplainArguments& arguments, const Context& context) {
  const auto usage = [](const std::string& message) {
    fmt::print(stderr, "{}\n", message);
    return exit_usage;
  };
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
  world::TrialOptions options{.timeline = true, .captures = arguments.capture.captures};
  if (options.captures.any()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.out, error);
    if (error) return usage(fmt::format("--out {}: {}", arguments.out, error.message()));
    options.captures.directory = arguments.out;
  }
  const auto perform = trial_of(context, arguments.capture);
  const auto trial = perform(*scenario, *data, scenario->seed, arguments.trial, options);
  fmt::print("{}", report::story(*scenario, trial));
  return trial.outcome == world::Outcome::unknown ? exit_trials_erred : exit_fine;
}

}  // namespace

void add_explain_command(CLI::App& program, Context& context) {
  auto* command = program.add_subcommand("explain", "Replay one trial and tell what happened in it");
  auto arguments = std::make_shared<ExplainArguments>();
  command->add_option("FILE", arguments->file, "Scenario, in YAML")->required();
  command->add_option("--trial", arguments->trial, "Index of the trial, from 0")->required()->type_name("N");
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
