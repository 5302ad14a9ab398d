#include "sim/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

namespace flaresim::cli {

std::string quoted(const std::string& argument) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("_-./=,:+@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!argument.empty() && std::ranges::all_of(argument, plain)) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

std::string command_line(int argc, const char* const* argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i > 0 ? " " : "") + quoted(argv[i]);
  return line;
}

tl::expected<world::Assignment, std::string> parse_assignment(const std::string& argument,
                                                              const std::string& option) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    return tl::unexpected(
        fmt::format("{} {}: expected KEY=VALUE, such as peers.a.nat=linux", option, argument));
  }
  return world::Assignment{argument.substr(0, equals), argument.substr(equals + 1), option};
}

void add_capture_flags(CLI::App& command, CaptureArguments& arguments) {
  auto& captures = arguments.captures;
  command.add_flag("--pcap", captures.packets, "Capture the packets of every trial");
  command.add_flag("--keylog", captures.keys,
                   "Keep what decrypts TLS and QUIC in the packets, for Wireshark (an NSS key log a trial)");
  command.add_flag("--qlog", captures.qlog, "Keep a qlog of each end of every QUIC connection");
  command.add_flag(
      "--predictable-keys", arguments.predictable_keys,
      "Make the keys of TLS and QUIC follow from the seed, so that the packets' bytes do as well");
}

tl::expected<study::Axis, std::string> parse_axis(const std::string& argument) {
  const auto assignment = parse_assignment(argument, "--sweep");
  if (!assignment) return tl::unexpected(assignment.error());
  return study::Axis{assignment->key, study::split_values(assignment->value)};
}

}  // namespace flaresim::cli
