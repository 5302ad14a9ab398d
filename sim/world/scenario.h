#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocols/io/result.h"
#include "protocols/io/time.h"
#include "sim/gateway/service_profile.h"
#include "sim/world/network_spec.h"
#include "topologies/generators.h"

namespace flaresim::world {

/// What direct connections run over. A peer that has both tries them at once.
enum class Transport { tcp, quic };
std::string_view to_string(Transport transport);

/// What TCP and relayed connections are secured with. QUIC has TLS inside.
enum class Security { noise, tls };
std::string_view to_string(Security security);

/// Which end of a punched connection is its client. A is the peer that dialled over the relay and gets SYNC.
enum class Roles {
  spec,                  ///< A (libp2p specification, relay/DCUtR.md)
  legacy,                ///< B (go-libp2p before v0.41)
  swap_on_last_attempt,  ///< A, but on the last attempt B is one too (go-libp2p v0.48)
};
std::string_view to_string(Roles roles);

/// How peers come to know relays and each other.
enum class Discovery {
  fixed_relays,  ///< both peers know all relays, and A that B is to be had over them
  cold_start,    ///< both peers know some public nodes, the bootstrap nodes, and A the peer id of B
};
std::string_view to_string(Discovery discovery);

/// Which AutoNAT a peer learns from whether it can be dialled.
enum class ReachabilityFrom {
  v1,    ///< of the whole peer
  v2,    ///< of each of its addresses
  both,  ///< v1 drives what the peer does, v2 which addresses it tells (go-libp2p)
};
std::string_view to_string(ReachabilityFrom from);

/// Which of the relays that a peer has found it asks first for a reservation.
enum class RelayChoice {
  random,       ///< go-libp2p
  closest_rtt,  ///< the one with the shortest round trip
  xor_closest,  ///< the one whose key is nearest to our own in the DHT
};
std::string_view to_string(RelayChoice choice);

/// Bounds on a peer's connections: above `high` of them, those older than `grace` are closed until `low` are left.
struct ConnectionsSpec {
  std::uint64_t low = 32;
  std::uint64_t high = 96;
  io::Duration grace = std::chrono::seconds(20);
  bool operator==(const ConnectionsSpec&) const = default;
};

/// One kind of peer: everything about a peer that a scenario may fix.
struct PeerKind {
  std::string nat = "open";  ///< as `parse_nat` reads it; as written, for reports
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
  std::vector<Share> nats;      ///< names as `parse_nat` reads them, as written
  std::vector<Share> regions;   ///< of the region graph
  std::vector<Share> accesses;  ///< of the access link table
  /// Share of peers whose gateway gives every TCP connection another port, whatever it does to UDP.
  double tcp_unfriendly = 0;
  bool operator==(const Population&) const = default;
};

/// One side of the pair: a fixed kind, or drawn anew for each trial.
struct PeerSpec {
  PeerKind
      kind;  ///< when it is `behind` gateways, they have the NATs, and `access` is its link to each of them
  std::optional<Population> population;
  /// Gateways, one for each interface of the host; empty: a gateway of its own, of this kind.
  std::vector<std::string> behind;
  std::vector<int> ip;  ///< IP versions of the host; empty: those of the scenario
  bool operator==(const PeerSpec&) const = default;
};

/// What a gateway does with packets.
enum class GatewayKind {
  nat,           ///< a NAT or firewall
  nat64,         ///< the same, for hosts that have IPv6 only (RFC 6146)
  clat,          ///< the customer side of 464XLAT (RFC 6877), on a host that has IPv6 only; behind a NAT64
  aftr,          ///< a carrier's NAT at the end of DS-Lite tunnels (RFC 6333)
  ds_lite_home,  ///< the other end of such a tunnel, at home; right behind an AFTR
  nptv6,         ///< one IPv6 prefix for another (RFC 6296)
};
std::string_view to_string(GatewayKind kind);
/// Of connections, as a NAT or a firewall does.
bool keeps_table(GatewayKind kind);

/// A box that a topology names.
struct GatewaySpec {
  std::string name;  ///< as traces and captures call it
  GatewayKind kind = GatewayKind::nat;
  std::string nat;  ///< as `parse_nat` reads it; as written, for reports; empty for kinds that keep no table
  /// Empty: where the gateway is that this one is behind; on the Internet, drawn. In another region than that, the
  /// way between the two is part of the link, as of a tunnel.
  std::string region;
  std::string access = "none";  ///< the link to what it is behind
  std::string behind;           ///< another gateway; empty: the Internet
  int addresses = 1;            ///< IPv4 addresses outside, of one with a NAT; from 1 to `max_addresses`
  static constexpr int max_addresses = 64;
  gateway::ServiceProfile services{};  ///< for hosts right behind it; of a NAT that translates IPv4
  bool operator==(const GatewaySpec&) const = default;
};

/// The Internet's core as a graph, instead of the delays between regions. Its vertices are then the regions.
struct CoreSpec {
  /// A file in GraphML or DOT. The digest tells of a file that has changed since.
  struct File {
    std::string path;
    std::string digest;
  };
  std::variant<File, topologies::Waxman, topologies::BarabasiAlbert, topologies::Tiered> origin;
  std::uint64_t seed = 1;       ///< of a generator
  topologies::CoreLink link{};  ///< what a generator gives every link, but for the delay
  std::shared_ptr<const topologies::CoreGraph> graph;

