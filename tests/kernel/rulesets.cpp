#include "tests/kernel/rulesets.h"

#include <fmt/format.h>

namespace flaresim::kernel {
namespace {

constexpr const char* input_drop = R"(
  chain input { type filter hook input priority filter; iifname "outside" drop; })";
constexpr const char* input_reject = R"(
  chain input { type filter hook input priority filter; iifname "outside" reject; })";
constexpr const char* input_reset = R"(
  chain input {
    type filter hook input priority filter;
    iifname "outside" meta l4proto tcp reject with tcp reset
    iifname "outside" reject
  })";
constexpr const char* forward_drop = R"(
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "inside" accept
  })";
/// As OpenWrt's firewall4 writes them.
constexpr const char* openwrt = R"(
  chain input {
    type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept }
    iifname "inside" accept
    iifname "outside" icmp type echo-request accept
    iifname "outside" jump refuse
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state vmap { established : accept, related : accept }
    iifname "inside" ct state invalid drop
    iifname "inside" accept
    ct status dnat accept
    iifname "outside" jump refuse
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject
  })";

std::string translating(const std::string& source, const std::string& filter = "",
                        const std::string& nat = "") {
  return fmt::format(R"(table ip router {{
  chain postrouting {{ type nat hook postrouting priority srcnat; oifname "outside" {}; }}{}{}
}}
)",
                     source, filter, nat);
}

constexpr const char* port_forward = R"(
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport 8080 dnat to 192.168.1.10:80
    ip daddr 203.0.113.1 udp dport 8080 dnat to 192.168.1.10:80
  }
  chain hairpin {
    type nat hook postrouting priority srcnat;
    iifname "inside" oifname "inside" masquerade
  })";

constexpr const char* firewall6 = R"(table ip6 router {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "inside" accept
  }
}
)";

}  // namespace

const std::vector<Ruleset>& rulesets() {
  static const std::vector<Ruleset> all{
      {"masquerade", translating("masquerade"), "linux", false, {}, true},
      {"masquerade_random", translating("masquerade random"), "linux,ports=random", false, {}, true},
      {"masquerade_fully_random", translating("masquerade fully-random"), "linux,ports=random"},
      {"input_drop", translating("masquerade", input_drop), "linux-input-drop", false, {}, true},
      {"input_reject",
       translating("masquerade", input_reject),
       "linux-input-drop,unsolicited=icmp",
       false,
       {},
       true},
      {"input_reset", translating("masquerade", input_reset),
       "linux-input-drop,unsolicited=icmp,tcp_unsolicited=reset"},
      {"forward_drop", translating("masquerade", std::string(input_drop) + forward_drop), "linux-input-drop"},
      {"openwrt", translating("masquerade", openwrt),
       "linux-input-drop,unsolicited=icmp,tcp_unsolicited=reset"},
      {"port_range",
       translating("meta l4proto { tcp, udp } masquerade to :20000-20003; oifname \"outside\" masquerade",
                   input_drop),
       "linux-input-drop",
       false,
       {20000, 20003}},
      {"address_pool", translating("snat to 203.0.113.1-203.0.113.4", input_drop), "linux-input-drop"},
      {"address_pool_persistent", translating("snat to 203.0.113.1-203.0.113.4 persistent", input_drop),
       "linux-input-drop"},
      {"port_forward", translating("masquerade", input_drop, port_forward), "linux-input-drop"},
      {"firewall_ipv6", firewall6, "linux-input-drop,translate=off", true},
  };
  return all;
}

}  // namespace flaresim::kernel
