#include "sim/cli/probe_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/cli/program.h"
#include "sim/probe/probe.h"
#include "sim/probe/simulated_lab.h"
#include "sim/probe/stagger.h"
#include "sim/world/nat_presets.h"

namespace flaresim::cli {
namespace {

struct Target {
  std::string name;
  nat::Behaviour behaviour;
};

[[noreturn]] void refuse(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  throw CLI::RuntimeError(exit_usage);
}

Target target(const std::string& name) {
  auto behaviour = world::parse_nat(name);
  if (behaviour) return {name, *std::move(behaviour)};
  const auto& error = behaviour.error();
  refuse(fmt::format("{}: character {}: {}{}", name, error.offset + 1, error.message,
                     error.nearest.empty() ? "" : fmt::format("; did you mean '{}'?", error.nearest)));
}

std::vector<Target> targets(std::vector<std::string> names, bool all) {
  if (all) {
    const auto& catalogue = world::nat_catalogue();
    if (!catalogue) refuse(to_string(catalogue.error()));
    for (const auto& preset : catalogue->names) names.push_back(preset.name);
  }
  if (names.empty()) refuse("name a NAT, or say --all");
  std::vector<Target> found;
  for (const auto& name : names) found.push_back(target(name));
  return found;
}

struct Which {
  std::vector<std::string> names;
  bool all = false;
  std::string format = "text";
};

void add_which(CLI::App& command, Which& which, const std::vector<std::string>& formats) {
  command.add_option("NAME", which.names,
                     "Presets, presets with settings, or MAPPING/FILTERING[/PORTS][,key=value...]");
  command.add_flag("--all", which.all, "Every preset");
  command.add_option("--format", which.format, "How to print it")
      ->check(CLI::IsMember(formats))
      ->capture_default_str();
}

void print_report(const Target& nat, const probe::Report& report, const Which& which, std::size_t count) {
  if (which.format == "json") {
    fmt::print("{}", probe::json(nat.name, report));
  } else if (which.format == "md") {
    fmt::print("{}", probe::markdown_row(nat.name, report));
  } else {
    if (count > 1) fmt::print("== {}\n", nat.name);
    fmt::print("{}", probe::text(report));
  }
}

void run_probe(const Which& which, const probe::Options& options) {
  const auto nats = targets(which.names, which.all);
  if (which.format == "md") fmt::print("{}", probe::markdown_header());
  for (const auto& nat : nats)
    print_report(nat, probe::probe(probe::simulated_labs(nat.behaviour, probe_seed), options), which,
                 nats.size());
}

struct Staggering {
  Which which;
  double one_way_ms = 20;
  double reach_ms = 100;
  double step_ms = 5;
  std::string transport = "both";
};

io::Duration milliseconds(double count) {
  return std::chrono::round<io::Duration>(std::chrono::duration<double, std::milli>(count));
}

std::vector<io::Duration> offsets(const Staggering& asked) {
  std::vector<io::Duration> all;
  const auto reach = milliseconds(asked.reach_ms), step = milliseconds(asked.step_ms);
  for (auto offset = -reach; offset <= reach; offset += step) all.push_back(offset);
  return all;
}

/// A mark an offset: `#` where the punch succeeds.
std::string curve(const std::vector<probe::Punch>& punches) {
  std::string marks;
  for (const auto& punch : punches) marks += punch.success ? '#' : '.';
  return marks;
}

/// The offsets that succeed, as ranges: `-15…15 ms`.
std::string ranges(const std::vector<probe::Punch>& punches) {
  const auto ms = [](io::Duration d) {
    return fmt::format("{:g}", std::chrono::duration<double, std::milli>(d).count());
  };
  std::string text;
  for (std::size_t i = 0; i < punches.size(); ++i) {
    if (!punches[i].success) continue;
    const auto begin = i;
    while (i + 1 < punches.size() && punches[i + 1].success) ++i;
    text +=
        fmt::format("{}{}…{}", text.empty() ? "" : ", ", ms(punches[begin].offset), ms(punches[i].offset));
  }
  return text.empty() ? "never" : text + " ms";
}

void print_punches(const std::string& nat, std::string_view transport,
                   const std::vector<probe::Punch>& punches, const Which& which) {
  if (which.format == "text") {
    fmt::print("{:<28} {:<4} {}  {}\n", nat, transport, curve(punches), ranges(punches));
    return;
  }
  for (const auto& punch : punches)
    fmt::print("{},{},{:g},{}\n", nat.find(',') == std::string::npos ? nat : '"' + nat + '"', transport,
               std::chrono::duration<double, std::milli>(punch.offset).count(), punch.success ? 1 : 0);
}

void run_stagger(const Staggering& asked) {
  const auto nats = targets(asked.which.names, asked.which.all);
  const auto starts = offsets(asked);
  if (asked.which.format == "csv") fmt::print("nat,transport,offset_ms,success\n");
  for (const auto& nat : nats) {
    const auto pair = [&] {
      return probe::simulated_pair(nat.behaviour, nat.behaviour, milliseconds(asked.one_way_ms), probe_seed);
    };
    if (asked.transport != "tcp")
      print_punches(nat.name, "udp", probe::stagger(pair, probe::Protocol::udp, starts), asked.which);
    if (asked.transport != "udp")
      print_punches(nat.name, "tcp", probe::stagger(pair, probe::Protocol::tcp, starts), asked.which);
  }
}

void add_duration(CLI::App& command, const std::string& name, double& into_ms, const std::string& meaning) {
  static const std::map<std::string, double> units{{"us", 0.001}, {"ms", 1.0}, {"s", 1000.0}};
  command.add_option(name, into_ms, meaning)
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE, "DURATION"))
      ->check(CLI::Range(0.1, 10'000.0))
      ->capture_default_str();
}

}  // namespace

void add_probe_commands(CLI::App& nat_command) {
  auto* command = nat_command.add_subcommand("probe", "Find out by packets alone what a NAT does");
  auto which = std::make_shared<Which>();
  auto options = std::make_shared<probe::Options>();
  add_which(*command, *which, {"text", "json", "md"});
  command
      ->add_option("--flows", options->flows, "Flows that each inside host opens to find limits and ranges")
      ->check(CLI::Range(64, 60'000))
      ->capture_default_str();
  command->callback([which, options] { run_probe(*which, *options); });

  auto* stagger = nat_command.add_subcommand(
      "stagger", "Punch between two such NATs without retries, the second peer starting earlier or later");
  auto asked = std::make_shared<Staggering>();
  add_which(*stagger, asked->which, {"text", "csv"});
  add_duration(*stagger, "--one-way", asked->one_way_ms,
               "Delay from one NAT to the other, in ms or with a unit");
  add_duration(*stagger, "--reach", asked->reach_ms, "Greatest offset, either way");
  add_duration(*stagger, "--step", asked->step_ms, "Between offsets");
  stagger->add_option("--transport", asked->transport, "What is punched")
      ->check(CLI::IsMember({"udp", "tcp", "both"}))
      ->capture_default_str();
  stagger->callback([asked] { run_stagger(*asked); });
}

}  // namespace flaresim::cli
