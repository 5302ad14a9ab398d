#pragma once

#include <compare>
#include <cstdint>

#include "sim/nat/behaviour.h"
#include "sim/nat/nat.h"

namespace flaresim::nat {

/// What is translated by a number of its own: ports of UDP and TCP, identifiers of ICMP echo (RFC 5508 §3.1),
/// which are handled as the port of the side that asks; the other side's port is then 0.
enum class Transport : std::uint8_t { udp, tcp, icmp };

enum class Direction : std::uint8_t { outbound, inbound };

struct Endpoint {
  Address address{};
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// The part of a remote endpoint that a mapping depends on: two remotes with the same key are reached from
/// the same outside endpoint. RFC 4787 §4.1.
constexpr Endpoint mapping_key(const Endpoint& remote, Mapping rule) {
  if (rule == Mapping::endpoint_independent) return {};
  if (rule == Mapping::address_dependent) return {remote.address, 0};
  return remote;
}

/// The part of a remote endpoint that a filter looks at: a remote is let in when one with the same key was
/// contacted through the mapping. RFC 4787 §5.
constexpr Endpoint filter_key(const Endpoint& remote, Filtering rule) {
  if (rule == Filtering::endpoint_independent) return {};
  if (rule == Filtering::address_dependent) return {remote.address, 0};
  return remote;
}

/// The part of a remote endpoint towards which an outside port has one owner. It is the coarser of the two
/// keys above: then neither a later flow of the same mapping nor a stranger whom the filter lets in can meet
/// another owner's remote, and an inbound packet never has two inside endpoints to choose from. An
/// endpoint-independent mapping or filter therefore owns its port towards everybody; APDM/APDF shares ports
/// remote by remote, as Linux connection tracking does. A mapping's key has the same owner key as the remotes
/// that it stands for.
constexpr Endpoint owner_key(const Endpoint& remote, const TransportRules& behaviour) {
  return filter_key(mapping_key(remote, behaviour.mapping), behaviour.filtering);
}

/// Whether a UDP packet in this direction extends the life of its session. RFC 4787 §4.3.
constexpr bool refreshes(Direction direction, Refresh rule) {
  if (rule == Refresh::outbound) return direction == Direction::outbound;
  if (rule == Refresh::inbound) return direction == Direction::inbound;
  return true;
}

}  // namespace flaresim::nat
