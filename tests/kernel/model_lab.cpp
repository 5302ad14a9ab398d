#include "tests/kernel/model_lab.h"

#include <fmt/format.h>

#include "sim/world/nat_presets.h"
#include "tests/kernel/addresses.h"
#include "tests/kernel/timeouts.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {
namespace {

nat::Behaviour with_timeouts(const std::string& behaviour) {
  auto timeouts = kernel_timeouts();
  std::string text = behaviour;
  const std::pair<const char*, const char*> keys[] = {
      {"udp_unreplied_timeout", "udp_timeout"},
      {"udp_timeout", "udp_timeout_stream"},
      {"icmp_timeout", "icmp_timeout"},
      {"tcp_transitory_timeout", "tcp_timeout_syn_sent"},
      {"tcp_syn_received_timeout", "tcp_timeout_syn_recv"},
      {"tcp_established_timeout", "tcp_timeout_established"},
      {"tcp_close_wait_timeout", "tcp_timeout_close_wait"},
      {"tcp_last_ack_timeout", "tcp_timeout_last_ack"},
      {"tcp_closing_timeout", "tcp_timeout_time_wait"},
      {"tcp_reset_timeout", "tcp_timeout_close"},
  };
  for (const auto& [ours, kernels] : keys) text += fmt::format(",{}={}s", ours, timeouts.at(kernels).count());
  const auto parsed = world::parse_nat(text);
  if (!parsed) throw std::logic_error(text + ": " + parsed.error().message);
  return *parsed;
}

std::vector<nat::Address> outside_addresses(std::size_t count) {
  std::vector<nat::Address> addresses{nat::test::address(wan4)};
  for (std::size_t i = 1; i < count; ++i) addresses.push_back(nat::test::address(pool4.at(i - 1)));
  return addresses;
}

/// 192.168.1.0/24
bool is_inside(const std::string& address) { return address.starts_with("192.168.1."); }

}  // namespace

ModelLab::ModelLab(const Ruleset& ruleset, std::uint64_t seed)
    : nat_(with_timeouts(ruleset.model), outside_addresses(ruleset.addresses), seed) {
  if (!ruleset.forwards_port) return;
  for (const auto transport : {nat::Transport::udp, nat::Transport::tcp})
    if (const auto error = nat_.open_forward({transport, 8080, {nat::test::address(a4), 80}}, now_))
      throw std::logic_error("cannot forward a port: " + error.message());
}

std::vector<Emitted> ModelLab::send(Side from, const Bytes& packet) {
  Bytes bytes = packet;
  auto verdict = from == Side::inside ? nat_.outbound(bytes, now_) : nat_.inbound(bytes, now_);
  std::vector<Emitted> emitted;
  if (verdict.forward) {
    const bool stays_inside = from == Side::inside && is_inside(nat::test::read(bytes).destination.address);
    emitted.push_back({stays_inside ? Side::inside : other(from), bytes});
  }
  for (auto& released : verdict.released) emitted.push_back({other(from), std::move(released)});
  if (!verdict.answer.empty()) emitted.push_back({from, std::move(verdict.answer)});
  return emitted;
}

}  // namespace flaresim::kernel
