#pragma once

#include <string>
#include <vector>

#include "tests/kernel/transcript.h"

namespace flaresim::kernel {

/// One kind of Linux router.
struct Ruleset {
  std::string name;
  std::string nft;
  std::string model;          ///< as `world::parse_nat` reads it
  std::size_t addresses = 1;  ///< outside, of IPv4
  bool ipv6 = false;
  bool forwards_port = false;  ///< 8080, of TCP and UDP, to port 80 of A
  bool has_curve = false;      ///< of punches between two of it, against the time between their starts
  PortRange range{};           ///< of new ports, where the rules say so
  bool random = false;         ///< every new port is drawn, also where the inside one is free
};

const std::vector<Ruleset>& rulesets();

}  // namespace flaresim::kernel
