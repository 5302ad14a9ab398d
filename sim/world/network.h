#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocols/io/time.h"
#include "sim/net/packet.h"
#include "sim/world/network_spec.h"
#include "sim/world/scenario.h"
#include "sim/world/trial.h"

namespace flaresim::world {

/// What is kept of many numbers. All zero without any.
struct Spread {
  std::uint64_t count = 0;
  double mean = 0;
  double median = 0;
  double p90 = 0;
  double max = 0;
  bool operator==(const Spread&) const = default;
};
/// Quantiles by the nearest rank.
Spread spread_of(std::vector<double> numbers);

/// What the DHT's lookups came to, whoever began them.
struct LookupFigures {
  Spread took_s;
  /// Of those that ended with the first answer to what they sought, as walks to a first provider do.
  Spread answered_after_s;
  Spread hops;
  Spread requests;
  std::uint64_t requests_sent = 0;
  std::uint64_t requests_failed = 0;
  bool operator==(const LookupFigures&) const = default;
};

/// Lookups of random keys, from random nodes, that were held against brute force.
struct ProbeFigures {
  std::uint64_t count = 0;
  /// Whose result held each of the k closest servers online that can be dialled.
  std::uint64_t right = 0;
  Spread took_s;
  Spread hops;
  bool operator==(const ProbeFigures&) const = default;
};

/// What nodes of one kind of NAT make of themselves, at the last look.
struct VerdictFigures {
  std::string nat;        ///< as written in the population; empty: public nodes
  bool dialable = false;  ///< the truth: strangers can open connections to it
  std::uint64_t nodes = 0;
  std::uint64_t says_public = 0;
  std::uint64_t says_private = 0;
  std::uint64_t says_unknown = 0;
  Spread first_after_s;  ///< from a node's start to its first verdict
  bool operator==(const VerdictFigures&) const = default;
};

/// All looks at all routing tables together.
struct TableFigures {
  std::uint64_t looks = 0;
  std::uint64_t entries = 0;
  std::uint64_t offline = 0;  ///< nodes that have left, as may be until somebody notices
  /// Nodes that are online, and do not think themselves public any more, or not yet after a new start: until their
  /// own word reaches those that knew them as servers.
  std::uint64_t lapsed = 0;
  /// Not of the looks, but of every addition to a table: nodes that had never thought themselves public; must be none.
  std::uint64_t never_public = 0;
  Spread size;                     ///< entries of a table
  bool operator==(const TableFigures&) const = default;
};

/// Public nodes as relays; numbers of all looks together.
struct RelayFigures {
  std::uint64_t relays = 0;  ///< at the last look
  Spread reservations;       ///< of a relay at a look
  Spread circuits;
  std::uint64_t most_reservations = 0;  ///< of a relay at any time
  std::uint64_t above_limits =
      0;  ///< relays that at any time had more reservations, or circuits of a peer, than they may
  std::uint64_t granted = 0;              ///< refreshes included
  std::uint64_t opened = 0;               ///< circuits
  std::map<int, std::uint64_t> refused;   ///< by status code of the protocol
  std::uint64_t lost = 0;                 ///< reservations that nodes lost
  std::uint64_t private_nodes = 0;        ///< that think so themselves, at the last look
  std::uint64_t without_reservation = 0;  ///< of them
  bool operator==(const RelayFigures&) const = default;
};

/// How far the pairs' attempts came.
struct Funnel {
  std::uint64_t skipped =
      0;  ///< never begun, since no two peers that were free, and not connected, were online
  std::uint64_t attempts = 0;
  std::uint64_t found = 0;      ///< addresses of B were known
  std::uint64_t connected = 0;  ///< directly or over a relay
  std::uint64_t dialled = 0;    ///< directly, without a relay
  std::uint64_t relayed = 0;
  std::uint64_t exchanged = 0;  ///< CONNECT and SYNC
  std::uint64_t reversed = 0;
  std::uint64_t punched = 0;
  bool operator==(const Funnel&) const = default;
};

/// After many nodes fell silent at once.
struct KillFigures {
  std::uint64_t killed = 0;
  std::uint64_t survivors = 0;  ///< that were online then
  /// Of them, those in the largest part that connections still held together, and were online when looked at.
  std::uint64_t connected = 0;
  std::uint64_t lost = 0;  ///< of those, who were then outside of the largest part
  bool operator==(const KillFigures&) const = default;
};

/// What one world of a network came to. Follows from (scenario, seed, world) alone.
struct NetworkReport {
  std::uint64_t world = 0;
  std::uint64_t nodes = 0;
  std::uint64_t public_nodes = 0;
  io::Duration simulated{0};
  double node_hours = 0;  ///< online
  std::uint64_t starts = 0;
  std::uint64_t leaves = 0;

  LookupFigures lookups;
  ProbeFigures probes;
  std::vector<VerdictFigures> verdicts;  ///< in the order of their names, public nodes first
  std::uint64_t false_public = 0;
  std::uint64_t false_private = 0;
  TableFigures tables;
  RelayFigures relays;
  Funnel funnel;
  std::optional<KillFigures> kill;

  Spread connections;             ///< of a node that is online, at a look
  std::uint64_t events = 0;       ///< of the simulator
  std::uint64_t packets = 0;      ///< through the core
  std::uint64_t handshakes = 0;   ///< security handshakes begun, counted at both ends
  std::uint64_t left_behind = 0;  ///< after shutdown: connections, timers, reservations, pending requests

  double per_node_hour(std::uint64_t number) const {
    return node_hours > 0 ? static_cast<double>(number) / node_hours : 0;
  }
  bool operator==(const NetworkReport&) const = default;
};

/// What a world cost the machine; not the same twice.
struct NetworkCost {
  double wall_s = 0;
  std::uint64_t resident_bytes = 0;       ///< at the last look, less what the process had before
  std::uint64_t peak_resident_bytes = 0;  ///< at any look
  std::uint64_t connections = 0;          ///< ends, at the last look
};

struct NetworkOptions {
  bool timeline = false;  ///< fill Trial::timeline of the attempts
  /// Called at every packet that enters the core.
  std::function<void(io::TimePoint, const net::PacketSummary&)> on_packet{};
  /// Called at every look, with the world's time.
  std::function<void(io::Duration, const NetworkReport& so_far, const NetworkCost&)> on_look{};
};

struct NetworkResult {
  /// One row an attempt of a pair, in the order in which they began. `Trial::world` is the world's number, and
  /// `Trial::index` counts on over the worlds: world · attempts + number in the world.
  std::vector<Trial> rows;
  NetworkReport report;
  NetworkCost cost;
};

/// Builds the world with that number of a scenario that has `network`, runs it to its end, and takes it down again. At
/// most one world at a time in a process. Throws what went wrong; std::logic_error for another scenario.
NetworkResult run_network(const Scenario& scenario, const WorldData& data, std::uint64_t seed,
                          std::uint64_t world, const NetworkOptions& options = {});

}  // namespace flaresim::world
