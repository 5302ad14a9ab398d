#include "sim/world/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "sim/world/scenario_reader.h"
#include "sim/world/topology.h"
#include "sim/world/world_data.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t max_trials = 100'000'000;
constexpr std::uint64_t max_relays = 64;
constexpr std::uint64_t max_observers = 64;
constexpr std::uint64_t max_connections = 1'000'000;
constexpr auto max_time_limit = 24h;
constexpr auto max_asymmetry = 10s;
constexpr auto max_initial_rtt = 10s;
constexpr std::size_t max_name_length = 100;

/// Reads a scenario's keys, one function a block. Absent keys keep their defaults.
class ScenarioReader {
 public:
  ScenarioReader(Vocabulary vocabulary, std::string data)
      : vocabulary_(std::move(vocabulary)), data_(std::move(data)) {}

  /// `peers_needed`: they may be missing where a topology is still to come.
  tl::expected<Scenario, ScenarioError> read(const Value& root, bool peers_needed = true) {
    Scenario scenario;
    Keys keys(reader_, root, "",
              {"name",
               "description",
               "trials",
               "seed",
               "time_limit",
               "transports",
               "ip",
               "protocol",
               "topology",
               "set",
               "gateways",
               "core",
               "peers",
               "discovery",
               "bootstrap",
               "meet_at",
               "relays",
               "observers",
               "unreachable_pairs",
               "events",
               "network",
               "expect",
               "sweep"});
    if (const auto* name = keys.need("name")) scenario.name = read_name(*name);
    if (const auto* text = keys.find("description")) scenario.description = reader_.text(*text);
    if (const auto* count = keys.find("trials")) scenario.trials = reader_.whole(*count, 1, max_trials);
    if (const auto* seed = keys.find("seed")) {
      scenario.seed = reader_.whole(*seed, 0, std::numeric_limits<std::uint64_t>::max());
    }
    if (const auto* limit = keys.find("time_limit")) {
      scenario.time_limit = reader_.duration(*limit, 1ms, max_time_limit);
    }
    if (const auto* list = keys.find("transports")) scenario.transports = read_transports(*list);
    if (const auto* protocol = keys.find("protocol")) scenario.protocol = read_protocol(*protocol);
    read_discovery(keys, scenario);
    if (const auto* share = keys.find("unreachable_pairs")) scenario.unreachable_pairs = reader_.rate(*share);
    if (const auto* expect = keys.find("expect")) scenario.expect = read_expectations(reader_, *expect);
    if (const auto* sweep = keys.find("sweep")) scenario.sweep = read_sweep(reader_, *sweep);
    read_world(keys, peers_needed, scenario);
    if (reader_.error()) return tl::unexpected(*reader_.error());
    return scenario;
  }

 private:
  /// What a topology may give.
  void read_world(Keys& keys, bool peers_needed, Scenario& scenario) {
    if (const auto* core = keys.find("core")) {
      scenario.core = read_core(reader_, *core);
      vocabulary_.regions.clear();
      if (!scenario.core) return;
      for (const auto& vertex : scenario.core->graph->vertices()) vocabulary_.regions.push_back(vertex.name);
    }
    if (const auto* list = keys.find("ip")) scenario.ip = read_ip(*list);
    if (const auto* network = keys.find("network")) return read_network_world(*network, keys, scenario);
    const auto* gateways = keys.find("gateways");
    if (gateways) scenario.gateways = read_gateways(reader_, *gateways, vocabulary_);
    const auto* peers = peers_needed ? keys.need("peers") : keys.find("peers");
    if (peers) read_peers(*peers, scenario);
    if (const auto* events = keys.find("events")) {
      scenario.events = read_events(reader_, *events, scenario, vocabulary_, peers_needed);
    }
    if (gateways) check_gateways(reader_, *gateways, scenario);
    if (const auto* events = keys.find("events"); events && peers_needed) {
      check_events(reader_, *events, scenario);
    }
    if (const auto* relays = keys.find("relays")) scenario.relays = read_relays(*relays);
    if (const auto* observers = keys.find("observers")) read_observers(*observers, scenario);
    check_asymmetry(keys, scenario);
    if (peers_needed) check_discovery(keys, scenario);
  }

