#pragma once

#include <chrono>
#include <map>
#include <string>

namespace flaresim::kernel {

/// What connection tracking of both routers is set to, so that scripts can wait for it: each a phase of
/// /proc/sys/net/netfilter/nf_conntrack_*. Phases for which the model has one timer have one here.
inline std::map<std::string, std::chrono::seconds> kernel_timeouts() {
  using namespace std::chrono_literals;
  constexpr auto transitory = 3s, closing = 4s, reset = 2s;
  return {
      {"udp_timeout", 2s},
      {"udp_timeout_stream", 5s},
      {"icmp_timeout", 2s},
      {"icmpv6_timeout", 2s},
      {"tcp_timeout_syn_sent", transitory},
      {"tcp_timeout_syn_recv", transitory},
      {"tcp_timeout_established", 6s},
      {"tcp_timeout_fin_wait", closing},
      {"tcp_timeout_close_wait", closing},
      {"tcp_timeout_last_ack", closing},
      {"tcp_timeout_time_wait", closing},
      {"tcp_timeout_close", reset},
  };
}

}  // namespace flaresim::kernel
