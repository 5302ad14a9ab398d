#pragma once

#include "protocols/node/node.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// What the peers of a scenario run, as its `protocol` says.
node::NodeProfile node_profile(const Scenario& scenario);

/// What every node of a network runs: the same with AutoNAT, DHT and AutoRelay with the field's constants, a relay service
/// while it thinks itself public, and a connection manager. What a node dials that is `studied` has all of its cryptography,
/// whatever the scenario says.
node::NodeProfile network_profile(const Scenario& scenario, bool studied);

}  // namespace flaresim::world
