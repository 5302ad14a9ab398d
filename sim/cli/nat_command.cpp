#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "sim/cli/program.h"
#include "sim/nat/behaviour.h"
#include "sim/report/report.h"

namespace flaresim::cli {
namespace {

void list() {
  for (const auto& preset : nat::presets()) fmt::print("{:<20} {}\n", preset.name, preset.summary);
}

void show(const std::string& name) {
  const auto behaviour = nat::parse_behaviour(name);
  if (!behaviour) {
    const auto& error = behaviour.error();
    fmt::print(stderr, "{}: character {}: {}{}\n", name, error.offset + 1, error.message,
               error.nearest.empty() ? "" : fmt::format("; did you mean '{}'?", error.nearest));
    throw CLI::RuntimeError(exit_usage);
  }
  fmt::print("{}", report::axes(*behaviour));
}

}  // namespace

void add_nat_command(CLI::App& program) {
  auto* command = program.add_subcommand("nat", "Say which NATs there are");
  command->require_subcommand(1);
  command->add_subcommand("list", "List the presets")->callback(list);
  auto* show_command = command->add_subcommand("show", "Show what a NAT does, axis by axis");
  auto name = std::make_shared<std::string>();
  show_command->add_option("NAME", *name, "A preset, or MAPPING/FILTERING[/PORTS][,key=value...]")
      ->required();
  show_command->callback([name] { show(*name); });
}

}  // namespace flaresim::cli
