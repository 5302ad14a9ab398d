#pragma once

#include <string>
#include <vector>

#include "sim/world/scenario.h"

namespace flaresim::study {

using Axis = world::Axis;

/// One point of a sweep: a scenario with one value an axis. A run without a sweep is one cell.
struct Cell {
  std::vector<world::Assignment> at;  ///< in the order of the axes
  world::Scenario scenario;           ///< without a sweep, and with the expectations of this cell only
};

/// A key of the scenario's own sweep that the command line gave other values.
struct ReplacedAxis {
  std::string key;
  std::string option;  ///< `--set`, `--sweep`, …
};

/// What a run does: trials 0 … n-1 of each cell, cell after cell; of a scenario with a network, as many worlds.
struct Plan {
  world::Scenario base;           ///< with the whole sweep, so that reading it again gives the same cells
  std::vector<std::string> axes;  ///< keys
  std::vector<Cell> cells;
  std::vector<ReplacedAxis> replaced{};
  /// Expectations of cells that the command line left out.
  std::vector<world::Expectation> not_applicable{};

  std::uint64_t trials() const;  ///< worlds of networks counted as one
  bool has_networks() const;     ///< in any cell
};

/// Splits the values of a sweep. With a `;` anywhere outside of brackets and quotes, values stand between
/// semicolons; otherwise between commas, where `word=…` after a comma continues the value before it, as the
/// options of a NAT do: `EIM/APDF,APDM/APDF/preserve,udp_timeout=30s` are two values.
std::vector<std::string> split_values(const std::string& text);

/// Reads the scenario once for every combination of values; the first axis varies slowest.
///
/// 1. The scenario's own sweep comes first. An assignment to a key of it, or an axis with that key, replaces
///    that axis; other axes are added. One that is named again in `axes` gets more values.
/// 2. At most 100 000 cells; empty and repeated values are errors.
/// 3. A condition of an expectation holds in a cell that would be the same with the condition's value. One
///    whose key is neither swept nor given a value, or that no cell meets, is an error, unless the command
///    line gave the key other values.
tl::expected<Plan, world::ScenarioError> make_plan(const std::string& path,
                                                   const std::vector<world::Assignment>& assignments,
                                                   const std::vector<Axis>& axes, const std::string& data);

}  // namespace flaresim::study
