#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "sim/world/scenario_reader.h"
#include "sim/world/topology.h"

namespace flaresim::world {
namespace {

constexpr std::size_t max_gateways = 64;
constexpr std::size_t max_gateway_name = 32;
constexpr int max_depth = 8;

constexpr std::array placements{Placement::random, Placement::near_a, Placement::near_b, Placement::on_path,
                                Placement::far};

std::filesystem::path folder_of(const std::string& data) { return std::filesystem::path(data) / "worlds"; }

std::optional<ScenarioError> check_topology(const Value& topology, const std::string& name) {
  Reader reader;
  Keys keys(reader, topology, "a topology",
            {"name", "summary", "gateways", "core", "peers", "relays", "observers", "ip"});
  if (const auto* own = keys.need("name"); own && reader.text(*own) != name) {
    reader.fail(own->place, fmt::format("name is not that of the file, '{}'", name));
  }
  if (const auto* summary = keys.need("summary")) reader.text(*summary);
  keys.need("peers");
  return reader.error();
}

/// A name that can be a part of a dotted key and of a file's name.
void check_name(Reader& reader, const MapEntry& entry) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (entry.key.size() <= max_gateway_name && std::ranges::all_of(entry.key, allowed)) return;
  reader.fail(entry.place,
              fmt::format("expected a name of 1 to {} small letters, digits, '-' and '_', not '{}'",
                          max_gateway_name, entry.key));
}

constexpr std::array kinds{GatewayKind::nat,  GatewayKind::nat64,        GatewayKind::clat,
                           GatewayKind::aftr, GatewayKind::ds_lite_home, GatewayKind::nptv6};

GatewayKind read_kind(Reader& reader, const Value& value) {
  std::vector<std::string> words;
  for (const auto kind : kinds) words.emplace_back(to_string(kind));
  const auto found = std::ranges::find(words, reader.name(value, "kind of gateway", words));
  return found == words.end() ? kinds.front() : kinds[static_cast<std::size_t>(found - words.begin())];
}

gateway::ServiceProfile read_services(Reader& reader, const Value& value, const std::string& where) {
  constexpr auto shortest = std::chrono::seconds(1), longest = std::chrono::seconds(365 * 24 * 3600);
  gateway::ServiceProfile services;
  Keys keys(reader, value, where,
            {"nat_pmp", "pcp", "igd", "longest_lease", "forgets_after", "permanent_only", "claimed_address",
             "port_error", "takes_over"});
  const auto truth = [&](const char* key, bool& into) {
    if (const auto* given = keys.find(key)) into = reader.truth(*given);
  };
  truth("nat_pmp", services.nat_pmp);
  truth("pcp", services.pcp);
  truth("permanent_only", services.permanent_only);
  truth("takes_over", services.takes_over);
  if (const auto* version = keys.find("igd")) services.igd = static_cast<int>(reader.whole(*version, 0, 2));
  if (const auto* lease = keys.find("longest_lease"))
    services.longest_lease = reader.duration(*lease, shortest, longest);
  if (const auto* after = keys.find("forgets_after"))
    services.forgets_after = reader.duration(*after, shortest, longest);
  if (const auto* error = keys.find("port_error"))
    services.port_error = static_cast<std::int32_t>(reader.whole(*error, 0, 1000));
  if (const auto* claimed = keys.find("claimed_address")) {
    boost::system::error_code bad;
    const auto text = reader.text(*claimed);
    services.claimed_address = boost::asio::ip::make_address_v4(text, bad);
    if (bad) reader.fail(claimed->place, fmt::format("expected an IPv4 address, not '{}'", text));
  }
  return services;
}

GatewaySpec read_gateway(Reader& reader, const MapEntry& entry, const Vocabulary& vocabulary,
                         const std::vector<std::string>& names) {
  check_name(reader, entry);
  GatewaySpec gateway{.name = entry.key, .nat = "", .region = "", .behind = ""};
  const auto where = "gateways." + entry.key;
  const auto* kind = find_value(entry.value, "kind");
  if (kind) gateway.kind = read_kind(reader, *kind);
  std::vector<std::string_view> valid{"kind", "region", "access", "behind"};
  if (keeps_table(gateway.kind)) valid.insert(valid.end(), {"nat", "addresses"});
  if (gateway.kind == GatewayKind::nat) valid.push_back("services");
  Keys keys(reader, entry.value, kind ? fmt::format("{} (kind {})", where, to_string(gateway.kind)) : where,
            valid);
  if (keeps_table(gateway.kind)) {
    if (const auto* nat = keys.need("nat")) gateway.nat = reader.nat(*nat);
    if (const auto* count = keys.find("addresses")) {
      gateway.addresses = static_cast<int>(reader.whole(*count, 1, GatewaySpec::max_addresses));
    }
  }
  if (const auto* region = keys.find("region"))
    gateway.region = reader.name(*region, "region", vocabulary.regions);
  if (const auto* access = keys.find("access")) {
    gateway.access = reader.name(*access, "access link", vocabulary.accesses);
  }
  if (const auto* services = keys.find("services"))
    gateway.services = read_services(reader, *services, where + ".services");
  if (const auto* behind = keys.find("behind")) gateway.behind = reader.name(*behind, "gateway", names);
  return gateway;
}

/// The kinds of the gateways that this one is behind, the nearest first.
std::vector<GatewayKind> kinds_above(const GatewaySpec& gateway, const std::vector<GatewaySpec>& gateways) {
  std::vector<GatewayKind> above;
  for (const auto* at = &gateway; !at->behind.empty();) {
    at = &*std::ranges::find(gateways, at->behind, &GatewaySpec::name);
    above.push_back(at->kind);
  }
  return above;
}

/// Both ends of what needs two.
void check_ends(Reader& reader, const Place& place, const GatewaySpec& gateway,
                const std::vector<GatewaySpec>& all) {
  const auto above = kinds_above(gateway, all);
  if (gateway.kind == GatewayKind::ds_lite_home && (above.empty() || above.front() != GatewayKind::aftr)) {
    reader.fail(place, fmt::format("gateway '{}' is an end of a tunnel, and has to be right behind an aftr",
                                   gateway.name));
  }
  if (gateway.kind == GatewayKind::clat && std::ranges::find(above, GatewayKind::nat64) == above.end()) {
    reader.fail(place, fmt::format("gateway '{}' is a clat, and has to be behind a nat64", gateway.name));
  }
}

/// How many gateways lie between this one and the Internet; more than `max_depth` when it goes round in circles.
int depth_of(const GatewaySpec& gateway, const std::vector<GatewaySpec>& gateways) {
  int depth = 0;
  for (const auto* at = &gateway; !at->behind.empty() && depth <= max_depth; ++depth) {
    at = &*std::ranges::find(gateways, at->behind, &GatewaySpec::name);
  }
  return depth;
}

}  // namespace

