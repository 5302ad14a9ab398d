#pragma once

namespace CLI {
class App;
}

namespace flaresim::cli {

/// `nat probe` and `nat stagger`, below the `nat` command.
void add_probe_commands(CLI::App& nat_command);

}  // namespace flaresim::cli
