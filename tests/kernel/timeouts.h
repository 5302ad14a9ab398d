#pragma once

#include <chrono>
#include <map>
#include <string>

namespace flaresim::kernel {

/// What connection tracking of both routers is set to, so that scripts can wait for it: each a phase of
/// /proc/sys/net/netfilter/nf_conntrack_*.
inline std::map<std::string, std::chrono::seconds> kernel_timeouts() {
  using namespace std::chrono_literals;
  constexpr auto closing = 4s;  // the model has one for both phases
  return {
      {"udp_timeout", 2s},
      {"udp_timeout_stream", 5s},
      {"icmp_timeout", 2s},
      {"icmpv6_timeout", 2s},
      {"tcp_timeout_syn_sent", 2s},
      {"tcp_timeout_syn_recv", 3s},
      {"tcp_timeout_established", 6s},
      {"tcp_timeout_fin_wait", closing},
      {"tcp_timeout_close_wait", 3s},
      {"tcp_timeout_last_ack", 2s},
      {"tcp_timeout_time_wait", closing},
      {"tcp_timeout_close", 2s},
  };
}

}  // namespace flaresim::kernel
