#include "sim/world/draw.h"

#include "sim/world/nat_presets.h"

namespace flaresim::world {
namespace {

const std::string& pick(const std::vector<Population::Share>& shares, io::Random random) {
  double left = random.uniform();
  for (const auto& share : shares) {
    left -= share.weight;
    if (left < 0) return share.name;
  }
  return shares.back().name;  // the weights' sum is 1 but for rounding
}

const std::string& pick(const std::vector<std::string>& names, io::Random random) {
  return names[random.below(names.size())];
}

/// A gateway that gives every TCP connection another port, whatever it does to UDP.
std::string tcp_unfriendly(const std::string& nat) {
  auto behaviour = parse_nat(nat).value();
  behaviour.tcp.mapping = nat::Mapping::address_and_port_dependent;
  behaviour.tcp.ports = nat::Ports::random;
  return nat::to_string(behaviour);
}

PeerKind draw_peer(const PeerSpec& spec, const std::vector<std::string>& regions, const io::Random& random) {
  auto kind = spec.kind;
  if (spec.population) {
    const auto& population = *spec.population;
    kind.nat = pick(population.nats, random.derive("nat"));
    kind.access = pick(population.accesses, random.derive("access"));
    if (!population.regions.empty()) kind.region = pick(population.regions, random.derive("region"));
    if (random.derive("tcp-unfriendly").uniform() < population.tcp_unfriendly) {
      kind.nat = tcp_unfriendly(kind.nat);
    }
  }
  if (kind.region.empty()) kind.region = pick(regions, random.derive("region"));
  return kind;
}

}  // namespace

Draw draw(const Scenario& scenario, const std::vector<std::string>& regions, const io::Random& trial) {
  Draw drawn;
  drawn.a = draw_peer(scenario.a, regions, trial.derive("draw/a"));
  drawn.b = draw_peer(scenario.b, regions, trial.derive("draw/b"));
  const auto place = [&](const std::string& fixed, const std::string& stream) {
    return fixed.empty() ? pick(regions, trial.derive(stream)) : fixed;
  };
  for (int i = 0; i < scenario.relays.count; ++i) {
    drawn.relay_regions.push_back(place(scenario.relays.region, "draw/relay-region/" + std::to_string(i)));
  }
  for (int i = 0; i < scenario.observers; ++i) {
    drawn.observer_regions.push_back(place("", "draw/observer-region/" + std::to_string(i)));
  }
  drawn.relay = trial.derive("draw/relay").below(drawn.relay_regions.size());
  drawn.path = trial.derive("draw/path").uniform() >= scenario.unreachable_pairs;
  return drawn;
}

}  // namespace flaresim::world
