#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "protocols/io/random.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// What chance decides about a trial before it begins. Each part has a random stream of its own, so that two
/// scenarios that differ in one part agree on all others.
struct Draw {
  PeerKind a;
  PeerKind b;
  std::vector<std::string> relay_regions;
  std::vector<std::string> observer_regions;
  std::size_t relay = 0;  ///< the one over which A dials B
  bool path = true;       ///< packets pass between the two peers directly
};

Draw draw(const Scenario& scenario, const std::vector<std::string>& regions, const io::Random& trial);

}  // namespace flaresim::world
