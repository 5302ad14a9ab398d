#pragma once

#include <string>
#include <vector>

#include "sim/world/scenario.h"

namespace flaresim::study {

/// One key of a sweep with the values it takes.
struct Axis {
  std::string key;
  std::vector<std::string> values;
};

/// One point of a sweep: a scenario with one value an axis. A run without a sweep is one cell.
struct Cell {
  std::vector<world::Assignment> at;  ///< in the order of the axes
  world::Scenario scenario;
};

/// What a run does: trials 0 … n-1 of each cell, cell after cell.
struct Plan {
  world::Scenario base;           ///< before the sweep
  std::vector<std::string> axes;  ///< keys
  std::vector<Cell> cells;

  std::uint64_t trials() const;
};

/// Splits the values of a sweep. With a `;` anywhere outside of brackets and quotes, values stand between
/// semicolons; otherwise between commas, where `word=…` after a comma continues the value before it, as the
/// options of a NAT do: `EIM/APDF,APDM/APDF/preserve,udp_timeout=30s` are two values.
std::vector<std::string> split_values(const std::string& text);

/// Reads the scenario once for every combination of values; the first axis varies slowest. An axis that is
/// named again gets more values. At most 100 000 cells; empty and repeated values are errors.
tl::expected<Plan, world::ScenarioError> make_plan(const std::string& path,
                                                   const std::vector<world::Assignment>& assignments,
                                                   const std::vector<Axis>& axes, const std::string& data);

}  // namespace flaresim::study
