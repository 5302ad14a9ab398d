#pragma once

#include <string>
#include <vector>

#include "tests/kernel/transcript.h"

namespace flaresim::kernel {

/// One kind of Linux router.
struct Ruleset {
  std::string name;
  std::string nft;
  std::string model;  ///< in the notation of `nat::parse_behaviour`, but for the timeouts of timeouts.h
  bool ipv6 = false;
  PortRange range{};
  bool has_curve = false;  ///< of punches between two of it, against the time between their starts
};

const std::vector<Ruleset>& rulesets();

}  // namespace flaresim::kernel