  void read_discovery(const Keys& keys, Scenario& scenario) {
    if (const auto* discovery = keys.find("discovery")) {
      scenario.discovery = read_word(*discovery, "way of discovery",
                                     std::array{Discovery::fixed_relays, Discovery::cold_start});
    }
    if (const auto* count = keys.find("bootstrap")) {
      scenario.bootstrap = static_cast<int>(reader_.whole(*count, 1, max_relays));
    }
    if (const auto* at = keys.find("meet_at")) {
      scenario.meet_at = reader_.duration(*at, 0s, max_time_limit);
      if (scenario.meet_at >= scenario.time_limit)
        reader_.fail(at->place, fmt::format("A looks for B only after the time_limit of {}",
                                            duration_text(scenario.time_limit)));
    }
  }

  /// What stands in a scenario as a whole; one without its world has not all of it yet.
  void check_discovery(const Keys& keys, const Scenario& scenario) {
    if (scenario.discovery != Discovery::cold_start || reader_.error()) return;
    const auto* discovery = keys.find("discovery");
    if (scenario.bootstrap > scenario.relays.count) {
      const auto* bootstrap = keys.find("bootstrap");
      reader_.fail((bootstrap ? bootstrap : discovery)->place,
                   fmt::format("{} bootstrap nodes, but relays.count is {}: bootstrap nodes are some of them",
                               scenario.bootstrap, scenario.relays.count));
    }
    if (scenario.observers > 0) {
      reader_.fail(discovery->place,
                   "a cold start has no observers: its public nodes are what peers are seen by");
    }
  }

  /// A network has no pair, and its relays are nodes of its own.
  void read_network_world(const Value& value, const Keys& keys, Scenario& scenario) {
    for (const auto* key : {"gateways", "core", "peers", "relays", "observers", "unreachable_pairs", "events",
                            "discovery", "bootstrap", "meet_at"}) {
      if (const auto* given = keys.find(key)) {
        reader_.fail(given->place, fmt::format("a scenario with a network has no '{}'", key));
      }
    }
    if (scenario.ip != std::vector<int>{4}) reader_.fail(value.place, "a network has IP version 4 alone");
    if (scenario.transports != std::vector<Transport>{Transport::tcp}) {
      const auto* transports = keys.find("transports");
      reader_.fail((transports ? transports : &value)->place, "a network has the transport tcp alone");
    }
    const auto refuse = [&](bool given, const char* key) {
      if (!given) return;
      reader_.fail(find_value(*keys.find("protocol"), key)->place,
                   fmt::format("a scenario with a network has no protocol.{}", key));
    };
    refuse(scenario.protocol.connections.has_value(), "connections");  // it has marks of its own
    refuse(scenario.protocol.mdns, "mdns");
    refuse(scenario.protocol.port_mapping, "port_mapping");
    scenario.network = read_network(reader_, value, vocabulary_);
    const auto* peers = find_value(value, "peers");
    if (!peers) return reader_.fail(value.place, "missing key 'peers' in network");
    scenario.a = read_peer(*peers, "network.peers", scenario);
    if (!scenario.a.ip.empty() || !scenario.a.behind.empty()) {
      reader_.fail(peers->place, "network.peers has neither 'behind' nor 'ip'");
    }
  }

