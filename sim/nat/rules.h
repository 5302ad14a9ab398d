#pragma once

#include <compare>
#include <cstdint>
#include <cstring>

#include "sim/nat/behaviour.h"
#include "sim/nat/nat.h"

namespace flaresim::nat {

enum class Direction : std::uint8_t { outbound, inbound };

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
constexpr Endpoint owner_key(const Endpoint& remote, const TransportRules& rules) {
  return filter_key(mapping_key(remote, rules.mapping), rules.filtering);
}

/// Whether a UDP packet in this direction extends the life of its session. RFC 4787 §4.3.
constexpr bool refreshes(Direction direction, Refresh rule) {
  if (rule == Refresh::outbound) return direction == Direction::outbound;
  if (rule == Refresh::inbound) return direction == Direction::inbound;
  return true;
}

__extension__ using Product = unsigned __int128;

/// A hash of two endpoints, the same on every machine and in every run.
inline std::uint32_t hash_of(const Endpoint& a, const Endpoint& b) {
  const auto mix = [](std::uint64_t x, std::uint64_t y) {
    const auto product = static_cast<Product>(x) * y;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t words[4];
  std::memcpy(words, a.address.data(), 16);
  std::memcpy(words + 2, b.address.data(), 16);
  const std::uint64_t ports = std::uint64_t{a.port} << 16 | b.port;
  const std::uint64_t first = mix(words[0] ^ 0x243f6a8885a308d3, words[1] ^ 0x13198a2e03707344);
  const std::uint64_t second = mix(words[2] ^ 0xa4093822299f31d0, words[3] ^ 0x082efa98ec4e6c89);
  return static_cast<std::uint32_t>(
      mix(first ^ ports, second ^ (first << 32 | first >> 32) ^ 0x452821e638d01377) >> 16);
}

}  // namespace flaresim::nat
