#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>

#include "sim/cli/arguments.h"
#include "sim/cli/folder.h"
#include "sim/cli/program.h"
#include "sim/cli/progress.h"
#include "sim/report/report.h"
#include "sim/study/run.h"
#include "sim/world/world_data.h"

namespace flaresim::cli {
namespace {

constexpr int max_jobs = 1024;

struct RunArguments {
  std::string file;
  std::string trials;
  std::string seed;
  std::vector<std::string> set;
  std::vector<std::string> sweep;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::string out;
  std::string format = "text";
  CaptureArguments capture;
  bool quiet = false;
};

volatile std::sig_atomic_t interrupt_requested = 0;

/// While it lives, SIGINT and SIGTERM set `interrupt_requested` instead of ending the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupt_requested = 0;
    before_int_ = std::signal(SIGINT, [](int) { interrupt_requested = 1; });
    before_term_ = std::signal(SIGTERM, [](int) { interrupt_requested = 1; });
  }
  ~InterruptGuard() {
    std::signal(SIGINT, before_int_);
    std::signal(SIGTERM, before_term_);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*before_int_)(int);
  void (*before_term_)(int);
};

/// One `flaresim run`, from arguments to exit code.
class RunCommand {
 public:
  RunCommand(const RunArguments& arguments, const Context& context)
      : arguments_(arguments), context_(context) {}

  int operator()() {
    const auto code = run();
    if (code != exit_fine) fmt::print(stderr, "rerun: {}\n", rerun_);
    return code;
  }

 private:
  int run() {
    auto plan = read_plan();
    if (!plan) return complain(exit_usage, plan.error());
    const auto data = world::WorldData::load(world::data_directory());
    if (!data) return complain(exit_usage, to_string(data.error()));
    if (plan->has_networks() && (arguments_.capture.captures.any() || arguments_.capture.predictable_keys)) {
      return complain(exit_usage,
                      "--pcap, --keylog, --qlog and --predictable-keys are of trials, and not of networks");
    }
    auto folder = Folder::open(arguments_.out, *plan);
    if (!folder) {
      return complain(folder.error().kind == study::StoreError::Kind::failed ? exit_internal : exit_usage,
                      folder.error().message);
    }
    return run_in(*folder, *plan, *data);
  }

  tl::expected<study::Plan, std::string> read_plan() const {
    std::vector<world::Assignment> assignments;
    for (const auto& argument : arguments_.set) {
      auto assignment = parse_assignment(argument, "--set");
      if (!assignment) return tl::unexpected(assignment.error());
      assignments.push_back(std::move(*assignment));
    }
    if (!arguments_.trials.empty()) assignments.push_back({"trials", arguments_.trials, "--trials"});
    if (!arguments_.seed.empty()) assignments.push_back({"seed", arguments_.seed, "--seed"});
    std::vector<study::Axis> axes;
    for (const auto& argument : arguments_.sweep) {
      auto axis = parse_axis(argument);
      if (!axis) return tl::unexpected(axis.error());
      axes.push_back(std::move(*axis));
    }
    auto plan = study::make_plan(arguments_.file, assignments, axes, world::data_directory());
    if (!plan) return tl::unexpected(to_string(plan.error()));
    return std::move(*plan);
  }

  int run_in(Folder& folder, const study::Plan& plan, const world::WorldData& data) {
    study::RunOptions options{
        .jobs = arguments_.jobs, .skip = folder.store().done(), .captures = arguments_.capture.captures};
    if (options.captures.any()) {
      auto captures = folder.make_captures(plan.cells.size());
      if (!captures) return complain(exit_internal, "captures", captures.error());
      options.captures.directory = *captures;
    }
    if (auto begun = folder.begin(plan, context_.command_line); !begun) {
      return complain(exit_internal, folder.path().string(), begun.error());
    }
    study::Summarizer summarizer(plan);
    auto read = folder.store().each([&](const study::Row& row) { summarizer.add(row); });
    if (read) read = folder.store().each_world([&](const study::World& world) { summarizer.add(world); });
    if (!read) return complain(exit_internal, folder.path().string(), read.error());
    const auto end = run_trials(folder, plan, data, std::move(options), summarizer);
    if (!end) return complain(exit_internal, "trials", end.error());

    auto summary = summarizer.finish();
    summary.interrupted = *end == study::RunEnd::interrupted;
    summary.rerun = rerun_;
    if (auto written = folder.end(plan, summary, context_.command_line); !written) {
      return complain(exit_internal, folder.path().string(), written.error());
    }
    return conclude(folder, plan, summary);
  }

  io::Result<study::RunEnd> run_trials(Folder& folder, const study::Plan& plan, const world::WorldData& data,
                                       study::RunOptions options, study::Summarizer& summarizer) {
    const auto style = arguments_.quiet ? Progress::Style::quiet : Progress::style_of_terminal();
    Progress progress(style, plan.has_networks() ? "worlds" : "trials", plan.trials(), options.skip);
    const InterruptGuard guard;
    options.under_way = [&](double done) { progress.set_under_way(done); };
    options.interrupted = [&] {
      progress.tick();
      return interrupt_requested != 0;
    };
    const auto add_row = [&](const study::Row& row) {
      summarizer.add(row);
      progress.add(row.trial);
      if (!plan.cells[row.cell].scenario.network) progress.advance();
      return folder.store().add(row);
    };
    const auto add_world = [&](const study::World& world) {
      summarizer.add(world);
      progress.advance();
      return folder.store().add(world);
    };
    const auto add_look = [&](const study::World& world) { return folder.store().add_look(world); };
    auto end =
        study::run(plan, work_with(data), options, {.row = add_row, .world = add_world, .look = add_look});
    progress.finish();
    // The rows so far stay, however the run ended.
    if (auto committed = folder.store().commit(); !committed) return tl::unexpected(committed.error());
    return end;
  }

