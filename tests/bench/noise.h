#pragma once

#include "tests/bench/measure.h"

namespace flaresim::bench {

void register_noise(const Sizes& sizes);

}  // namespace flaresim::bench
