#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/world/nat_presets.h"
#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;

constexpr std::array gateway_actions{ChangeAction::reboot,         ChangeAction::flush,
                                     ChangeAction::change_address, ChangeAction::switch_nat,
                                     ChangeAction::link_down,      ChangeAction::link_up};
constexpr std::array peer_actions{ChangeAction::link_down, ChangeAction::link_up, ChangeAction::stop,
                                  ChangeAction::move};
constexpr std::array relay_actions{ChangeAction::link_down, ChangeAction::stop};
constexpr io::Duration latest_event = 24h;

/// `12 s`, or `{between: [5 s, 20 s]}`.
void read_time(Reader& reader, const Value& value, Change& change) {
  if (value.kind != Value::Kind::map) {
    change.earliest = change.latest = reader.duration(value, 0ns, latest_event);
    return;
  }
  Keys keys(reader, value, "at", {"between"});
  const auto* between = keys.need("between");
  if (!between) return;
  if (between->kind != Value::Kind::list || between->items.size() != 2) {
    reader.fail(between->place, "expected two durations, such as [5 s, 20 s]");
    return;
  }
  change.earliest = reader.duration(between->items[0], 0ns, latest_event);
  change.latest = reader.duration(between->items[1], change.earliest, latest_event);
}

ChangeAction read_action(Reader& reader, const Value& value, std::span<const ChangeAction> actions) {
  std::vector<std::string> words;
  for (const auto action : actions) words.emplace_back(to_string(action));
  const auto word = reader.name(value, "event", words);
  const auto found = std::ranges::find(words, word);
  return actions[found == words.end() ? 0 : static_cast<std::size_t>(found - words.begin())];
}

/// The keys of an event.
class EventReader {
 public:
  EventReader(Reader& reader, const Scenario& scenario, const Vocabulary& vocabulary, bool has_world)
      : reader_(reader), scenario_(scenario), vocabulary_(vocabulary), has_world_(has_world) {
    for (const auto& gateway : scenario.gateways) gateways_.push_back(gateway.name);
    gateways_.insert(gateways_.end(), {"a", "b"});
  }

  Change operator()(const Value& item) {
    Change change;
    Keys keys(reader_, item, "an entry of events",
              {"at", "gateway", "peer", "do", "nat", "off", "to", "access", "interface"});
    if (const auto* at = keys.need("at")) read_time(reader_, *at, change);
    const auto* gateway = keys.find("gateway");
    const auto* peer = keys.find("peer");
    if ((gateway == nullptr) == (peer == nullptr)) reader_.fail(item.place, "expected gateway or peer");
    change.at_gateway = gateway != nullptr;
    if (gateway) change.target = read_gateway(*gateway);
    if (peer) change.target = read_peer(*peer);
    if (const auto* action = keys.need("do")) {
      change.action = change.at_gateway    ? read_action(reader_, *action, gateway_actions)
                      : are_relays(change) ? read_action(reader_, *action, relay_actions)
                                           : read_action(reader_, *action, peer_actions);
    }
    read_extras(item, keys, change);
    return change;
  }

 private:
  std::string read_peer(const Value& value) {
    std::vector<std::string> names{"a", "b"};
    if (scenario_.discovery == Discovery::cold_start)
      names.insert(names.end(), {"relays-of-a", "relays-of-b"});
    return reader_.name(value, "peer", names);
  }

  std::string read_gateway(const Value& value) {
    return has_world_ ? reader_.name(value, "gateway", gateways_) : reader_.text(value);
  }

  /// A key that only one action has, and that one needs or not.
  const Value* only(const Keys& keys, const Value& item, std::string_view key, const Change& change,
                    ChangeAction action, std::string_view complaint, std::string_view missing = "") {
    const auto* value = keys.find(key);
    if (change.action != action) {
      if (value) reader_.fail(value->place, std::string(complaint));
      return nullptr;
    }
    if (!value && !missing.empty()) {
      reader_.fail(item.place, fmt::format("key '{}' is missing: {}", key, missing));
    }
    return value;
  }

