#include "sim/world/network_gauge.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace flaresim::world {
namespace {

double seconds(io::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Spread spread_of(std::vector<double> numbers) {
  if (numbers.empty()) return {};
  std::ranges::sort(numbers);
  const auto count = numbers.size();
  const auto quantile = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(count)));
    return numbers[std::max<std::size_t>(rank, 1) - 1];
  };
  const auto sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
  return {.count = count,
          .mean = sum / static_cast<double>(count),
          .median = quantile(0.5),
          .p90 = quantile(0.9),
          .max = numbers.back()};
}

NetworkGauge::NetworkGauge(NetworkWorld& world) : world_(world) {
  totals_.nodes = world.members().size();
  for (const auto& member : world.members()) {
    if (member.is_public) ++totals_.public_nodes;
  }
  world.on_start([this](std::size_t number) { begin_life(number); });
  world.on_leave([this](std::size_t number) { end_life(number); });
}

void NetworkGauge::begin_life(std::size_t number) {
  ++totals_.starts;
  auto& node = *world_.members()[number].node;
  node.dht()->on_lookup([this](const kademlia::LookupReport& lookup) {
    took_s_.push_back(seconds(lookup.took));
    if (lookup.answered) answered_after_s_.push_back(seconds(lookup.took));
    hops_.push_back(static_cast<double>(lookup.hops));
    requests_.push_back(static_cast<double>(lookup.requests));
    totals_.lookups.requests_sent += lookup.requests;
    totals_.lookups.requests_failed += lookup.failures;
  });
  node.dht()->on_admitted([this](const multiformats::PeerId& peer) {
    const auto known = world_.find(peer);
    if (!known || !world_.members()[*known].ever_public) ++totals_.tables.never_public;
  });
}

void NetworkGauge::end_life(std::size_t number) {
  const auto& member = world_.members()[number];
  ++totals_.leaves;
  online_ += world_.simulation().now() - member.started;
  add_counters(member, totals_);
}

void NetworkGauge::add_counters(const Member& member, NetworkReport& into) const {
  auto& node = *member.node;
  into.handshakes += node.swarm().counters().handshakes;
  if (node.auto_relay()) into.relays.lost += node.auto_relay()->counters().lost;
  const auto relay = node.relay_counters();
  const auto most = relay.most_reservations;
  into.relays.most_reservations = std::max<std::uint64_t>(into.relays.most_reservations, most);
  into.relays.above_limits += most > world_.spec().max_reservations ||
                              relay.most_circuits_of_a_peer > world_.spec().max_circuits_per_peer;
  into.relays.granted += relay.reservations_granted;
  into.relays.opened += relay.circuits_opened;
  for (const auto& [status, count] : relay.refused) {
    into.relays.refused[static_cast<int>(status)] += count;
  }
}

void NetworkGauge::look() {
  ++totals_.tables.looks;
  kinds_.clear();
  connections_now_ = 0;
  totals_.relays.relays = totals_.relays.private_nodes = totals_.relays.without_reservation = 0;
  for (auto& member : world_.members()) {
    if (member.online()) look_at(member);
  }
}

void NetworkGauge::look_at(Member& member) {
  auto& node = *member.node;
  const auto connections = node.swarm().connections().size();
  connections_now_ += connections;
  connections_.push_back(static_cast<double>(connections));
  look_at_table(*node.dht());
  look_at_verdict(member);
  if (const auto* relay = node.relay_service()) look_at_relay(*relay);
  if (node.reachability() != swarm::Reachability::unreachable) return;
  ++totals_.relays.private_nodes;
  if (node.relay_client().reservations().empty()) ++totals_.relays.without_reservation;
}

void NetworkGauge::look_at_table(const kademlia::Dht& dht) {
  const auto table = dht.table();
  table_sizes_.push_back(static_cast<double>(table.size()));
  totals_.tables.entries += table.size();
  for (const auto& peer : table) {
    const auto& member = world_.members()[*world_.find(peer)];
    if (!member.online()) {
      ++totals_.tables.offline;
    } else if (member.node->reachability() != swarm::Reachability::reachable) {
      ++totals_.tables.lapsed;
    }
  }
}

void NetworkGauge::look_at_relay(const relay::RelayService& relay) {
  ++totals_.relays.relays;
  const auto reservations = relay.reservations();
  reservations_.push_back(static_cast<double>(reservations));
  circuits_.push_back(static_cast<double>(relay.circuits()));
}

NetworkGauge::Kind& NetworkGauge::kind_of(const Member& member) {
  const auto known =
      std::ranges::find_if(kinds_, [&](const Kind& kind) { return kind.figures.nat == member.kind.nat; });
  if (known != kinds_.end()) return *known;
  auto& kind = kinds_.emplace_back();
  kind.figures.nat = member.kind.nat;
  kind.figures.dialable = member.dialable;
  return kind;
}

void NetworkGauge::look_at_verdict(const Member& member) {
  auto& kind = kind_of(member);
  ++kind.figures.nodes;
  switch (member.node->reachability()) {
    case swarm::Reachability::reachable:
      ++kind.figures.says_public;
      break;
    case swarm::Reachability::unreachable:
      ++kind.figures.says_private;
      break;
    case swarm::Reachability::unknown:
      ++kind.figures.says_unknown;
      break;
  }
  if (member.first_verdict) kind.first_after_s.push_back(seconds(*member.first_verdict - member.started));
}

NetworkReport NetworkGauge::report() const {
  auto report = totals_;
  auto online = online_;
  for (const auto& member : world_.members()) {
    if (!member.online()) continue;
    online += world_.simulation().now() - member.started;
    add_counters(member, report);
  }
  report.simulated = world_.simulation().now().time_since_epoch();
  report.node_hours = seconds(online) / 3600;
  report.lookups.took_s = spread_of(took_s_);
  report.lookups.answered_after_s = spread_of(answered_after_s_);
  report.lookups.hops = spread_of(hops_);
  report.lookups.requests = spread_of(requests_);
  report.tables.size = spread_of(table_sizes_);
  report.relays.reservations = spread_of(reservations_);
  report.relays.circuits = spread_of(circuits_);
  report.connections = spread_of(connections_);
  report.events = world_.simulation().events_executed();
  report.packets = world_.internet().counters().forwarded;
  for (const auto& kind : kinds_) {
    report.verdicts.push_back(kind.figures);
    report.verdicts.back().first_after_s = spread_of(kind.first_after_s);
    (kind.figures.dialable ? report.false_private : report.false_public) +=
        kind.figures.dialable ? kind.figures.says_private : kind.figures.says_public;
  }
  std::ranges::sort(report.verdicts, {}, &VerdictFigures::nat);
  return report;
}

}  // namespace flaresim::world
