#include "tests/kernel/model_lab.h"

#include <fmt/format.h>

#include "tests/kernel/addresses.h"
#include "tests/kernel/timeouts.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::kernel {

namespace {

std::string with_timeouts(const std::string& behaviour) {
  auto timeouts = kernel_timeouts();
  const auto of = [&](const char* key) { return timeouts.at(key).count(); };
  return fmt::format(
      "{},udp_unreplied_timeout={}s,udp_timeout={}s,tcp_transitory_timeout={}s,tcp_established_timeout={}s,"
      "tcp_closing_timeout={}s,tcp_reset_timeout={}s,icmp_timeout={}s",
      behaviour, of("udp_timeout"), of("udp_timeout_stream"), of("tcp_timeout_syn_sent"),
      of("tcp_timeout_established"), of("tcp_timeout_time_wait"), of("tcp_timeout_close"),
      of("icmp_timeout"));
}

}  // namespace

ModelLab::ModelLab(const std::string& behaviour, std::uint64_t seed)
    : nat_(nat::parse_behaviour(with_timeouts(behaviour)).value(), nat::test::address(wan4), seed) {}

std::vector<Emitted> ModelLab::send(Side from, const Bytes& packet) {
  Bytes bytes = packet;
  const auto verdict = from == Side::inside ? nat_.outbound(bytes, now_) : nat_.inbound(bytes, now_);
  std::vector<Emitted> emitted;
  if (verdict.forward) emitted.push_back({other(from), bytes});
  if (!verdict.answer.empty()) emitted.push_back({from, verdict.answer});
  return emitted;
}

}  // namespace flaresim::kernel
