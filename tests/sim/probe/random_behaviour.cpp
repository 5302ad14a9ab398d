#include "tests/sim/probe/random_behaviour.h"

#include <random>

namespace flaresim::probe {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  /// Without std::uniform_int_distribution, whose numbers differ from library to library.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool one_in(std::uint64_t bound) { return below(bound) == 0; }
  template <typename Enum>
  Enum any(std::uint64_t values) {
    return static_cast<Enum>(below(values));
  }
  nat::Seconds seconds(std::uint64_t least, std::uint64_t greatest) {
    return nat::Seconds(double(least + below(greatest - least + 1)));
  }

 private:
  std::mt19937_64 engine_;
};

nat::TransportRules rules(Draw& draw, nat::Unsolicited unsolicited) {
  nat::TransportRules rules;
  rules.mapping = draw.any<nat::Mapping>(3);
  rules.filtering = draw.any<nat::Filtering>(3);
  rules.ports = draw.any<nat::Ports>(3);
  if (draw.one_in(2)) rules.contention = draw.any<nat::Contention>(4);
  rules.step = draw.one_in(2) ? 1 : static_cast<std::uint16_t>(1 + draw.below(40));
  if (draw.one_in(4)) rules.port_range = {10'000, 59'999};
  rules.reply = draw.any<nat::Reply>(2);
  rules.unsolicited = unsolicited;
  rules.hairpin = draw.any<nat::Hairpin>(4);
  rules.blocked = draw.one_in(12);
  if (draw.one_in(10)) rules.allowed_ports = {80, 443};
  if (draw.one_in(20)) rules.allowed_ports = {443};
  return rules;
}

nat::Unsolicited udp_unsolicited(Draw& draw) {
  constexpr nat::Unsolicited all[] = {nat::Unsolicited::drop, nat::Unsolicited::icmp,
                                      nat::Unsolicited::commit_state};
  return all[draw.below(3)];
}

void draw_ports(Draw& draw, nat::Behaviour& box) {
  const bool parity = draw.one_in(4), contiguity = draw.one_in(4);
  for (auto* each : {&box.udp, &box.tcp, &box.icmp}) each->parity = parity, each->contiguity = contiguity;
}

void draw_timers(Draw& draw, nat::Behaviour& box) {
  box.udp_timeout = draw.seconds(20, 600);
  box.udp_unreplied_timeout = draw.one_in(2) ? box.udp_timeout : draw.seconds(5, 20);
  if (draw.one_in(3)) box.udp_stream_after = draw.seconds(1, 4);
  box.udp_refresh = draw.any<nat::Refresh>(3);
  box.tcp_transitory_timeout = draw.seconds(5, 600);
  box.tcp_established_timeout = draw.seconds(100, 500'000);
  box.tcp_closing_timeout = draw.seconds(5, 600);
  box.tcp_reset_timeout = draw.seconds(5, 600);
  box.tcp_syn_received_timeout = draw.seconds(5, 600);
  box.tcp_close_wait_timeout = draw.seconds(5, 600);
  box.tcp_last_ack_timeout = draw.seconds(5, 600);
  box.tcp_tracking = draw.any<nat::TcpTracking>(2);
  box.icmp_timeout = draw.seconds(5, 120);
}

void draw_limits(Draw& draw, nat::Behaviour& box) {
  if (draw.one_in(4)) box.max_mappings_per_host = static_cast<std::uint32_t>(200 + draw.below(300));
  if (draw.one_in(4)) box.max_mappings = static_cast<std::uint32_t>(600 + draw.below(3000));
  box.when_full = draw.any<nat::WhenFull>(2);
}

void draw_ipv6(Draw& draw, nat::Behaviour& box) {
  if (draw.one_in(3)) box.ipv6.udp.filtering = draw.any<nat::Filtering>(3);
  if (draw.one_in(3)) box.ipv6.tcp.filtering = draw.any<nat::Filtering>(3);
  if (draw.one_in(3)) box.ipv6.tcp.unsolicited = draw.any<nat::Unsolicited>(5);
  if (draw.one_in(4)) box.ipv6.udp_timeout = box.ipv6.udp_unreplied_timeout = draw.seconds(20, 600);
  if (draw.one_in(4)) box.ipv6.simultaneous_open = draw.one_in(2);
  if (draw.one_in(6)) box.ipv6.udp.blocked = draw.one_in(2);
}

}  // namespace

nat::Behaviour random_behaviour(std::uint64_t seed) {
  Draw draw(seed);
  nat::Behaviour box;
  box.udp = rules(draw, udp_unsolicited(draw));
  box.tcp = rules(draw, draw.any<nat::Unsolicited>(7));
  box.icmp = rules(draw, nat::Unsolicited::drop);
  box.icmp.allowed_ports.clear();
  draw_ports(draw, box);
  draw_timers(draw, box);
  draw_limits(draw, box);
  draw_ipv6(draw, box);
  if (draw.one_in(10)) box.translate = nat::Translate::off;
  box.unsolicited_delay = draw.seconds(6, 20);
  box.out_of_state = draw.any<nat::OutOfState>(4);
  box.simultaneous_open = !draw.one_in(4);
  box.syn_ack_after_syn = !draw.one_in(4);
  box.icmp_errors = !draw.one_in(4);
  box.echo = draw.one_in(2);
  box.ttl_expired = draw.one_in(2);
  box.fragments = draw.any<nat::Fragments>(3);
  if (draw.one_in(5)) box.deny_list = draw.seconds(5, 60);
  box.deny_key = draw.any<nat::DenyKey>(2);
  return box;
}

}  // namespace flaresim::probe