  /// The name becomes part of a folder's name.
  std::string read_name(const Value& value) {
    auto name = reader_.text(value);
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '_';
    };
    if (name.empty() || name.size() > max_name_length || !std::ranges::all_of(name, allowed)) {
      reader_.fail(value.place,
                   fmt::format("expected a name of 1 to {} letters, digits, '-' and '_', not '{}'",
                               max_name_length, name));
    }
    return name;
  }

  /// One of an enum's values, by its word.
  template <class Enum, std::size_t count>
  Enum read_word(const Value& value, std::string_view what, const std::array<Enum, count>& values) {
    std::vector<std::string> words;
    for (const auto each : values) words.emplace_back(to_string(each));
    const auto found = std::ranges::find(words, reader_.name(value, what, words));
    return found == words.end() ? values.front() : values[static_cast<std::size_t>(found - words.begin())];
  }

  std::vector<Transport> read_transports(const Value& value) {
    std::vector<Transport> transports;
    for (const auto* item : reader_.list(value)) {
      transports.push_back(read_word(*item, "transport", std::array{Transport::tcp, Transport::quic}));
    }
    std::ranges::sort(transports);
    return transports;
  }

  ProtocolSpec read_protocol(const Value& value) {
    ProtocolSpec protocol;
    Keys keys(reader_, value, "protocol",
              {"roles", "quic_initial_rtt", "accepted_socket_takes_punch_role", "security", "port_mapping",
               "reversal_to_private", "reachability", "relay_choice", "mdns", "connections"});
    if (const auto* roles = keys.find("roles")) {
      protocol.roles = read_word(*roles, "role option",
                                 std::array{Roles::spec, Roles::legacy, Roles::swap_on_last_attempt});
    }
    if (const auto* rtt = keys.find("quic_initial_rtt")) {
      protocol.quic_initial_rtt = reader_.duration(*rtt, 1ms, max_initial_rtt);
    }
    if (const auto* fixed = keys.find("accepted_socket_takes_punch_role")) {
      protocol.accepted_socket_takes_punch_role = reader_.truth(*fixed);
    }
    if (const auto* asks = keys.find("port_mapping")) protocol.port_mapping = reader_.truth(*asks);
    if (const auto* dials = keys.find("reversal_to_private"))
      protocol.reversal_to_private = reader_.truth(*dials);
    if (const auto* from = keys.find("reachability")) {
      protocol.reachability =
          read_word(*from, "AutoNAT version",
                    std::array{ReachabilityFrom::v1, ReachabilityFrom::v2, ReachabilityFrom::both});
    }
    if (const auto* choice = keys.find("relay_choice")) {
      protocol.relay_choice =
          read_word(*choice, "choice of relays",
                    std::array{RelayChoice::random, RelayChoice::closest_rtt, RelayChoice::xor_closest});
    }
    if (const auto* mdns = keys.find("mdns")) protocol.mdns = reader_.truth(*mdns);
    if (const auto* bounds = keys.find("connections")) protocol.connections = read_connections(*bounds);
    if (const auto* list = keys.find("security")) {
      protocol.security.clear();
      for (const auto* item : reader_.list(*list)) {
        protocol.security.push_back(
            read_word(*item, "security protocol", std::array{Security::noise, Security::tls}));
      }
    }
    return protocol;
  }

  ConnectionsSpec read_connections(const Value& value) {
    ConnectionsSpec connections;
    Keys keys(reader_, value, "protocol.connections", {"low", "high", "grace"});
    if (const auto* high = keys.find("high")) connections.high = reader_.whole(*high, 1, max_connections);
    connections.low = std::min(connections.low, connections.high);
    if (const auto* low = keys.find("low")) connections.low = reader_.whole(*low, 0, connections.high);
    if (const auto* grace = keys.find("grace")) {
      connections.grace = reader_.duration(*grace, 0s, max_time_limit);
    }
    return connections;
  }

  std::vector<int> read_ip(const Value& value) {
    std::vector<int> versions;
    for (const auto* item : reader_.list(value)) {
      const auto version = reader_.whole(*item, 4, 6);
      if (version == 5) reader_.fail(item->place, "expected IP version 4 or 6, not '5'");
      versions.push_back(static_cast<int>(version));
    }
    std::ranges::sort(versions);
    return versions;
  }

  void read_peers(const Value& value, Scenario& scenario) {
    Keys keys(reader_, value, "peers", {"a", "b"});
    if (const auto* a = keys.need("a")) scenario.a = read_peer(*a, "peers.a", scenario);
    if (const auto* b = keys.need("b")) scenario.b = read_peer(*b, "peers.b", scenario);
  }

  PeerSpec read_peer(const Value& value, const std::string& where, const Scenario& scenario) {
    PeerSpec peer;
    Keys keys(reader_, value, where, {"nat", "region", "access", "population", "behind", "ip"});
    if (const auto* ip = keys.find("ip")) peer.ip = read_own_ip(*ip, where, scenario);
    if (const auto* behind = keys.find("behind")) peer.behind = read_behind(*behind, keys, where, scenario);
    const auto* nat = keys.find("nat");
    const auto* region = keys.find("region");
    const auto* access = keys.find("access");
    if (nat) peer.kind.nat = reader_.nat(*nat);
    if (region) peer.kind.region = reader_.name(*region, "region", vocabulary_.regions);
    if (access) peer.kind.access = reader_.name(*access, "access link", vocabulary_.accesses);
    if (const auto* population = keys.find("population")) {
      if (nat || region || access) {
        reader_.fail(
            (nat      ? nat
             : region ? region
                      : access)
                ->place,
            fmt::format("{0} has a population, which draws nat, region and access; replace the whole of "
                        "{0} to fix them",
                        where));
      }
      peer.population = population->kind == Value::Kind::map
                            ? read_population(reader_, *population, vocabulary_)
                            : find_population(reader_, *population, vocabulary_, data_);
    }
    return peer;
  }

  std::vector<int> read_own_ip(const Value& value, const std::string& where, const Scenario& scenario) {
    auto versions = read_ip(value);
    for (const auto version : versions) {
      if (std::ranges::find(scenario.ip, version) != scenario.ip.end()) continue;
      reader_.fail(value.place,
                   fmt::format("{}.ip has version {}, which the scenario's ip has not", where, version));
    }
    return versions;
  }

  std::vector<std::string> read_behind(const Value& value, const Keys& keys, const std::string& where,
                                       const Scenario& scenario) {
    std::vector<std::string> names;
    for (const auto& gateway : scenario.gateways) names.push_back(gateway.name);
    for (const auto* key : {"nat", "population"}) {
      const auto* given = keys.find(key);
      if (!given) continue;
      reader_.fail(given->place, fmt::format("{} is behind gateways, so that it has no {} of its own; set "
                                             "gateways.NAME.nat instead",
                                             where, key));
    }
    std::vector<std::string> behind;
    for (const auto* item : reader_.list(value)) behind.push_back(reader_.name(*item, "gateway", names));
    return behind;
  }

  void read_observers(const Value& value, Scenario& scenario) {
    const auto* count = &value;
    if (value.kind == Value::Kind::map) {
      Keys keys(reader_, value, "observers", {"count", "region"});
      count = keys.need("count");
      if (const auto* region = keys.find("region")) {
        scenario.observer_location = read_location(reader_, *region, vocabulary_);
      }
    }
    if (count) scenario.observers = static_cast<int>(reader_.whole(*count, 0, max_observers));
  }

  /// A delay of A's own needs a way to the core that B does not share.
  void check_asymmetry(const Keys& keys, const Scenario& scenario) {
    if (scenario.relays.asymmetry == 0s || reader_.error()) return;
    const auto top = [&](std::string name) {
      for (bool more = true; std::exchange(more, false);) {
        for (const auto& gateway : scenario.gateways) {
          if (gateway.name != name || gateway.behind.empty()) continue;
          name = gateway.behind;
          more = true;
        }
      }
      return name;
    };
    for (const auto& a : stops_of(scenario, "a")) {
      for (const auto& b : stops_of(scenario, "b")) {
        if (top(a.gateway) != top(b.gateway)) continue;
        reader_.fail(
            keys.find("relays")->place,
            fmt::format("relays.asymmetry is of A alone, but A and B are both behind '{}'", top(a.gateway)));
      }
    }
  }

  RelaySpec read_relays(const Value& value) {
    RelaySpec relays;
    Keys keys(reader_, value, "relays", {"count", "region", "access", "asymmetry"});
    if (const auto* count = keys.find("count")) {
      relays.count = static_cast<int>(reader_.whole(*count, 1, max_relays));
    }
    if (const auto* region = keys.find("region")) {
      relays.location = read_location(reader_, *region, vocabulary_);
    }
    if (const auto* access = keys.find("access")) {
      relays.access = reader_.name(*access, "access link", vocabulary_.accesses);
    }
    if (const auto* delay = keys.find("asymmetry"))
      relays.asymmetry = reader_.duration(*delay, 0s, max_asymmetry);
    return relays;
  }

  Reader reader_;
  Vocabulary vocabulary_;
  std::string data_;
};

}  // namespace

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::quic:
      return "quic";
  }
  return "?";
}

