#pragma once

#include <chrono>
#include <map>
#include <string>

namespace flaresim::kernel {

/// What connection tracking of both routers is set to, so that probes can wait for it: each a phase of
/// /proc/sys/net/netfilter/nf_conntrack_*. Neighbouring phases differ by at least a second.
inline std::map<std::string, std::chrono::seconds> kernel_timeouts() {
  using namespace std::chrono_literals;
  return {
      {"udp_timeout", 2s},          {"udp_timeout_stream", 5s},
      {"icmp_timeout", 2s},         {"icmpv6_timeout", 2s},
      {"generic_timeout", 2s},      {"tcp_timeout_syn_sent", 2s},
      {"tcp_timeout_syn_recv", 3s}, {"tcp_timeout_established", 6s},
      {"tcp_timeout_fin_wait", 4s}, {"tcp_timeout_close_wait", 3s},
      {"tcp_timeout_last_ack", 2s}, {"tcp_timeout_time_wait", 4s},
      {"tcp_timeout_close", 2s},
  };
}

}  // namespace flaresim::kernel
