#include "sim/world/changes.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "sim/world/nat_presets.h"
#include "sim/world/scenario_reader.h"

namespace flaresim::world {

Changes::Changes(PairWorld& world, const std::vector<Change>& events, const io::Random& random, Say say)
    : world_(world), say_(std::move(say)) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto& change = events[i];
    auto own = random.derive(fmt::format("event/{}", i));
    const auto at =
        change.latest > change.earliest ? own.between(change.earliest, change.latest) : change.earliest;
    if (at == io::Duration::zero()) {
      make(change);
      continue;
    }
    timers_.push_back(
        world_.simulation().start_timer(world_.began() + at, [this, &change] { make(change); }));
  }
}

Changes::~Changes() {
  for (const auto timer : timers_) world_.simulation().cancel_timer(timer);
}

void Changes::make(const Change& change) {
  const auto what = fmt::format("event.{}", to_string(change.action));
  if (change.at_gateway) {
    auto& gateway = world_.gateway(change.target);
    return say_(gateway.name, what, at_gateway(gateway, change));
  }
  auto& machine = change.target.ends_with('a') ? world_.a() : world_.b();
  if (!are_relays(change)) return say_(machine.name, what, at_peer(machine, change));
  for (auto* relay : world_.relays_of(machine)) say_(relay->name, what, at_peer(*relay, change));
}

std::string Changes::at_gateway(Gateway& gateway, const Change& change) {
  auto* const nat = gateway.box->nat();
  switch (change.action) {
    case ChangeAction::reboot:
      nat->reboot(change.off);
      return "off for " + duration_text(change.off);
    case ChangeAction::flush:
      nat->flush();
      return "";
    case ChangeAction::change_address:
      return world_.renumber(gateway);
    case ChangeAction::switch_nat:
      return switch_nat(*nat, change.nat);
    case ChangeAction::link_down:
    case ChangeAction::link_up:
      gateway.box->outside().set_link(change.action == ChangeAction::link_up);
      return "";
    case ChangeAction::stop:
    case ChangeAction::move:
      break;
  }
  throw std::logic_error("gateways neither stop nor move");
}

std::string Changes::switch_nat(net::NatBox& box, const std::string& nat) {
  const auto behaviour = parse_nat(nat).value();
  const bool translates = behaviour.translate != nat::Translate::off;
  if (translates == box.outside_addresses().empty()) {
    // One that was drawn: what the scenario fixes was compared when it was read.
    return fmt::format("not to {}: the addresses inside would have to change", nat);
  }
  box.set_behaviour(behaviour);
  return nat;
}

std::string Changes::at_peer(Machine& machine, const Change& change) {
  if (change.action == ChangeAction::move) {
    return world_.move(machine, change.interface.value_or(0), change.to, change.access);
  }
  if (change.action == ChangeAction::stop) {
    io::spawn(world_.simulation().executor(), machine.node->close());
    return "";
  }
  const bool up = change.action == ChangeAction::link_up;
  for (std::size_t i = 0; i < machine.host->interfaces(); ++i) {
    if (!change.interface || change.interface == i) machine.host->port(i).set_link(up);
  }
  return change.interface ? fmt::format("interface {}", *change.interface + 1) : "";
}

}  // namespace flaresim::world