  friend bool operator==(const CoreSpec& a, const CoreSpec& b) { return *a.graph == *b.graph; }
};

/// Where servers stand. Of several servers each takes the next best region.
enum class Placement {
  random,   ///< evenly drawn
  fixed,    ///< in the region that is named
  near_a,   ///< nearest to A
  near_b,   ///< nearest to B
  on_path,  ///< with the shortest way from A over the server to B, but neither where A nor where B is
  far,      ///< farthest from A and B together
};
std::string_view to_string(Placement placement);

struct Location {
  Placement placement = Placement::random;
  std::string region{};  ///< of a fixed one
  bool operator==(const Location&) const = default;
};

struct RelaySpec {
  int count = 1;
  Location location;
  std::string access = "none";
  io::Duration asymmetry{0};  ///< extra one-way delay from A through the relay to B, over the way back
  bool operator==(const RelaySpec&) const = default;
};

/// How both peers run the protocols where a choice is left to them.
struct ProtocolSpec {
  Roles roles = Roles::spec;
  /// What a QUIC connection takes for the round-trip time until it has measured one (RFC 9002 §6.2.2); quic-go
  /// has 100 ms.
  io::Duration quic_initial_rtt = std::chrono::milliseconds(333);
  /// A TCP connection that was accepted while a punch was under way has the role of the punch instead of a
  /// server's.
  bool accepted_socket_takes_punch_role = false;
  std::vector<Security> security{Security::noise,
                                 Security::tls};  ///< the preferred one first; no other is spoken
  /// Both peers ask their gateways to forward the ports that they listen on (NAT-PMP, PCP, UPnP IGD).
  bool port_mapping = false;
  /// Over a relay, B first dials every address that A advertises beside a public one, private ones too, as go-libp2p
  /// does; in the same local network that connects them without a punch.
  bool reversal_to_private = false;
  // The rest is of cold starts alone.
  ReachabilityFrom reachability = ReachabilityFrom::both;
  RelayChoice relay_choice = RelayChoice::random;
  bool mdns = false;                             ///< peers of one local network find each other by multicast
  std::optional<ConnectionsSpec> connections{};  ///< none: no connection is closed for their number
  bool operator==(const ProtocolSpec&) const = default;
};

/// What an event does to the world.
enum class ChangeAction {
  reboot,          ///< the gateway is off for a time, and has lost its table
  flush,           ///< its table is lost
  change_address,  ///< a new lease: another outside IPv4 address and IPv6 prefix; the hosts inside follow
  switch_nat,      ///< it behaves otherwise from now on, with an empty table
  link_down,  ///< of the gateway's line, or of the peer's own interfaces: packets are lost without a word
  link_up,
  stop,  ///< the peer ends: it closes its connections and listens no more
  move,  ///< the peer's host leaves the gateway that it is behind, and has other addresses behind another one
};
/// `reboot`, `change-address`, `switch`, …
std::string_view to_string(ChangeAction action);

/// Something that changes while a trial runs.
struct Change {
  io::Duration earliest{0};  ///< since the trial began; drawn evenly for each trial from here
  io::Duration latest{0};    ///< to here
  bool at_gateway = true;    ///< or else at a peer itself
  /// A gateway that the scenario names; else `a` or `b`, the peer, or the gateway with a table that is nearest to
  /// the peer's first interface when the change comes. From a cold start also `relays-of-a` or `relays-of-b`: the nodes
  /// that this peer has reservations on when the change comes.
  std::string target = "a";
  ChangeAction action = ChangeAction::reboot;
  std::string nat;                              ///< what is switched to; as written
  io::Duration off = std::chrono::seconds(30);  ///< how long a reboot takes
  /// Where the peer moves to: a gateway that the scenario names; else `a` or `b`, the one that the first interface of
  /// this peer is behind at first.
  std::string to;
  std::string access = "none";  ///< the link to it
  /// Number of the interface of the peer, from 0; nothing: all of them, and the first one of a peer that moves.
  std::optional<std::size_t> interface;
  bool operator==(const Change&) const = default;
};

/// Whether it happens to the relays of a peer.
bool are_relays(const Change& change);

/// An interface of a peer's host behind a gateway.
struct Stop {
  std::size_t interface = 0;  ///< from 0
  std::string gateway;        ///< by its name, or `a` or `b` for a peer's own
  bool operator==(const Stop&) const = default;
};

/// A key that has this value.
struct Condition {
  std::string key;    ///< dotted
  std::string value;  ///< YAML
  bool operator==(const Condition&) const = default;
};

/// A bound on a rate. `at_least` holds when the rate is not below it, `at_most` when it is not above.
struct Expectation {
  std::string rate;  ///< `punch_rate`, `direct_rate`, or what `study::CellSummary::rate` has of networks
  std::optional<double> at_least;
  std::optional<double> at_most;
  std::vector<Condition> when{};  ///< all of them; without any it is expected of every cell of a sweep
  bool operator==(const Expectation&) const = default;
};

/// One key of a sweep with the values it takes.
struct Axis {
  std::string key;                  ///< dotted
  std::vector<std::string> values;  ///< YAML
  bool operator==(const Axis&) const = default;
};

/// A question about the world, ready to run. Read from YAML by `load_scenario`.
struct Scenario {
  std::string name;
  std::string description;
  std::uint64_t trials = 100;
  std::uint64_t seed = 1;
  io::Duration time_limit = std::chrono::seconds(180);  ///< simulated, for one trial
  std::vector<Transport> transports{Transport::tcp};    ///< in the order of the enum: they race
  std::vector<int> ip{4};                               ///< IP versions that the hosts have: 4, 6 or both
  ProtocolSpec protocol;
  PeerSpec a;                         ///< dials over the relay
  PeerSpec b;                         ///< holds the reservation
  std::vector<GatewaySpec> gateways;  ///< as far as a topology names them
  std::optional<CoreSpec> core;
  Discovery discovery = Discovery::fixed_relays;
  /// From a cold start `relays.count` is the number of public nodes, the first of which are the bootstrap nodes.
  int bootstrap = 3;
  io::Duration meet_at{0};  ///< A begins to look for B no earlier than this after it has booted
  RelaySpec relays;
  /// Public hosts, beside the relays, that both peers connect to before anything else. From 4 observers on a
  /// peer advertises its observed address; the relays are observers too.
  int observers = 0;
  Location observer_location;
  /// Share of pairs between which no packet passes directly (routing faults, overloaded gateways, filters on
  /// the path): the failures that no NAT rule explains.
  double unreachable_pairs = 0;
  std::vector<Change> events;
  /// Instead of a pair with relays: a network of nodes like `a`. A trial is then an attempt of one of its pairs, and
  /// `trials` is a number of worlds.
  std::optional<NetworkSpec> network;
  std::vector<Expectation> expect;
  std::vector<Axis> sweep;  ///< its own; a trial knows nothing of it
  /// Values that stand over those of every topology of its sweep; empty when `topology` is not swept.
  std::vector<Condition> set;
  bool operator==(const Scenario&) const = default;
};

/// Where the interfaces of the peer `a` or `b` are at first, in their order, and then where else they ever move to.
std::vector<Stop> stops_of(const Scenario& scenario, std::string_view peer);

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

/// Options of assignments that people wrote into the scenario itself, as a value of its sweep or a condition of
/// an expectation. Errors name the place there.
inline constexpr std::string_view own_sweep = "sweep";
inline constexpr std::string_view own_condition = "when";

/// A scenario file, parsed once, from which a scenario is read for every combination of values. Cheap to copy.
class ScenarioFile {
 public:
  /// The file may have 1 MiB. `data` is the folder that holds `populations/`, `worlds/` and `data/` with the region and
  /// access tables, against which names are checked.
  static tl::expected<ScenarioFile, ScenarioError> open(const std::string& path, const std::string& data);

