#pragma once

#include "sim/probe/lab.h"
#include "sim/probe/report.h"

namespace flaresim::probe {

struct Options {
  /// So many flows an inside host opens to find limits, blocks and the range of ports; 64 to 60 000.
  std::size_t flows = 2048;
  /// Timers are searched up to this; no router forgets later.
  io::Duration longest_timer = std::chrono::hours(24 * 366);
  io::Duration timer_resolution = std::chrono::milliseconds(1);
};

/// Finds out by packets alone what the box in the labs does, in the manner of RFC 5780 §4 and further: two outside
/// addresses with two ports each, several inside hosts, and a fresh lab for each question.
///
/// Asks UDP, TCP and ICMP echo over IPv4, what concerns the box as a whole, and the same transports over IPv6 where
/// the labs have addresses for it. Simulated time is spent freely: a timer of a year costs some tens of labs.
Report probe(const MakeLab& make, const Options& options = {});

}  // namespace flaresim::probe