  study::Work work_with(const world::WorldData& data) const {
    const auto perform = trial_of(context_, arguments_.capture);
    return {
        .trial =
            [&data, perform](const world::Scenario& scenario, std::uint64_t seed, std::uint64_t index,
                             const world::TrialOptions& options) {
              return perform(scenario, data, seed, index, options);
            },
        .network =
            [&data, network = context_.network](const world::Scenario& scenario, std::uint64_t seed,
                                                std::uint64_t number, const world::NetworkOptions& options) {
              return network(scenario, data, seed, number, options);
            }};
  }

  int conclude(Folder& folder, const study::Plan& plan, const study::Summary& summary) {
    if (!print(folder, plan, summary)) return complain(exit_internal, "standard output cannot be written");
    if (!arguments_.quiet) fmt::print(stderr, "results: {}\n", folder.path().string());
    if (summary.interrupted) {
      if (arguments_.out.empty()) rerun_ += " --out " + quoted(folder.path().string());
      return complain(exit_interrupted, "interrupted; the same command goes on with the rest");
    }
    if (summary.first_error) return complain(exit_trials_erred, error_text(summary));
    if (!summary.met()) return complain(exit_expectation_missed, "an expectation was missed");
    return exit_fine;
  }

  std::string error_text(const study::Summary& summary) const {
    const auto& first = *summary.first_error;
    const auto& cell = summary.cells[first.cell];
    auto replay = fmt::format("{} explain {} {} {}", quoted(context_.program), quoted(arguments_.file),
                              cell.is_network ? "--pair 0 --world" : "--trial", first.index);
    if (!arguments_.seed.empty()) replay += " --seed " + quoted(arguments_.seed);
    for (const auto& argument : arguments_.set) replay += " --set " + quoted(argument);
    for (const auto& assignment : summary.cells[first.cell].at) {
      replay += " --set " + quoted(assignment.key + "=" + assignment.value);
    }
    std::uint64_t done = 0;
    for (const auto& each : summary.cells) done += each.done;
    return fmt::format("{} of {} {} went wrong, the first with: {}\nexplain: {}", summary.errors(), done,
                       summary.has_networks() ? "worlds" : "trials", first.error, replay);
  }

  bool print(Folder& folder, const study::Plan& plan, const study::Summary& summary) const {
    if (arguments_.format == "csv") {
      std::cout << report::csv_header(report::fields(plan, study::Row()));
      const auto read = folder.store().each(
          [&](const study::Row& row) { std::cout << report::csv_row(report::fields(plan, row)); });
      if (!read) return false;
    } else if (arguments_.format == "json") {
      std::cout << report::json(summary);
    } else if (arguments_.format == "md") {
      std::cout << report::markdown(summary);
    } else if (arguments_.format == "junit") {
      std::cout << report::junit(summary);
    } else {
      std::cout << report::text(summary);
    }
    std::cout.flush();
    return static_cast<bool>(std::cout);
  }

  static int complain(int code, const std::string& message) {
    fmt::print(stderr, "{}\n", message);
    return code;
  }
  static int complain(int code, const std::string& where, const std::error_code& error) {
    return complain(code, fmt::format("{}: {}", where, error.message()));
  }

  const RunArguments& arguments_;
  const Context& context_;
  std::string rerun_ = context_.command_line;
};

/// One value an occurrence: `--set a=1 --set b=2`, so that a value never swallows the file's name.
void add_repeatable(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                    const std::string& help) {
  command.add_option(name, values, help)->type_name("KEY=VALUE")->allow_extra_args(false)->take_all();
}

}  // namespace

void add_run_command(CLI::App& program, Context& context) {
  auto* command =
      program.add_subcommand("run", "Run a scenario and say how often a direct connection came about");
  auto arguments = std::make_shared<RunArguments>();
  command->add_option("FILE", arguments->file, "Scenario, in YAML")->required();
  command
      ->add_option("--trials", arguments->trials, "Trials, or worlds of a network, instead of the scenario's")
      ->type_name("N");
  command->add_option("--seed", arguments->seed, "Seed, instead of the scenario's")->type_name("N");
  add_repeatable(*command, "--set", arguments->set,
                 "Another value for a key of the scenario, instead of its sweep of that key too; repeatable");
  add_repeatable(
      *command, "--sweep", arguments->sweep,
      "KEY=V1,V2,...: one cell for each value; repeatable, for every combination. A comma before "
      "word=... belongs to the value (EIM/APDF,udp_timeout=30s); with a ; between values commas do too. "
      "Replaces the scenario's own sweep of the same key; other keys are added to it");
  command->add_option("--jobs,-j", arguments->jobs, "Worker processes")
      ->check(CLI::Range(1, max_jobs))
      ->capture_default_str();
  command
      ->add_option(
          "--out", arguments->out,
          "Folder for the results (default: results/<scenario>-<time>); an unfinished run of the same "
          "scenario, seed and build is continued")
      ->type_name("DIR");
  command
      ->add_option("--format", arguments->format,
                   "What is printed; csv is a row a trial, or an attempt of a network")
      ->check(CLI::IsMember({"text", "json", "csv", "md", "junit"}))
      ->capture_default_str();
  add_capture_flags(*command, arguments->capture);
  command->add_flag("--quiet,-q", arguments->quiet, "No progress");
  command->callback([arguments, &context] { context.exit_code = RunCommand(*arguments, context)(); });
}

}  // namespace flaresim::cli
