#pragma once

#include <chrono>

#include "tests/kernel/lab.h"

namespace flaresim::kernel {

enum class Transport { udp, tcp };

/// How far apart two peers begin, and how long a packet takes between their routers.
struct PunchTiming {
  std::chrono::milliseconds second_starts_after{0};  ///< negative: before the first
  std::chrono::milliseconds one_way{20};
};

/// Whether a hole punch succeeds between a peer behind each of two routers, both of which have talked to a common
/// server from the same port before.
///
/// UDP: both send eight packets, 100 ms apart; a success is when each has got one. TCP: both open simultaneously (RFC
/// 9293 §3.5), once; a success is when both are established. A RST ends it, and so does an ICMP error that meets a SYN
/// (RFC 1122 §4.2.3.9).
bool punch(Lab& first, Lab& second, bool ipv6, Transport transport, const PunchTiming& timing);

}  // namespace flaresim::kernel
