#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/io/time.h"

namespace flaresim::world {

/// Lengths of time of which two quantiles are known; a Weibull distribution goes through both, as session lengths in
/// peer-to-peer networks do (Stutzbach and Rejaie, "Understanding Churn in Peer-to-Peer Networks", IMC 2006).
struct LengthSpec {
  io::Duration median{};
  io::Duration p80{};  ///< 80 % are not longer; above the median
  bool operator==(const LengthSpec&) const = default;
};

/// How nodes come and go. Nodes keep their keys and their addresses.
struct ChurnSpec {
  io::Duration from{0};  ///< of the world; whoever has started before counts as having started then
  LengthSpec session{std::chrono::hours(2), std::chrono::hours(8)};  ///< from a start to the next leave
  LengthSpec off{std::chrono::hours(1), std::chrono::hours(4)};      ///< from a leave to the next start
  double silent =
      0.5;  ///< share of leaves without a word: the line goes dead; the others close their connections
  bool operator==(const ChurnSpec&) const = default;
};

/// Random pairs that try to connect, knowing a peer id only. A peer is in at most one attempt at a time.
struct PairsSpec {
  std::uint64_t peers =
      100;  ///< NATed nodes that are in the pairs; what they dial has all of its cryptography
  std::uint64_t attempts = 100;                  ///< in a world, at instants drawn evenly
  io::Duration from = std::chrono::minutes(20);  ///< not before this time of the world
  io::Duration limit =
      std::chrono::minutes(2);  ///< for one attempt; none begins later than this before the end
  bool operator==(const PairsSpec&) const = default;
};

/// Lookups of random keys whose results are held against the true closest servers.
struct ProbesSpec {
  std::uint64_t count = 100;
  io::Duration at = std::chrono::minutes(20);  ///< of the world; spread over `over` from here on
  io::Duration over = std::chrono::minutes(2);
  bool operator==(const ProbesSpec&) const = default;
};

/// Many nodes fall silent at once.
struct KillSpec {
  io::Duration at{};
  double share = 0.5;
  io::Duration settle = std::chrono::minutes(10);  ///< what is left is looked at this long after it
  bool operator==(const KillSpec&) const = default;
};

/// What secures connections of peers that are not in an attempt.
enum class BackgroundChannel {
  full,      ///< Noise with its cryptography
  modelled,  ///< the same messages, sizes, round trips and timers, without the arithmetic
};
std::string_view to_string(BackgroundChannel channel);

/// A network of many nodes that share one world. A scenario's `peers.a` says what its NATed nodes are like.
struct NetworkSpec {
  static constexpr std::uint64_t max_nodes = 100'000;

  std::uint64_t nodes = 1000;
  io::Duration join =
      std::chrono::minutes(10);  ///< nodes start evenly over this time; the bootstrap nodes first
  io::Duration duration = std::chrono::minutes(60);  ///< of the world, joining included
  double public_share = 0.4;                         ///< of nodes, exactly; the others are NATed
  std::string public_access = "datacenter";          ///< the link of a public node
  std::uint64_t bootstrap = 4;       ///< public nodes that everybody knows and that never leave
  std::optional<ChurnSpec> churn{};  ///< none: everybody stays
  std::uint64_t low_water = 32;      ///< of the connection manager
  std::uint64_t high_water = 96;
  io::Duration refresh = std::chrono::minutes(10);  ///< of the routing tables
  std::uint64_t max_reservations = 128;             ///< of a relay
  std::uint64_t max_circuits_per_peer = 16;
  BackgroundChannel channel = BackgroundChannel::modelled;
  std::optional<PairsSpec> pairs{};
  std::optional<ProbesSpec> probes{};
  std::optional<KillSpec> kill{};
  io::Duration check_every =
      std::chrono::minutes(5);  ///< routing tables, relays and verdicts are looked at so often
  bool operator==(const NetworkSpec&) const = default;
};
/// How many of its nodes are public: its `public_share`, rounded.
std::uint64_t public_nodes(const NetworkSpec& network);

}  // namespace flaresim::world
