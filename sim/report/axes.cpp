#include <fmt/format.h>

#include "sim/report/report.h"

namespace flaresim::report {
namespace {

/// Keys that differ by transport, or on the IPv6 side, have a line each.
void add_lines(std::string& text, const nat::KeyInfo& info, const std::string& family,
               const nat::Behaviour& nat) {
  const auto line = [&](const std::string& key, const std::string& meaning) {
    if (const auto value = nat::value_of(key, nat); !value.empty())
      text += fmt::format("{:<26} {:<14} {}\n", key, value, meaning);
  };
  const auto meaning = family.empty() ? info.meaning : "the same over IPv6";
  const auto bare = nat::value_of(family + info.key, nat);
  if (!info.per_transport || bare.find(' ') == std::string::npos) return line(family + info.key, meaning);
  for (const auto* prefix : {"udp_", "tcp_", "icmp_"}) line(family + prefix + info.key, meaning);
}

}  // namespace

std::string axes(const nat::Behaviour& nat) {
  std::string text = fmt::format("{:<26} {}\n", "inline form", to_string(nat));
  for (const auto& info : nat::notation_keys()) {
    add_lines(text, info, "", nat);
    if (info.ipv6) add_lines(text, info, "ipv6_", nat);
  }
  return text;
}

}  // namespace flaresim::report
