#pragma once

#include <cstdint>

#include "sim/nat/behaviour.h"

namespace flaresim::probe {

/// A box drawn over all axes; the same for the same seed.
nat::Behaviour random_behaviour(std::uint64_t seed);

}  // namespace flaresim::probe