  void read_extras(const Value& item, const Keys& keys, Change& change) {
    using enum ChangeAction;
    if (const auto* nat =
            only(keys, item, "nat", change, switch_nat, "only switch has a nat", "what is switched to")) {
      change.nat = reader_.nat(*nat);
    }
    if (const auto* off = only(keys, item, "off", change, reboot, "only reboot has a time off")) {
      change.off = reader_.duration(*off, 0ns, latest_event);
    }
    if (const auto* to = only(keys, item, "to", change, move, "only move has a gateway to go to",
                              "the gateway that the peer is behind from then on")) {
      change.to = read_gateway(*to);
    }
    if (const auto* access = only(keys, item, "access", change, move, "only move has an access link")) {
      change.access = reader_.name(*access, "access link", vocabulary_.accesses);
    }
    if (const auto* interface = keys.find("interface")) {
      if (change.at_gateway || are_relays(change)) {
        reader_.fail(interface->place, "only a peer has interfaces to choose from");
      }
      if (change.action == stop) reader_.fail(interface->place, "a peer stops on all of its interfaces");
      change.interface = read_interface(*interface, change.target == "a" ? scenario_.a : scenario_.b);
    }
  }

  /// Its number, from 1, or the name of the gateway that it is behind at first.
  std::size_t read_interface(const Value& value, const PeerSpec& peer) {
    constexpr std::size_t most_interfaces = 64;
    const auto& names = peer.behind;
    const auto named = std::ranges::find(names, value.scalar);
    if (value.kind == Value::Kind::scalar && named != names.end()) {
      return static_cast<std::size_t>(named - names.begin());
    }
    const bool is_number =
        !value.scalar.empty() && value.scalar.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number && has_world_) reader_.name(value, "interface", names);
    if (!is_number) return 0;
    const auto count = has_world_ ? std::max<std::size_t>(names.size(), 1) : most_interfaces;
    return reader_.whole(value, 1, count) - 1;
  }

  Reader& reader_;
  const Scenario& scenario_;
  const Vocabulary& vocabulary_;
  bool has_world_;
  std::vector<std::string> gateways_;
};

/// A scenario that is whole but for this: whether its events can happen.
class EventCheck {
 public:
  EventCheck(Reader& reader, const Scenario& scenario) : reader_(reader), scenario_(scenario) {}

  void operator()(const Change& change, const Place& place) {
    if (change.action == ChangeAction::move) return check_move(change, place);
    if (!change.at_gateway) return;
    const auto* gateway = find(change.target);
    const bool at_line = change.action == ChangeAction::link_down || change.action == ChangeAction::link_up;
    if (gateway && at_line) return;
    if (gateway && !keeps_table(gateway->kind)) {
      return reader_.fail(place,
                          fmt::format("gateway '{}' (kind {}) keeps no table and has no lease: link-down and "
                                      "link-up are all that may happen to it",
                                      gateway->name, to_string(gateway->kind)));
    }
    const auto nats = gateway ? std::vector<std::string>{gateway->nat} : nats_of_peer(change, place);
    for (const auto& nat : nats) check_switch(change, nat, place);
  }

 private:
  const GatewaySpec* find(std::string_view name) const {
    const auto found = std::ranges::find(scenario_.gateways, name, &GatewaySpec::name);
    return found == scenario_.gateways.end() ? nullptr : &*found;
  }

  /// What the nearest gateways with a table are, wherever the peer is. Nothing of one that is drawn.
  std::vector<std::string> nats_of_peer(const Change& change, const Place& place) {
    std::vector<std::string> nats;
    for (const auto& stop : stops_of(scenario_, change.target)) {
      if (stop.interface != 0) continue;
      const auto* gateway = find(stop.gateway);
      if (!gateway) {
        const auto& own = stop.gateway == "a" ? scenario_.a : scenario_.b;
        if (!own.population) nats.push_back(own.kind.nat);
        continue;
      }
      while (gateway && !keeps_table(gateway->kind)) gateway = find(gateway->behind);
      if (gateway) {
        nats.push_back(gateway->nat);
      } else {
        reader_.fail(place,
                     fmt::format("no gateway from '{}' to the Internet keeps a table; name one of them "
                                 "instead of {}",
                                 stop.gateway, change.target));
      }
    }
    return nats;
  }