std::vector<std::string> topology_names(const std::string& data) {
  std::vector<std::string> names;
  std::error_code ignored;  // a missing folder has no topologies
  for (const auto& file : std::filesystem::directory_iterator(folder_of(data), ignored)) {
    if (file.path().extension() == ".yaml") names.push_back(file.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

std::optional<ScenarioError> apply_topology(Value& root, const Value& name, const std::string& data,
                                            std::string* summary) {
  Reader reader;
  const auto word = reader.name(name, "topology", topology_names(data));
  if (reader.error()) return reader.error();
  const auto topology = read_yaml_file((folder_of(data) / (word + ".yaml")).string());
  if (!topology) return topology.error();
  if (auto error = check_topology(*topology, word)) return error;
  if (summary) *summary = find_value(*topology, "summary")->scalar;

  if (root.kind != Value::Kind::map) return std::nullopt;  // for the reader to complain about
  std::erase_if(root.entries, [&](const auto& entry) {
    const bool always = entry.key == "gateways" || entry.key == "core";
    return always || (topology_gives(entry.key) && find_value(*topology, entry.key) != nullptr);
  });
  for (const auto& entry : topology->entries) {
    if (topology_gives(entry.key)) root.entries.push_back(entry);
  }
  return std::nullopt;
}

std::optional<ScenarioError> apply_set(Value& root, const Value& set) {
  if (set.kind != Value::Kind::map) return error_at(set.place, "expected a map of keys to values").value();
  for (const auto& entry : set.entries) {
    if (!topology_gives(entry.key)) {
      return error_at(entry.place,
                      fmt::format("'{}' is not what a topology gives; write the key itself", entry.key))
          .value();
    }
    if (auto error = put(root, entry.key, entry.value, entry.place)) return error;
  }
  return std::nullopt;
}

std::vector<GatewaySpec> read_gateways(Reader& reader, const Value& value, const Vocabulary& vocabulary) {
  std::vector<GatewaySpec> gateways;
  if (value.kind != Value::Kind::map) {
    reader.fail(value.place, "expected a map of names to gateways");
    return gateways;
  }
  if (value.entries.size() > max_gateways) {
    reader.fail(value.place, fmt::format("there are more than {} gateways", max_gateways));
  }
  std::vector<std::string> names;
  for (const auto& entry : value.entries) names.push_back(entry.key);
  for (const auto& entry : value.entries) gateways.push_back(read_gateway(reader, entry, vocabulary, names));
  return gateways;
}

void check_gateways(Reader& reader, const Value& value, const Scenario& scenario) {
  if (reader.error()) return;
  std::set<std::string> used(scenario.a.behind.begin(), scenario.a.behind.end());
  used.insert(scenario.b.behind.begin(), scenario.b.behind.end());
  for (const auto& gateway : scenario.gateways) used.insert(gateway.behind);
  for (const auto& change : scenario.events) used.insert(change.to);
  used.erase("");  // the Internet
  const std::vector<std::string> names(used.begin(), used.end());
  for (std::size_t i = 0; i < scenario.gateways.size(); ++i) {
    const auto& gateway = scenario.gateways[i];
    const auto& place = value.entries[i].place;
    if (!used.contains(gateway.name)) {
      reader.fail(place, fmt::format("nothing is behind gateway '{}'{}", gateway.name,
                                     suggestion(gateway.name, names)));
    }
    if (depth_of(gateway, scenario.gateways) > max_depth) {
      return reader.fail(place, fmt::format("gateway '{}' is behind itself, or behind more than {} others",
                                            gateway.name, max_depth));
    }
    check_ends(reader, place, gateway, scenario.gateways);
    const auto own = [&](const PeerSpec& peer, std::string_view name) {
      return peer.behind.empty() && gateway.name == name;
    };
    if (own(scenario.a, "nat-a") || own(scenario.b, "nat-b")) {
      reader.fail(place, fmt::format("'{}' is the name of a peer's own gateway", gateway.name));
    }
  }
}

Location read_location(Reader& reader, const Value& value, const Vocabulary& vocabulary) {
  const auto word = reader.text(value);
  for (const auto placement : placements) {
    if (word == to_string(placement)) return {placement};
  }
  std::vector<std::string> names;
  for (const auto placement : placements) names.emplace_back(to_string(placement));
  names.insert(names.end(), vocabulary.regions.begin(), vocabulary.regions.end());
  return {Placement::fixed, reader.name(value, "region", names)};
}

std::string location_text(const Location& location) {
  return location.placement == Placement::fixed ? location.region
                                                : std::string(to_string(location.placement));
}

}  // namespace flaresim::world
