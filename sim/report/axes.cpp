#include <fmt/format.h>

#include "sim/report/report.h"

namespace flaresim::report {
namespace {

std::string_view word(nat::Mapping mapping) {
  switch (mapping) {
    case nat::Mapping::endpoint_independent:
      return "endpoint-independent (EIM)";
    case nat::Mapping::address_dependent:
      return "address-dependent (ADM)";
    case nat::Mapping::address_and_port_dependent:
      return "address- and port-dependent (APDM)";
  }
  return "?";
}

std::string_view word(nat::Filtering filtering) {
  switch (filtering) {
    case nat::Filtering::endpoint_independent:
      return "endpoint-independent (EIF)";
    case nat::Filtering::address_dependent:
      return "address-dependent (ADF)";
    case nat::Filtering::address_and_port_dependent:
      return "address- and port-dependent (APDF)";
  }
  return "?";
}

std::string_view word(nat::Ports ports) {
  switch (ports) {
    case nat::Ports::preserve:
      return "the inside port, a random one when it is taken";
    case nat::Ports::sequential:
      return "the next free one";
    case nat::Ports::random:
      return "a random free one";
  }
  return "?";
}

std::string_view word(nat::Unsolicited unsolicited) {
  switch (unsolicited) {
    case nat::Unsolicited::drop:
      return "dropped";
    case nat::Unsolicited::icmp:
      return "answered with ICMP unreachable";
    case nat::Unsolicited::reset:
      return "answered with RST";
    case nat::Unsolicited::commit_state:
      return "consumed by the router, which remembers it (commit-state)";
  }
  return "?";
}

std::string_view word(nat::Reply reply) {
  return reply == nat::Reply::fresh ? "the mapping that the rule gives" : "the session's own mapping";
}

std::string_view word(nat::Refresh refresh) {
  switch (refresh) {
    case nat::Refresh::outbound:
      return "outbound";
    case nat::Refresh::inbound:
      return "inbound";
    case nat::Refresh::both:
      return "both ways";
  }
  return "?";
}

std::string line(std::string_view name, std::string_view value) {
  return fmt::format("{:<28} {}\n", name, value);
}
std::string line(std::string_view name, nat::Seconds value) {
  return line(name, fmt::format("{} s", value.count()));
}

}  // namespace

std::string axes(const nat::Behaviour& nat) {
  std::string text = line("inline form", to_string(nat));
  text += line("translates addresses", nat.translates ? "yes" : "no");
  if (nat.translates) {
    text += line("mapping", word(nat.mapping));
    text += line("outside port", word(nat.ports));
    text += line("replies leave from", word(nat.reply));
  }
  text += line("filtering", word(nat.filtering));
  text += line("UDP", nat.udp_blocked ? "blocked" : "passes");
  if (!nat.udp_blocked) {
    text += line("unsolicited UDP", word(nat.udp_unsolicited));
    text += line("UDP timeout, unreplied", nat.udp_unreplied_timeout);
    text += line("UDP timeout", nat.udp_timeout);
    text += line("UDP timeout refreshed by", word(nat.udp_refresh));
  }
  text += line("unsolicited TCP", word(nat.tcp_unsolicited));
  text += line("TCP simultaneous open", nat.tcp_simultaneous_open ? "passes" : "dropped");
  text += line("TCP transitory timeout", nat.tcp_transitory_timeout);
  text += line("TCP established timeout", nat.tcp_established_timeout);
  text += line("TCP timeout after RST", nat.tcp_reset_timeout);
  return text;
}

}  // namespace flaresim::report
