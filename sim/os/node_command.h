#pragma once

namespace CLI {
class App;
}

namespace flaresim::os {

/// Adds `flaresim node`: a peer on this machine's real network.
/// Ends with 0 when done or stopped, 1 when what was asked for did not come about, 2 on bad usage.
void add_node_command(CLI::App& program);

}  // namespace flaresim::os
