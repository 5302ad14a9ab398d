#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "sim/cli/probe_command.h"
#include "sim/cli/probed_columns.h"
#include "sim/cli/program.h"
#include "sim/report/nat.h"

namespace flaresim::cli {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  throw CLI::RuntimeError(exit_usage);
}

void list(const std::string& format) {
  const auto& catalogue = world::nat_catalogue();
  if (!catalogue) refuse(to_string(catalogue.error()));
  fmt::print("{}", format == "json" ? report::nat_list_json(*catalogue)
                   : format == "md" ? report::nat_table(*catalogue, probed_columns(*catalogue))
                                    : report::nat_list(*catalogue));
}

void show(const std::string& name, const std::string& format) {
  const auto nat = world::describe_nat(name);
  if (!nat) {
    const auto& error = nat.error();
    refuse(fmt::format("{}: character {}: {}{}", name, error.offset + 1, error.message,
                       error.nearest.empty() ? "" : fmt::format("; did you mean '{}'?", error.nearest)));
  }
  fmt::print("{}", format == "json" ? report::nat_json(*nat) : report::nat_text(*nat));
}

std::shared_ptr<std::string> add_format(CLI::App& command, const std::vector<std::string>& formats) {
  auto format = std::make_shared<std::string>(formats.front());
  command.add_option("--format", *format, "How to print it")
      ->check(CLI::IsMember(formats))
      ->capture_default_str();
  return format;
}

}  // namespace

void add_nat_command(CLI::App& program) {
  auto* command = program.add_subcommand("nat", "Say which NATs there are");
  command->require_subcommand(1);
  auto* list_command = command->add_subcommand("list", "List the presets");
  list_command->callback([format = add_format(*list_command, {"text", "json", "md"})] { list(*format); });
  auto* show_command =
      command->add_subcommand("show", "Show what a NAT does, axis by axis, and how that is known");
  auto name = std::make_shared<std::string>();
  show_command
      ->add_option("NAME", *name,
                   "A preset, a preset with settings, or MAPPING/FILTERING[/PORTS][,key=value...]")
      ->required();
  show_command->callback(
      [name, format = add_format(*show_command, {"text", "json"})] { show(*name, *format); });
  add_probe_commands(*command);
}

}  // namespace flaresim::cli
