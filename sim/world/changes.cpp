#include "sim/world/changes.h"

#include <fmt/format.h>

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
    timers_.push_back(world_.simulation().start_timer(io::TimePoint(at), [this, &change] { make(change); }));
  }
}

Changes::~Changes() {
  for (const auto timer : timers_) world_.simulation().cancel_timer(timer);
}

void Changes::make(const Change& change) {
  auto& machine = change.target == "a" ? world_.a() : world_.b();
  const auto what = fmt::format("event.{}", to_string(change.action));
  if (change.at_gateway) {
    say_("nat-" + change.target, what, at_gateway(machine, change));
    return;
  }
  machine.host->port().set_link(change.action == ChangeAction::link_up);
  say_(machine.name, what, "");
}

std::string Changes::at_gateway(Machine& machine, const Change& change) {
  auto& gateway = world_.gateway_of(machine);
  switch (change.action) {
    case ChangeAction::reboot:
      gateway.reboot(change.off);
      return "off for " + duration_text(change.off);
    case ChangeAction::flush:
      gateway.flush();
      return "";
    case ChangeAction::change_address:
      return world_.renumber(machine);
    case ChangeAction::switch_nat:
      gateway.set_behaviour(parse_nat(change.nat).value());
      return change.nat;
    case ChangeAction::link_down:
    case ChangeAction::link_up:
      gateway.outside().set_link(change.action == ChangeAction::link_up);
      return "";
  }
  return "";
}

}  // namespace flaresim::world
