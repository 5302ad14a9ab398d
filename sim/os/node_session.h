#pragma once

#include "sim/os/node_options.h"

namespace flaresim::os {

/// Runs a node on the real network until it has done what it was told, or until SIGINT or SIGTERM.
/// Whether everything came about; a node that only listens is stopped by a signal, which is as it should be.
bool run_node(const NodeOptions& options);

}  // namespace flaresim::os
