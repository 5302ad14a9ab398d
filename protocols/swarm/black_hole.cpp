#include "protocols/swarm/black_hole.h"

#include <algorithm>

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Protocol;
using State = SuccessWindow::State;

bool counts(const Multiaddr& address, Protocol protocol) {
  return address.is_public() && address.find(protocol).has_value();
}

/// One question for all addresses of that kind: results are of addresses, but requests of peers.
State ask(SuccessWindow& window, const std::vector<Multiaddr>& addresses, Protocol protocol) {
  const bool any =
      std::ranges::any_of(addresses, [&](const Multiaddr& address) { return counts(address, protocol); });
  return any ? window.ask() : State::allowed;
}

}  // namespace

SuccessWindow::State SuccessWindow::judged() const {
  if (results_.size() < window) return State::probing;
  return successes_ >= enough ? State::allowed : State::blocked;
}

SuccessWindow::State SuccessWindow::ask() {
  ++asked_;
  const auto state = judged();
  return state == State::blocked && asked_ % window == 0 ? State::probing : state;
}

void SuccessWindow::record(bool success) {
  if (success && judged() == State::blocked) {
    *this = {};
    return;
  }
  results_.push_back(success);
  if (success) ++successes_;
  if (results_.size() <= window) return;
  if (results_.front()) --successes_;
  results_.pop_front();
}

std::vector<bool> BlackHoleDetector::blocked(const std::vector<Multiaddr>& addresses) {
  const auto udp = ask(udp_, addresses, Protocol::udp);
  const auto ipv6 = ask(ipv6_, addresses, Protocol::ip6);
  std::vector<bool> out;
  for (const auto& address : addresses) {
    const bool is_udp = counts(address, Protocol::udp);
    const bool is_v6 = counts(address, Protocol::ip6);
    const bool probes = (is_udp && udp == State::probing) || (is_v6 && ipv6 == State::probing);
    const bool useless = (is_udp && udp == State::blocked) || (is_v6 && ipv6 == State::blocked);
    out.push_back(useless && !probes);
  }
  return out;
}

void BlackHoleDetector::record(const Multiaddr& address, bool success) {
  if (counts(address, Protocol::udp)) udp_.record(success);
  if (counts(address, Protocol::ip6)) ipv6_.record(success);
}

}  // namespace flaresim::swarm
