#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;

constexpr std::array gateway_actions{ChangeAction::reboot,         ChangeAction::flush,
                                     ChangeAction::change_address, ChangeAction::switch_nat,
                                     ChangeAction::link_down,      ChangeAction::link_up};
constexpr std::array peer_actions{ChangeAction::link_down, ChangeAction::link_up};
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

/// Keys that only one action has.
void read_extras(Reader& reader, const Value& item, const Keys& keys, Change& change) {
  const auto* nat = keys.find("nat");
  const auto* off = keys.find("off");
  const bool wants_nat = change.action == ChangeAction::switch_nat;
  if (wants_nat && !nat) reader.fail(item.place, "key 'nat' is missing: what is switched to");
  if (!wants_nat && nat) reader.fail(nat->place, "only switch has a nat");
  if (off && change.action != ChangeAction::reboot) reader.fail(off->place, "only reboot has a time off");
  if (nat) change.nat = reader.nat(*nat);
  if (off) change.off = reader.duration(*off, 0ns, latest_event);
}

Change read_event(Reader& reader, const Value& item) {
  Change change;
  Keys keys(reader, item, "an entry of events", {"at", "gateway", "peer", "do", "nat", "off"});
  if (const auto* at = keys.need("at")) read_time(reader, *at, change);
  const auto* gateway = keys.find("gateway");
  const auto* peer = keys.find("peer");
  if ((gateway == nullptr) == (peer == nullptr)) reader.fail(item.place, "expected gateway or peer");
  change.at_gateway = gateway != nullptr;
  if (const auto* target = gateway ? gateway : peer) {
    change.target = reader.name(*target, gateway ? "gateway" : "peer", {"a", "b"});
  }
  if (const auto* action = keys.need("do")) {
    change.action = change.at_gateway ? read_action(reader, *action, gateway_actions)
                                      : read_action(reader, *action, peer_actions);
  }
  read_extras(reader, item, keys, change);
  return change;
}

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
  }
  return "?";
}

std::vector<Change> read_events(Reader& reader, const Value& value) {
  constexpr std::size_t most_events = 1000;
  std::vector<Change> events;
  if (value.kind != Value::Kind::list) {
    reader.fail(value.place, "expected a list of events");
    return events;
  }
  if (value.items.size() > most_events) reader.fail(value.place, "more than 1000 events");
  for (const auto& item : value.items) events.push_back(read_event(reader, item));
  return events;
}

}  // namespace flaresim::world