std::string_view to_string(Security security) {
  switch (security) {
    case Security::noise:
      return "noise";
    case Security::tls:
      return "tls";
  }
  return "?";
}

std::string_view to_string(Roles roles) {
  switch (roles) {
    case Roles::spec:
      return "spec";
    case Roles::legacy:
      return "legacy";
    case Roles::swap_on_last_attempt:
      return "swap_on_last_attempt";
  }
  return "?";
}

std::string_view to_string(Discovery discovery) {
  switch (discovery) {
    case Discovery::fixed_relays:
      return "fixed-relays";
    case Discovery::cold_start:
      return "cold-start";
  }
  return "?";
}

std::string_view to_string(ReachabilityFrom from) {
  switch (from) {
    case ReachabilityFrom::v1:
      return "v1";
    case ReachabilityFrom::v2:
      return "v2";
    case ReachabilityFrom::both:
      return "both";
  }
  return "?";
}

std::string_view to_string(RelayChoice choice) {
  switch (choice) {
    case RelayChoice::random:
      return "random";
    case RelayChoice::closest_rtt:
      return "closest-rtt";
    case RelayChoice::xor_closest:
      return "xor-closest";
  }
  return "?";
}

std::string_view to_string(GatewayKind kind) {
  switch (kind) {
    case GatewayKind::nat:
      return "nat";
    case GatewayKind::nat64:
      return "nat64";
    case GatewayKind::clat:
      return "clat";
    case GatewayKind::aftr:
      return "aftr";
    case GatewayKind::ds_lite_home:
      return "ds-lite";
    case GatewayKind::nptv6:
      return "nptv6";
  }
  return "?";
}

