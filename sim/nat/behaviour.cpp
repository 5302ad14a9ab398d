#include "sim/nat/behaviour.h"

namespace flaresim::nat {

namespace {

template <typename Value>
void override_with(const std::optional<Value>& value, Value& field) {
  if (value) field = *value;
}

void override_with(const Ipv6Rules::OfTransport& ipv6, TransportRules& rules) {
  override_with(ipv6.filtering, rules.filtering);
  override_with(ipv6.unsolicited, rules.unsolicited);
  override_with(ipv6.blocked, rules.blocked);
}

}  // namespace

Behaviour ipv6_side(const Behaviour& behaviour) {
  Behaviour side = behaviour;
  const Ipv6Rules& ipv6 = behaviour.ipv6;
  side.translate = Translate::off;
  override_with(ipv6.udp, side.udp);
  override_with(ipv6.tcp, side.tcp);
  override_with(ipv6.icmp, side.icmp);
  override_with(ipv6.unsolicited_delay, side.unsolicited_delay);
  override_with(ipv6.out_of_state, side.out_of_state);
  override_with(ipv6.simultaneous_open, side.simultaneous_open);
  override_with(ipv6.udp_timeout, side.udp_timeout);
  override_with(ipv6.udp_unreplied_timeout, side.udp_unreplied_timeout);
  override_with(ipv6.udp_refresh, side.udp_refresh);
  override_with(ipv6.tcp_transitory_timeout, side.tcp_transitory_timeout);
  override_with(ipv6.tcp_established_timeout, side.tcp_established_timeout);
  override_with(ipv6.tcp_closing_timeout, side.tcp_closing_timeout);
  override_with(ipv6.tcp_reset_timeout, side.tcp_reset_timeout);
  override_with(ipv6.icmp_timeout, side.icmp_timeout);
  override_with(ipv6.icmp_errors, side.icmp_errors);
  if (behaviour.udp_unreplied_timeout == behaviour.udp_timeout && !ipv6.udp_unreplied_timeout)
    side.udp_unreplied_timeout = side.udp_timeout;
  if (behaviour.tcp_closing_timeout == behaviour.tcp_transitory_timeout && !ipv6.tcp_closing_timeout)
    side.tcp_closing_timeout = side.tcp_transitory_timeout;
  if (ipv6.transparent)
    side.udp.filtering = side.tcp.filtering = side.icmp.filtering = Filtering::endpoint_independent;
  side.ipv6 = {};
  return side;
}

}  // namespace flaresim::nat
