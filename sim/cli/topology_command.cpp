#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "sim/cli/program.h"
#include "sim/world/topology.h"
#include "sim/world/world_data.h"

namespace flaresim::cli {
namespace {

[[noreturn]] void refuse(const world::ScenarioError& error) {
  fmt::print(stderr, "{}\n", to_string(error));
  throw CLI::RuntimeError(exit_usage);
}

world::Topology load(const std::string& name) {
  auto topology = world::load_topology(name, world::data_directory());
  if (!topology) refuse(topology.error());
  return std::move(*topology);
}

void list() {
  for (const auto& name : world::topology_names(world::data_directory())) {
    fmt::print("{:<24} {}\n", name, load(name).summary);
  }
}

void show(const std::string& name, bool dot, bool svg) {
  const auto topology = load(name);
  if (dot) {
    fmt::print("{}", topologies::to_dot(diagram_of(topology)));
  } else if (svg) {
    fmt::print("{}", topologies::to_svg(diagram_of(topology)));
  } else {
    fmt::print("{}\n\n{}", topology.summary, world::to_yaml(topology.scenario));
  }
}

}  // namespace

void add_topology_command(CLI::App& program) {
  auto* command = program.add_subcommand("topology", "Say which named worlds there are, and draw them");
  command->require_subcommand(1);
  command->add_subcommand("list", "List the topologies")->callback(list);
  auto* show_command = command->add_subcommand("show", "Show a topology: its keys, or a picture of it");
  struct Arguments {
    std::string name;
    bool dot = false;
    bool svg = false;
  };
  auto arguments = std::make_shared<Arguments>();
  show_command->add_option("NAME", arguments->name, "As `topology list` has it")->required();
  auto* dot = show_command->add_flag("--dot", arguments->dot, "A graph for graphviz");
  show_command->add_flag("--svg", arguments->svg, "A picture")->excludes(dot);
  show_command->callback([arguments] { show(arguments->name, arguments->dot, arguments->svg); });
}

}  // namespace flaresim::cli
