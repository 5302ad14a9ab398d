#pragma once

#include <memory>

#include "sim/world/pair_world.h"
#include "sim/world/scenario.h"
#include "sim/world/story.h"
#include "sim/world/trial.h"

namespace flaresim::world {

/// Two peers that boot with bootstrap addresses alone; A knows the peer id of B beside.
///
/// 1. Each learns whether it can be dialled (1.1), and if not, finds relays (1.2) and reserves (1.3).
/// 2. As soon as A has looked up its own neighbourhood, and not before `Scenario::meet_at`, it looks for B, again and
/// again as an application would, until there is a connection (2.1): direct, or over a relay.
/// 3. Over a relay, B upgrades it (2.2).
/// 4. The row's phases 1.1 to 1.3 are those of B; the timeline has A's, too.
/// 5. Afterwards a stranger dials both, to hold their verdicts against the truth.
std::unique_ptr<Story> make_cold_start(const Scenario& scenario, PairWorld& world, Trial& trial,
                                       Story::Say say);

}  // namespace flaresim::world