  /// Addresses inside are private behind a gateway that translates, and public behind one that does not.
  void check_switch(const Change& change, const std::string& from, const Place& place) {
    if (change.action != ChangeAction::switch_nat || reader_.error()) return;
    if (parse_nat(from)->translate == parse_nat(change.nat)->translate) return;
    reader_.fail(place,
                 fmt::format("'{}' and '{}' differ in whether they translate, and so in the addresses of the "
                             "hosts inside",
                             from, change.nat));
  }

  void check_move(const Change& change, const Place& place) {
    const auto& peer = change.target == "a" ? scenario_.a : scenario_.b;
    const auto interface = change.interface.value_or(0);
    const auto from = peer.behind.empty() ? change.target : peer.behind[interface];
    for (const auto& name : {from, change.to}) {
      const auto* gateway = find(name);
      if (!gateway || gateway->kind != GatewayKind::clat) continue;
      reader_.fail(place,
                   fmt::format("gateway '{}' is a clat, which is a part of its host: nobody moves to it or "
                               "away from it",
                               name));
    }
  }

  Reader& reader_;
  const Scenario& scenario_;
};

}  // namespace

std::string_view to_string(ChangeAction action) {
  switch (action) {
    case ChangeAction::reboot:
      return "reboot";
    case ChangeAction::flush:
      return "flush";
    case ChangeAction::change_address:
      return "change-address";
    case ChangeAction::switch_nat:
      return "switch";
    case ChangeAction::link_down:
      return "link-down";
    case ChangeAction::link_up:
      return "link-up";
    case ChangeAction::stop:
      return "stop";
    case ChangeAction::move:
      return "move";
  }
  return "?";
}

bool are_relays(const Change& change) {
  return !change.at_gateway && change.target.starts_with("relays-of-");
}

std::vector<Change> read_events(Reader& reader, const Value& value, const Scenario& scenario,
                                const Vocabulary& vocabulary, bool has_world) {
  constexpr std::size_t most_events = 1000;
  std::vector<Change> events;
  if (value.kind != Value::Kind::list) {
    reader.fail(value.place, "expected a list of events");
    return events;
  }
  if (value.items.size() > most_events) reader.fail(value.place, "more than 1000 events");
  EventReader read(reader, scenario, vocabulary, has_world);
  for (const auto& item : value.items) events.push_back(read(item));
  return events;
}

void check_events(Reader& reader, const Value& value, const Scenario& scenario) {
  EventCheck check(reader, scenario);
  for (std::size_t i = 0; i < scenario.events.size() && !reader.error(); ++i) {
    check(scenario.events[i], value.items[i].place);
  }
}

std::vector<Stop> stops_of(const Scenario& scenario, std::string_view peer) {
  const auto first = [&](std::string_view name) {
    const auto& behind = (name == "a" ? scenario.a : scenario.b).behind;
    return behind.empty() ? std::vector{std::string(name)} : behind;
  };
  std::vector<Stop> stops;
  for (const auto& gateway : first(peer)) stops.push_back({stops.size(), gateway});
  for (const auto& change : scenario.events) {
    if (change.action != ChangeAction::move || change.target != peer) continue;
    const bool named =
        std::ranges::find(scenario.gateways, change.to, &GatewaySpec::name) != scenario.gateways.end();
    const Stop stop{change.interface.value_or(0), named ? change.to : first(change.to).front()};
    if (std::ranges::find(stops, stop) == stops.end()) stops.push_back(stop);
  }
  return stops;
}

}  // namespace flaresim::world
