#pragma once

#include <string>
#include <vector>

#include "sim/world/scenario.h"
#include "topologies/diagram.h"

namespace flaresim::world {

/// A named world: `DATA/worlds/NAME.yaml`, which a scenario's key `topology` names.
struct Topology {
  std::string name;
  std::string summary;      ///< one line for people
  Scenario scenario;        ///< of which the topology has given its keys; the rest are defaults
  bool has_relays = false;  ///< the topology says where relays are
};

/// In the order of their names.
std::vector<std::string> topology_names(const std::string& data);
tl::expected<Topology, ScenarioError> load_topology(const std::string& name, const std::string& data);

/// The picture of it: what the file says, and nothing that chance decides.
topologies::Diagram diagram_of(const Topology& topology);

}  // namespace flaresim::world