bool keeps_table(GatewayKind kind) {
  return kind == GatewayKind::nat || kind == GatewayKind::nat64 || kind == GatewayKind::aftr;
}

std::string_view to_string(Placement placement) {
  switch (placement) {
    case Placement::random:
      return "random";
    case Placement::fixed:
      return "fixed";
    case Placement::near_a:
      return "near-a";
    case Placement::near_b:
      return "near-b";
    case Placement::on_path:
      return "on-path";
    case Placement::far:
      return "far";
  }
  return "?";
}

std::string to_string(const ScenarioError& error) {
  if (error.line > 0) return fmt::format("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
  if (error.column > 1) return fmt::format("{}: character {}: {}", error.file, error.column, error.message);
  return fmt::format("{}: {}", error.file, error.message);
}

namespace {

constexpr std::string_view topology_key = "topology";
constexpr std::array<std::string_view, 6> keys_of_topologies{"gateways", "core",      "peers",
                                                             "relays",   "observers", "ip"};

}  // namespace

bool topology_gives(std::string_view key) {
  return std::ranges::find(keys_of_topologies, key.substr(0, key.find('.'))) != keys_of_topologies.end();
}

struct ScenarioFile::Document {
  Value root;
  Vocabulary vocabulary;
  std::string data;

  /// The assignments that hold: those to `topology` come first, for what they bring in lies below the others.
  tl::expected<Value, ScenarioError> with(const std::vector<Assignment>& assignments) const {
    auto changed = root;
    for (const auto& assignment : assignments) {
      if (assignment.key != topology_key) continue;
      if (auto error = assign(changed, assignment)) return tl::unexpected(*error);
    }
    const auto* topology = find_value(changed, topology_key);
    if (topology && topology->kind != Value::Kind::null) {
      const auto name = *topology;
      if (auto error = apply_topology(changed, name, data)) return tl::unexpected(*error);
    }
    if (const auto* set = find_value(root, "set")) {
      if (auto error = apply_set(changed, *set)) return tl::unexpected(*error);
    }
    for (const auto& assignment : assignments) {
      if (assignment.key == topology_key) continue;
      if (auto error = assign(changed, assignment)) return tl::unexpected(*error);
    }
    return changed;
  }

  /// What stands over every topology: under `set`, and in assignments.
  tl::expected<std::vector<Condition>, ScenarioError> over_topologies(
      const std::vector<Assignment>& assignments) const {
    std::vector<Condition> set;
    const auto add = [&](const std::string& key, std::string value) {
      std::erase_if(set, [&](const auto& known) { return known.key == key; });
      set.push_back({key, std::move(value)});
    };
    if (const auto* own = find_value(root, "set")) {
      for (const auto& entry : own->entries) add(entry.key, flow_text(entry.value));
    }
    for (const auto& assignment : assignments) {
      if (!topology_gives(assignment.key)) continue;
      auto alone = Value::empty(Value::Kind::map, root.place);
      if (auto error = assign(alone, assignment)) return tl::unexpected(*error);
      add(assignment.key, flow_text(*find_value(alone, assignment.key)));
    }
    return set;
  }
};

tl::expected<ScenarioFile, ScenarioError> ScenarioFile::open(const std::string& path,
                                                             const std::string& data) {
  const auto world = WorldData::load(data);
  if (!world) return tl::unexpected(world.error());
  auto root = read_yaml_file(path);
  if (!root) return tl::unexpected(root.error());
  return ScenarioFile(std::make_shared<const Document>(
      Document{std::move(*root), {world->region_names(), world->access_names()}, data}));
}

tl::expected<Scenario, ScenarioError> ScenarioFile::read(const std::vector<Assignment>& assignments) const {
  const auto root = document_->with(assignments);
  if (!root) return tl::unexpected(root.error());
  return ScenarioReader(document_->vocabulary, document_->data).read(*root);
}

tl::expected<Scenario, ScenarioError> ScenarioFile::read_without_topology(
    const std::vector<Assignment>& assignments) const {
  auto set = document_->over_topologies(assignments);
  if (!set) return tl::unexpected(set.error());
  auto others = assignments;
  std::erase_if(others, [](const auto& assignment) {
    return assignment.key == topology_key || topology_gives(assignment.key);
  });
  auto bare = *document_;
  std::erase_if(bare.root.entries,
                [](const auto& entry) { return entry.key == topology_key || entry.key == "set"; });
  const auto root = bare.with(others);
  if (!root) return tl::unexpected(root.error());
  auto scenario = ScenarioReader(document_->vocabulary, document_->data).read(*root, false);
  if (scenario) scenario->set = std::move(*set);
  return scenario;
}

std::vector<std::string> ScenarioFile::values_of(const Axis& axis) const {
  const auto all = axis.key == topology_key && axis.values == std::vector<std::string>{"all"};
  return all ? topology_names(document_->data) : axis.values;
}

tl::expected<bool, ScenarioError> ScenarioFile::gives(const std::string& key,
                                                      const std::vector<Assignment>& assignments) const {
  const auto root = document_->with(assignments);
  if (!root) return tl::unexpected(root.error());
  return find_value(*root, key) != nullptr;
}

ScenarioError ScenarioFile::complain(const Assignment& own, const std::vector<Assignment>& assignments,
                                     std::string message) const {
  const auto root = document_->with(assignments);
  if (!root) return root.error();
  const auto found = find_own(*root, own);
  return error_at(found.entry ? found.entry->place : root->place, std::move(message)).value();
}

tl::expected<Topology, ScenarioError> load_topology(const std::string& name, const std::string& data) {
  const auto world = WorldData::load(data);
  if (!world) return tl::unexpected(world.error());
  const Place place{"topology " + name, 0, 0};
  auto word = Value::empty(Value::Kind::scalar, place);
  word.scalar = name;
  auto root = Value::empty(Value::Kind::map, place);
  root.entries.push_back({"name", place, word});
  Topology topology{.name = name, .summary = "", .scenario = {}, .has_relays = false};
  if (auto error = apply_topology(root, word, data, &topology.summary)) return tl::unexpected(*error);
  auto scenario = ScenarioReader({world->region_names(), world->access_names()}, data).read(root);
  if (!scenario) return tl::unexpected(scenario.error());
  topology.scenario = std::move(*scenario);
  topology.has_relays = find_value(root, "relays") != nullptr;
  return topology;
}

tl::expected<Scenario, ScenarioError> load_scenario(const std::string& path,
                                                    const std::vector<Assignment>& assignments,
                                                    const std::string& data) {
  const auto file = ScenarioFile::open(path, data);
  if (!file) return tl::unexpected(file.error());
  return file->read(assignments);
}

}  // namespace flaresim::world
