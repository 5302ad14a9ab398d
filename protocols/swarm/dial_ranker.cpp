#include "protocols/swarm/dial_ranker.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Protocol;
using Addresses = std::vector<Multiaddr>;
using Ranking = std::vector<RankedAddress>;

/// Not `Multiaddr::transport`, which says no more of a relayed address than that it is one.
bool is_quic(const Multiaddr& address) { return address.find(Protocol::udp).has_value(); }
bool is_v6(const Multiaddr& address) { return address.find(Protocol::ip6).has_value(); }

std::uint16_t port_of(const Multiaddr& address) {
  const auto port = address.find(is_quic(address) ? Protocol::udp : Protocol::tcp);
  return port ? static_cast<std::uint16_t>(port->value[0] << 8 | port->value[1]) : 0;
}

/// Those of one transport in one group, in the order of preference.
Ranking stagger(const Addresses& addresses, io::Duration begin, io::Duration step) {
  Ranking out;
  for (const auto& address : addresses) {
    out.push_back({address, out.empty() ? begin : begin + step});
  }
  const auto is_v4 = [](const RankedAddress& ranked) { return !is_v6(ranked.address); };
  const auto first_v4 = std::ranges::find_if(out, is_v4);
  if (first_v4 == out.begin() || first_v4 == out.end()) return out;
  std::rotate(out.begin() + 1, first_v4, first_v4 + 1);
  for (auto& later : std::ranges::subrange(out.begin() + 2, out.end())) later.delay = begin + 2 * step;
  return out;
}

Ranking rank_group(Addresses group, io::Duration begin, io::Duration step) {
  std::ranges::stable_sort(
      group, {}, [](const Multiaddr& address) { return std::pair(!is_v6(address), port_of(address)); });
  Addresses quic;
  Addresses tcp;
  for (auto& address : group) (is_quic(address) ? quic : tcp).push_back(std::move(address));
  auto out = stagger(quic, begin, step);
  std::ranges::move(stagger(tcp, out.empty() ? begin : out.back().delay + step, step),
                    std::back_inserter(out));
  return out;
}

}  // namespace

Ranking rank_for_dialling(const Addresses& addresses, const DialDelays& delays) {
  Addresses closed;
  Addresses open;
  Addresses relayed;
  for (const auto& address : addresses) {
    (address.is_circuit() ? relayed : address.is_public() ? open : closed).push_back(address);
  }
  const auto relay_begin = open.empty() ? io::Duration::zero() : delays.relay;
  auto out = rank_group(std::move(closed), io::Duration::zero(), delays.private_step);
  std::ranges::move(rank_group(std::move(open), io::Duration::zero(), delays.public_step),
                    std::back_inserter(out));
  std::ranges::move(rank_group(std::move(relayed), relay_begin, delays.public_step), std::back_inserter(out));
  std::ranges::stable_sort(out, {}, &RankedAddress::delay);
  return out;
}

}  // namespace flaresim::swarm
