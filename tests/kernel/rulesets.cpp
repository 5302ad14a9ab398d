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
/// As Docker Engine writes them: only what comes from a container begins anything.
constexpr const char* docker = R"(
  chain forward {
    type filter hook forward priority filter; policy drop;
    oifname "inside" ct state established,related accept
    iifname "inside" accept
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
      // Presets
      {.name = "linux", .nft = translating("masquerade"), .model = "linux", .has_curve = true},
      {.name = "linux_random",
       .nft = translating("masquerade random", input_drop),
       .model = "linux-random",
       .has_curve = true},
      {.name = "linux_fully_random",
       .nft = translating("masquerade fully-random", input_drop),
       .model = "linux-fully-random",
       .has_curve = true},
      {.name = "linux_input_drop",
       .nft = translating("masquerade", input_drop),
       .model = "linux-input-drop",
       .has_curve = true},
      {.name = "linux_input_reject",
       .nft = translating("masquerade", input_reject),
       .model = "linux-input-reject",
       .has_curve = true},
      {.name = "openwrt", .nft = translating("masquerade", openwrt), .model = "openwrt", .has_curve = true},
      {.name = "docker", .nft = translating("masquerade", docker), .model = "docker", .has_curve = true},
      // Variations
      {.name = "input_reset",
       .nft = translating("masquerade", input_reset),
       .model = "linux-input-reject,tcp_unsolicited=reset"},
      {.name = "forward_drop",
       .nft = translating("masquerade", std::string(input_drop) + forward_drop),
       .model = "linux-input-drop,out_of_state=pick-up"},
      {.name = "random_input_accept",
       .nft = translating("masquerade random"),
       .model = "linux,ports=random,reuse=off",
       .random = true},
      {.name = "port_range",
       .nft =
           translating("meta l4proto { tcp, udp } masquerade to :20000-20003; oifname \"outside\" masquerade",
                       input_drop),
       .model = "linux-input-drop,udp_port_range=20000-20003,tcp_port_range=20000-20003",
       .range = {20000, 20003}},
      {.name = "address_pool",
       .nft = translating("snat to 203.0.113.1-203.0.113.4", input_drop),
       .model = "linux-input-drop,pooling=arbitrary",
       .addresses = 4},
      {.name = "address_pool_persistent",
       .nft = translating("snat to 203.0.113.1-203.0.113.4 persistent", input_drop),
       .model = "linux-input-drop,pooling=paired",
       .addresses = 4},
      {.name = "port_forward",
       .nft = translating("masquerade", input_drop, port_forward),
       .model = "linux-input-drop,hairpin=external",
       .forwards_port = true},
      {.name = "firewall_ipv6", .nft = firewall6, .model = "linux-input-drop,translate=off", .ipv6 = true},
  };
  return all;
}

}  // namespace flaresim::kernel
