#pragma once

#include <vector>

#include "sim/report/nat.h"

namespace flaresim::cli {

/// Probes every preset (some seconds in all), and gives what was seen beside what is declared.
std::vector<report::NatColumn> probed_columns(const world::NatCatalogue& catalogue);

}  // namespace flaresim::cli
