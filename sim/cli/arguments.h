#pragma once

#include <string>
#include <vector>

#include "sim/study/plan.h"
#include "sim/world/trial.h"

namespace CLI {
class App;
}

namespace flaresim::cli {

/// The arguments as one line that a POSIX shell splits into the same ones.
std::string command_line(int argc, const char* const* argv);
std::string quoted(const std::string& argument);

/// `KEY=VALUE`, the argument of an option.
tl::expected<world::Assignment, std::string> parse_assignment(const std::string& argument,
                                                              const std::string& option);

/// `--pcap`, `--keylog`, `--qlog` and `--predictable-keys`.
struct CaptureArguments {
  world::Captures captures;
  bool predictable_keys = false;
};
void add_capture_flags(CLI::App& command, CaptureArguments& arguments);

/// `KEY=V1,V2,…`; see `study::split_values`.
tl::expected<study::Axis, std::string> parse_axis(const std::string& argument);

}  // namespace flaresim::cli
