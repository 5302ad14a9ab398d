#include "sim/world/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "sim/world/scenario_reader.h"
#include "sim/world/world_data.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t max_trials = 100'000'000;
constexpr std::uint64_t max_relays = 64;
constexpr std::uint64_t max_observers = 64;
constexpr auto max_time_limit = 24h;
constexpr auto max_asymmetry = 10s;
constexpr auto max_initial_rtt = 10s;
constexpr std::size_t max_name_length = 100;

/// Reads a scenario's keys, one function a block. Absent keys keep their defaults.
class ScenarioReader {
 public:
  ScenarioReader(Vocabulary vocabulary, std::string data)
      : vocabulary_(std::move(vocabulary)), data_(std::move(data)) {}

  tl::expected<Scenario, ScenarioError> read(const Value& root) {
    Scenario scenario;
    Keys keys(reader_, root, "",
              {"name", "description", "trials", "seed", "time_limit", "transports", "ip", "protocol", "peers",
               "relays", "observers", "unreachable_pairs", "events", "expect", "sweep"});
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
    if (const auto* list = keys.find("ip")) scenario.ip = read_ip(*list);
    if (const auto* protocol = keys.find("protocol")) scenario.protocol = read_protocol(*protocol);
    if (const auto* peers = keys.need("peers")) read_peers(*peers, scenario);
    if (const auto* relays = keys.find("relays")) scenario.relays = read_relays(*relays);
    if (const auto* count = keys.find("observers")) {
      scenario.observers = static_cast<int>(reader_.whole(*count, 0, max_observers));
    }
    if (const auto* share = keys.find("unreachable_pairs")) scenario.unreachable_pairs = reader_.rate(*share);
    if (const auto* events = keys.find("events")) scenario.events = read_events(reader_, *events);
    if (const auto* expect = keys.find("expect")) scenario.expect = read_expectations(reader_, *expect);
    if (const auto* sweep = keys.find("sweep")) scenario.sweep = read_sweep(reader_, *sweep);
    if (reader_.error()) return tl::unexpected(*reader_.error());
    return scenario;
  }

 private:
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
              {"roles", "quic_initial_rtt", "accepted_socket_takes_punch_role", "security"});
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
    if (const auto* list = keys.find("security")) {
      protocol.security.clear();
      for (const auto* item : reader_.list(*list)) {
        protocol.security.push_back(
            read_word(*item, "security protocol", std::array{Security::noise, Security::tls}));
      }
    }
    return protocol;
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
    if (const auto* a = keys.need("a")) scenario.a = read_peer(*a, "peers.a");
    if (const auto* b = keys.need("b")) scenario.b = read_peer(*b, "peers.b");
  }

  PeerSpec read_peer(const Value& value, const std::string& where) {
    PeerSpec peer;
    Keys keys(reader_, value, where, {"nat", "region", "access", "population"});
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

  RelaySpec read_relays(const Value& value) {
    RelaySpec relays;
    Keys keys(reader_, value, "relays", {"count", "region", "access", "asymmetry"});
    if (const auto* count = keys.find("count")) {
      relays.count = static_cast<int>(reader_.whole(*count, 1, max_relays));
    }
    if (const auto* region = keys.find("region")) {
      relays.region = reader_.name(*region, "region", vocabulary_.regions);
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

std::string to_string(const ScenarioError& error) {
  if (error.line > 0) return fmt::format("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
  if (error.column > 1) return fmt::format("{}: character {}: {}", error.file, error.column, error.message);
  return fmt::format("{}: {}", error.file, error.message);
}

struct ScenarioFile::Document {
  Value root;
  Vocabulary vocabulary;
  std::string data;

  tl::expected<Value, ScenarioError> with(const std::vector<Assignment>& assignments) const {
    auto changed = root;
    for (const auto& assignment : assignments) {
      if (auto error = assign(changed, assignment)) return tl::unexpected(*error);
    }
    return changed;
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

tl::expected<Scenario, ScenarioError> load_scenario(const std::string& path,
                                                    const std::vector<Assignment>& assignments,
                                                    const std::string& data) {
  const auto file = ScenarioFile::open(path, data);
  if (!file) return tl::unexpected(file.error());
  return file->read(assignments);
}

}  // namespace flaresim::world
