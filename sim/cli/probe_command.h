#pragma once

#include <cstdint>

namespace CLI {
class App;
}

namespace flaresim::cli {

/// Of the probed boxes: the same draw the same ports in each run.
inline constexpr std::uint64_t probe_seed = 1;

/// `nat probe` and `nat stagger`, below the `nat` command.
void add_probe_commands(CLI::App& nat_command);

}  // namespace flaresim::cli
