#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/result.h"
#include "protocols/io/time.h"

namespace flaresim::world {

enum class Transport { tcp };
std::string_view to_string(Transport transport);

/// One kind of peer: everything about a peer that a scenario may fix.
struct PeerKind {
  std::string nat = "open";  ///< as `nat::parse_behaviour` reads it; as written, for reports
  std::string region;  ///< a name of the region graph; empty: drawn, from the population's regions or evenly
                       ///< from the graph
  std::string access = "none";  ///< a name of the access link table; `none`: no delay, unlimited rate
  bool operator==(const PeerKind&) const = default;
};

/// A weighted choice of peer kinds, from `topologies/populations/NAME.yaml`.
struct Population {
  /// One choice of a weighted list.
  struct Share {
    std::string name;
    double weight = 0;  ///< of 1; the weights of a list add up to 1
    bool operator==(const Share&) const = default;
  };
  std::string name;
  std::vector<Share> nats;      ///< names as `nat::parse_behaviour` reads them, as written
  std::vector<Share> regions;   ///< of the region graph
  std::vector<Share> accesses;  ///< of the access link table
  /// Share of peers whose gateway gives every TCP connection another port, whatever it does to UDP.
  double tcp_unfriendly = 0;
  bool operator==(const Population&) const = default;
};

/// One side of the pair: a fixed kind, or drawn anew for each trial.
struct PeerSpec {
  PeerKind kind;
  std::optional<Population> population;
  bool operator==(const PeerSpec&) const = default;
};

struct RelaySpec {
  int count = 1;
  std::string region;  ///< empty: drawn from the regions of the graph, evenly
  std::string access = "none";
  io::Duration asymmetry{0};  ///< extra one-way delay from A through the relay to B, over the way back
  bool operator==(const RelaySpec&) const = default;
};

/// A bound on a rate. `at_least` holds when the rate is not below it, `at_most` when it is not above.
struct Expectation {
  std::string rate;  ///< `punch_rate` or `direct_rate`
  std::optional<double> at_least;
  std::optional<double> at_most;
  bool operator==(const Expectation&) const = default;
};

/// A question about the world, ready to run. Read from YAML by `load_scenario`.
struct Scenario {
  std::string name;
  std::string description;
  std::uint64_t trials = 100;
  std::uint64_t seed = 1;
  io::Duration time_limit = std::chrono::seconds(180);  ///< simulated, for one trial
  std::vector<Transport> transports{Transport::tcp};
  std::vector<int> ip{4};  ///< IP versions that the hosts have: 4, 6 or both
  PeerSpec a;              ///< dials over the relay
  PeerSpec b;              ///< holds the reservation
  RelaySpec relays;
  /// Public hosts, beside the relays, that both peers connect to before anything else. From 4 observers on a
  /// peer advertises its observed address; the relays are observers too.
  int observers = 0;
  /// Share of pairs between which no packet passes directly (routing faults, overloaded gateways, filters on
  /// the path): the failures that no NAT rule explains.
  double unreachable_pairs = 0;
  std::vector<Expectation> expect;
  bool operator==(const Scenario&) const = default;
};

/// Where a text went wrong. `to_string` gives `file:line:column: message`.
struct ScenarioError {
  std::string file;  ///< or the argument that brought the text in: `--set peers.a.nat=EIM/XPDF`
  int line = 0;      ///< from 1; 0 when the place is not in a file
  int column = 0;    ///< from 1, in bytes; of an argument's value when `line` is 0; 0 when unknown
  std::string message;
};
std::string to_string(const ScenarioError& error);

/// A key given another value than the file gives it.
struct Assignment {
  std::string key;               ///< dotted: `peers.a.nat`
  std::string value;             ///< YAML; text after `KEY=` as it stands
  std::string option = "--set";  ///< what people wrote it with, for error messages
};

/// Reads a scenario file (strict: unknown and duplicate keys, wrong units and wrong types are errors that
/// name the nearest valid key), then applies the assignments in order; an assigned value goes through the
/// same checks. `data` is the folder that holds `populations/` and `data/` with the region and access tables,
/// against which names are checked. The file may have 1 MiB.
tl::expected<Scenario, ScenarioError> load_scenario(const std::string& path,
                                                    const std::vector<Assignment>& assignments,
                                                    const std::string& data);

/// The whole scenario with every default filled in and its populations written out, as YAML that
/// `load_scenario` reads back to the same value.
std::string to_yaml(const Scenario& scenario);

}  // namespace flaresim::world
