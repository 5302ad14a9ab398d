#include "sim/world/draw.h"

#include <algorithm>
#include <map>
#include <numeric>

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

/// `fibre`, `wifi+fibre`: what there is of links on the way.
void join(std::string& text, const std::string& more, const std::string& between) {
  if (!more.empty() && more != "none") text += (text.empty() ? "" : between) + more;
}

/// Draws one trial's world, the gateways first.
class Drawing {
 public:
  Drawing(const Scenario& scenario, Geography& geography, const io::Random& trial)
      : scenario_(scenario), geography_(geography), trial_(trial) {}

  Draw operator()() {
    for (const auto& gateway : scenario_.gateways) place(gateway);
    drawn_.host_a = place_host(scenario_.a, "a", drawn_.a);
    drawn_.host_b = place_host(scenario_.b, "b", drawn_.b);
    drawn_.host_a.stops = later_stops("a");
    drawn_.host_b.stops = later_stops("b");
    drawn_.relay_regions = locate(scenario_.relays.location, scenario_.relays.count, "draw/relay-region/");
    drawn_.observer_regions =
        locate(scenario_.observer_location, scenario_.observers, "draw/observer-region/");
    drawn_.relay = trial_.derive("draw/relay").below(drawn_.relay_regions.size());
    drawn_.path = trial_.derive("draw/path").uniform() >= scenario_.unreachable_pairs;
    return std::move(drawn_);
  }

 private:
  /// A gateway stands after the one that it is behind.
  std::size_t place(const GatewaySpec& spec) {
    if (const auto known = numbers_.find(spec.name); known != numbers_.end()) return known->second;
    GatewayPlace gateway{.name = spec.name,
                         .kind = spec.kind,
                         .nat = spec.nat,
                         .addresses = spec.addresses,
                         .region = spec.region,
                         .access = spec.access,
                         .behind = {},
                         .services = spec.services};
    if (!spec.behind.empty()) {
      gateway.behind = place(*std::ranges::find(scenario_.gateways, spec.behind, &GatewaySpec::name));
    }
    if (gateway.region.empty()) {
      gateway.region = gateway.behind
                           ? drawn_.gateways[*gateway.behind].region
                           : pick(geography_.drawable(), trial_.derive("draw/gateway/" + spec.name));
    }
    drawn_.gateways.push_back(std::move(gateway));
    return numbers_[spec.name] = drawn_.gateways.size() - 1;
  }

  HostPlace place_host(const PeerSpec& spec, const std::string& name, PeerKind& summary) {
    HostPlace host{.behind = {},
                   .region = "",
                   .access = "none",
                   .ip = spec.ip.empty() ? scenario_.ip : spec.ip,
                   .stops = {}};
    if (spec.behind.empty()) {
      summary = draw_peer(spec, geography_.drawable(), trial_.derive("draw/" + name));
      host.behind = {drawn_.gateways.size()};
      host.region = summary.region;
      drawn_.gateways.push_back({.name = "nat-" + name,
                                 .nat = summary.nat,
                                 .region = summary.region,
                                 .access = summary.access,
                                 .behind = {}});
      return host;
    }
    for (const auto& gateway : spec.behind) host.behind.push_back(numbers_.at(gateway));
    host.access = spec.kind.access;
    host.region = spec.kind.region.empty() ? drawn_.gateways[host.behind.front()].region : spec.kind.region;
    summary = summarise(host);
    return host;
  }

  std::vector<HostPlace::Stop> later_stops(std::string_view peer) const {
    std::vector<HostPlace::Stop> stops;
    for (const auto& stop : stops_of(scenario_, peer)) {
      const auto named = numbers_.find(stop.gateway);
      const auto& owner = stop.gateway == "a" ? drawn_.host_a : drawn_.host_b;
      stops.push_back({stop.interface, named == numbers_.end() ? owner.behind.front() : named->second});
    }
    const auto at_first = (peer == "a" ? drawn_.host_a : drawn_.host_b).behind.size();
    stops.erase(stops.begin(), stops.begin() + static_cast<std::ptrdiff_t>(at_first));
    return stops;
  }

  PeerKind summarise(const HostPlace& host) const {
    PeerKind kind{.nat = "", .region = host.region, .access = ""};
    for (const auto number : host.behind) {
      std::string nats;
      auto links = host.access == "none" ? std::string() : host.access;
      for (std::optional<std::size_t> at = number; at; at = drawn_.gateways[*at].behind) {
        const auto& gateway = drawn_.gateways[*at];
        join(nats, gateway.nat.empty() ? std::string(to_string(gateway.kind)) : gateway.nat, " behind ");
        join(links, drawn_.gateways[*at].access, "+");
      }
      join(kind.nat, nats, " or ");
      join(kind.access, links, " or ");
    }
    if (kind.access.empty()) kind.access = "none";
    return kind;
  }

  std::vector<std::string> locate(const Location& location, int count, const std::string& stream) {
    std::vector<std::string> regions;
    const auto ranking = rank(location.placement);
    for (int i = 0; i < count; ++i) {
      if (location.placement == Placement::fixed) {
        regions.push_back(location.region);
      } else if (location.placement == Placement::random) {
        regions.push_back(pick(geography_.drawable(), trial_.derive(stream + std::to_string(i))));
      } else {
        regions.push_back(ranking[static_cast<std::size_t>(i) % ranking.size()]);
      }
    }
    return regions;
  }

  /// Regions in the order of the placement's preference; those that are equal, in the order of their table.
  std::vector<std::string> rank(Placement placement) {
    if (placement == Placement::fixed || placement == Placement::random) return {};
    const auto a = geography_.find(drawn_.host_a.region);
    const auto b = geography_.find(drawn_.host_b.region);
    std::vector<std::size_t> order(geography_.names().size());
    std::iota(order.begin(), order.end(), 0);
    std::map<std::size_t, io::Duration> costs;
    for (const auto region : order) costs[region] = cost(placement, a, b, region);
    if (placement == Placement::on_path && order.size() > 2) {
      std::erase_if(order, [&](std::size_t region) { return region == a || region == b; });
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t region) { return costs[region]; });
    std::vector<std::string> names;
    for (const auto region : order) names.push_back(geography_.names()[region]);
    return names;
  }

  io::Duration cost(Placement placement, std::size_t a, std::size_t b, std::size_t region) {
    if (placement == Placement::near_a) return geography_.delay(a, region);
    if (placement == Placement::near_b) return geography_.delay(b, region);
    const auto sum = geography_.delay(a, region) + geography_.delay(b, region);
    return placement == Placement::far ? -sum : sum;
  }

  const Scenario& scenario_;
  Geography& geography_;
  const io::Random& trial_;
  Draw drawn_;
  std::map<std::string, std::size_t> numbers_;  ///< of gateways, by name
};

}  // namespace

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

Draw draw(const Scenario& scenario, Geography& geography, const io::Random& trial) {
  return Drawing(scenario, geography, trial)();
}

}  // namespace flaresim::world
