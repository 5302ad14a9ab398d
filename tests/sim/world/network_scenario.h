#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/world_data.h"

namespace flaresim::test {

/// A network of that many nodes like those of scenarios/network-1k.yaml, who join within two minutes and then stay, with
/// the assignments.
inline world::Scenario network_scenario(std::size_t nodes, const std::string& duration,
                                        std::vector<world::Assignment> more = {}) {
  std::vector<world::Assignment> all{
      {"network", "{nodes: " + std::to_string(nodes) +
                      ", peers: {population: ipfs-2022}, public_share: 0.32, join: 2 min, duration: " +
                      duration + ", check_every: 1 min}"}};
  all.insert(all.end(), more.begin(), more.end());
  auto scenario =
      world::load_scenario(FLARESIM_SOURCE_DIR "/scenarios/network-1k.yaml", all, world::data_directory());
  if (!scenario) throw std::invalid_argument(to_string(scenario.error()));
  return *std::move(scenario);
}

inline const world::WorldData& world_data() {
  static const auto data = world::WorldData::load(world::data_directory()).value();
  return data;
}

}  // namespace flaresim::test
