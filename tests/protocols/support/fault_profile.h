#pragma once

#include <array>
#include <chrono>
#include <utility>

#include "protocols/io/scheduler.h"

namespace flaresim::support {

/// How often a message is spoilt, each a probability.
struct FaultProfile {
  double dropped = 0;
  double duplicated = 0;
  double truncated = 0;
  double delayed = 0;
  io::Duration longest_delay{};
};

/// Each way by itself, and all of them at once.
inline const std::array every_way_to_spoil{
    std::pair("Dropped", FaultProfile{.dropped = 0.1}),
    std::pair("Duplicated", FaultProfile{.duplicated = 0.1}),
    std::pair("Truncated", FaultProfile{.truncated = 0.1}),
    std::pair("Delayed", FaultProfile{.delayed = 0.3, .longest_delay = std::chrono::seconds(40)}),
    std::pair("AllOfThem", FaultProfile{.dropped = 0.03,
                                        .duplicated = 0.03,
                                        .truncated = 0.03,
                                        .delayed = 0.1,
                                        .longest_delay = std::chrono::seconds(40)})};

}  // namespace flaresim::support
