#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "sim/world/scenario.h"
#include "sim/world/world_data.h"

namespace flaresim::test {

/// The source tree, from the build.
inline const std::string source_dir = FLARESIM_SOURCE_DIR;

inline world::Scenario load(const std::string& path, const std::vector<world::Assignment>& assignments) {
  auto scenario = world::load_scenario(source_dir + "/" + path, assignments, source_dir + "/topologies");
  if (!scenario) throw std::runtime_error(world::to_string(scenario.error()));
  return *scenario;
}

/// scenarios/pair.yaml with these two NATs.
inline world::Scenario pair_scenario(const std::string& nat_a, const std::string& nat_b,
                                     std::vector<world::Assignment> more = {}) {
  more.push_back({"peers.a.nat", nat_a});
  more.push_back({"peers.b.nat", nat_b});
  return load("scenarios/pair.yaml", more);
}

inline const world::WorldData& world_data() {
  static const auto data = world::WorldData::load(source_dir + "/topologies");
  if (!data) throw std::runtime_error(world::to_string(data.error()));
  return *data;
}

}  // namespace flaresim::test