  /// The scenario with the keys of its topology in the place of its own, then with what stands under `set`, and then
  /// after the assignments, in their order. Strict: unknown and duplicate keys, wrong units and wrong
  /// types are errors that name the nearest valid key, in the file as in the assignments.
  tl::expected<Scenario, ScenarioError> read(const std::vector<Assignment>& assignments) const;

  /// What a sweep of `topology` starts from: the same without a topology. Assignments to what topologies give are in
  /// `set`. Peers may be missing.
  tl::expected<Scenario, ScenarioError> read_without_topology(
      const std::vector<Assignment>& assignments) const;

  /// The values that an axis stands for: `all` of `topology` are all that there are.
  std::vector<std::string> values_of(const Axis& axis) const;

  /// Whether the file or an assignment gives the key a value.
  tl::expected<bool, ScenarioError> gives(const std::string& key,
                                          const std::vector<Assignment>& assignments) const;

  /// A complaint about a value of the scenario's own, with its place.
  ScenarioError complain(const Assignment& own, const std::vector<Assignment>& assignments,
                         std::string message) const;

 private:
  struct Document;
  explicit ScenarioFile(std::shared_ptr<const Document> document) : document_(std::move(document)) {}

  std::shared_ptr<const Document> document_;
};

/// Whether topologies give the key, so that another topology may give it another value.
bool topology_gives(std::string_view key);

/// One scenario from a file; see `ScenarioFile`.
tl::expected<Scenario, ScenarioError> load_scenario(const std::string& path,
                                                    const std::vector<Assignment>& assignments,
                                                    const std::string& data);

/// The whole scenario with every default filled in, its topology and its populations written out, as YAML that
/// `load_scenario` reads back to the same value.
std::string to_yaml(const Scenario& scenario);

}  // namespace flaresim::world
