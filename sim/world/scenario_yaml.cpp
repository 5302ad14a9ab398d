#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

/// The shortest text that reads back as the same number.
std::string number(double value) { return fmt::format("{}", value); }

void emit_shares(YAML::Emitter& out, const char* key, const std::vector<Population::Share>& shares) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  for (const auto& share : shares) out << YAML::Key << share.name << YAML::Value << number(share.weight);
  out << YAML::EndMap;
}

void emit(YAML::Emitter& out, const char* key, const std::string& value) {
  out << YAML::Key << key << YAML::Value << value;
}

void emit_peer(YAML::Emitter& out, const char* key, const PeerSpec& peer) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  if (peer.population) {
    out << YAML::Key << "population" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "name" << YAML::Value << peer.population->name;
    emit_shares(out, "nats", peer.population->nats);
    emit_shares(out, "regions", peer.population->regions);
    emit_shares(out, "accesses", peer.population->accesses);
    out << YAML::Key << "tcp_unfriendly" << YAML::Value << number(peer.population->tcp_unfriendly);
    out << YAML::EndMap;
  } else {
    if (peer.behind.empty()) emit(out, "nat", peer.kind.nat);
    if (!peer.behind.empty()) out << YAML::Key << "behind" << YAML::Value << YAML::Flow << peer.behind;
    if (!peer.kind.region.empty()) emit(out, "region", peer.kind.region);
    emit(out, "access", peer.kind.access);
  }
  if (!peer.ip.empty()) out << YAML::Key << "ip" << YAML::Value << YAML::Flow << peer.ip;
  out << YAML::EndMap;
}

void emit_relays(YAML::Emitter& out, const RelaySpec& relays) {
  out << YAML::Key << "relays" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "count" << YAML::Value << relays.count;
  emit(out, "region", location_text(relays.location));
  out << YAML::Key << "access" << YAML::Value << relays.access;
  out << YAML::Key << "asymmetry" << YAML::Value << duration_text(relays.asymmetry);
  out << YAML::EndMap;
}

void emit_services(YAML::Emitter& out, const gateway::ServiceProfile& services) {
  const auto truth = [&](const char* key, bool value) { emit(out, key, value ? "true" : "false"); };
  out << YAML::Key << "services" << YAML::Value << YAML::BeginMap;
  truth("nat_pmp", services.nat_pmp);
  truth("pcp", services.pcp);
  out << YAML::Key << "igd" << YAML::Value << services.igd;
  emit(out, "longest_lease", duration_text(services.longest_lease));
  if (services.forgets_after > io::Duration::zero())
    emit(out, "forgets_after", duration_text(services.forgets_after));
  truth("permanent_only", services.permanent_only);
  if (services.claimed_address) emit(out, "claimed_address", services.claimed_address->to_string());
  out << YAML::Key << "port_error" << YAML::Value << services.port_error;
  truth("takes_over", services.takes_over);
  out << YAML::EndMap;
}

void emit_gateways(YAML::Emitter& out, const std::vector<GatewaySpec>& gateways) {
  out << YAML::Key << "gateways" << YAML::Value << YAML::BeginMap;
  for (const auto& gateway : gateways) {
    out << YAML::Key << gateway.name << YAML::Value << YAML::BeginMap;
    if (gateway.kind != GatewayKind::nat) emit(out, "kind", std::string(to_string(gateway.kind)));
    if (!gateway.nat.empty()) {
      emit(out, "nat", gateway.nat);
      out << YAML::Key << "addresses" << YAML::Value << gateway.addresses;
    }
    if (!gateway.region.empty()) emit(out, "region", gateway.region);
    emit(out, "access", gateway.access);
    if (!gateway.behind.empty()) emit(out, "behind", gateway.behind);
    if (gateway.services.any()) emit_services(out, gateway.services);
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
}

/// Writes where a core's graph comes from.
struct EmitOrigin {
  YAML::Emitter& out;

  void operator()(const CoreSpec::File& file) const {
    out << YAML::Key << "file" << YAML::Value << YAML::DoubleQuoted << file.path << YAML::Auto;
    out << YAML::Key << "digest" << YAML::Value << YAML::DoubleQuoted << file.digest << YAML::Auto;
  }
  void operator()(const topologies::Waxman& waxman) const {
    emit(out, "graph", "waxman");
    emit(out, "vertices", std::to_string(waxman.vertices));
    emit(out, "alpha", number(waxman.alpha));
    emit(out, "beta", number(waxman.beta));
    emit(out, "side", duration_text(waxman.side));
  }
  void operator()(const topologies::BarabasiAlbert& graph) const {
    emit(out, "graph", "barabasi-albert");
    emit(out, "vertices", std::to_string(graph.vertices));
    emit(out, "links", std::to_string(graph.links));
    emit(out, "shortest", duration_text(graph.shortest));
    emit(out, "longest", duration_text(graph.longest));
  }
  void operator()(const topologies::Tiered& tiered) const {
    emit(out, "graph", "tiered");
    out << YAML::Key << "tiers" << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const auto count : tiered.tiers) out << std::to_string(count);
    out << YAML::EndSeq;
    emit(out, "single_homed", number(tiered.single_homed));
    emit(out, "peering", number(tiered.peering));
    emit(out, "longest", duration_text(tiered.longest));
  }
};

void emit_core(YAML::Emitter& out, const CoreSpec& core) {
  out << YAML::Key << "core" << YAML::Value << YAML::BeginMap;
  std::visit(EmitOrigin{out}, core.origin);
  if (!std::holds_alternative<CoreSpec::File>(core.origin)) {
    emit(out, "seed", std::to_string(core.seed));
    emit(out, "jitter", duration_text(core.link.jitter));
    if (core.link.bits_per_second > 0) emit(out, "rate", rate_text(core.link.bits_per_second));
    emit(out, "queue", duration_text(core.link.queue));
    emit(out, "loss", number(core.link.loss));
  }
  out << YAML::EndMap;
}

void emit_observers(YAML::Emitter& out, int count, const Location& location) {
  out << YAML::Key << "observers" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "count" << YAML::Value << count;
  emit(out, "region", location_text(location));
  out << YAML::EndMap;
}

void emit_protocol(YAML::Emitter& out, const ProtocolSpec& protocol) {
  out << YAML::Key << "protocol" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "roles" << YAML::Value << std::string(to_string(protocol.roles));
  out << YAML::Key << "quic_initial_rtt" << YAML::Value << duration_text(protocol.quic_initial_rtt);
  out << YAML::Key << "accepted_socket_takes_punch_role" << YAML::Value
      << (protocol.accepted_socket_takes_punch_role ? "true" : "false");
  out << YAML::Key << "security" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const auto security : protocol.security) out << std::string(to_string(security));
  out << YAML::EndSeq;
  out << YAML::Key << "port_mapping" << YAML::Value << (protocol.port_mapping ? "true" : "false");
  emit(out, "reversal_to_private", protocol.reversal_to_private ? "true" : "false");
  emit(out, "reachability", std::string(to_string(protocol.reachability)));
  emit(out, "relay_choice", std::string(to_string(protocol.relay_choice)));
  emit(out, "mdns", protocol.mdns ? "true" : "false");
  if (const auto& bounds = protocol.connections) {
    out << YAML::Key << "connections" << YAML::Value << YAML::Flow << YAML::BeginMap;
    emit(out, "low", std::to_string(bounds->low));
    emit(out, "high", std::to_string(bounds->high));
    emit(out, "grace", duration_text(bounds->grace));
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
}

void emit_lengths(YAML::Emitter& out, const char* key, const LengthSpec& lengths) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  emit(out, "median", duration_text(lengths.median));
  emit(out, "p80", duration_text(lengths.p80));
  out << YAML::EndMap;
}

void emit_network_events(YAML::Emitter& out, const NetworkSpec& network) {
  if (network.churn) {
    out << YAML::Key << "churn" << YAML::Value << YAML::BeginMap;
    emit(out, "from", duration_text(network.churn->from));
    emit_lengths(out, "session", network.churn->session);
    emit_lengths(out, "off", network.churn->off);
    emit(out, "silent", number(network.churn->silent));
    out << YAML::EndMap;
  }
  if (network.pairs) {
    out << YAML::Key << "pairs" << YAML::Value << YAML::BeginMap;
    emit(out, "peers", std::to_string(network.pairs->peers));
    emit(out, "attempts", std::to_string(network.pairs->attempts));
    emit(out, "from", duration_text(network.pairs->from));
    emit(out, "limit", duration_text(network.pairs->limit));
    out << YAML::EndMap;
  }
  if (network.probes) {
    out << YAML::Key << "probes" << YAML::Value << YAML::BeginMap;
    emit(out, "count", std::to_string(network.probes->count));
    emit(out, "at", duration_text(network.probes->at));
    emit(out, "over", duration_text(network.probes->over));
    out << YAML::EndMap;
  }
  if (network.kill) {
    out << YAML::Key << "kill" << YAML::Value << YAML::BeginMap;
    emit(out, "at", duration_text(network.kill->at));
    emit(out, "share", number(network.kill->share));
    emit(out, "settle", duration_text(network.kill->settle));
    out << YAML::EndMap;
  }
}

void emit_network(YAML::Emitter& out, const NetworkSpec& network, const PeerSpec& peers) {
  out << YAML::Key << "network" << YAML::Value << YAML::BeginMap;
  emit(out, "nodes", std::to_string(network.nodes));
  emit_peer(out, "peers", peers);
  emit(out, "join", duration_text(network.join));
  emit(out, "duration", duration_text(network.duration));
  emit(out, "public_share", number(network.public_share));
  emit(out, "public_access", network.public_access);
  emit(out, "bootstrap", std::to_string(network.bootstrap));
  emit(out, "low_water", std::to_string(network.low_water));
  emit(out, "high_water", std::to_string(network.high_water));
  emit(out, "refresh", duration_text(network.refresh));
  emit(out, "max_reservations", std::to_string(network.max_reservations));
  emit(out, "max_circuits_per_peer", std::to_string(network.max_circuits_per_peer));
  emit(out, "channel", std::string(to_string(network.channel)));
  emit(out, "check_every", duration_text(network.check_every));
  emit_network_events(out, network);
  out << YAML::EndMap;
}

void emit_events(YAML::Emitter& out, const std::vector<Change>& events) {
  out << YAML::Key << "events" << YAML::Value << YAML::BeginSeq;
  for (const auto& change : events) {
    out << YAML::BeginMap << YAML::Key << "at" << YAML::Value;
    if (change.earliest == change.latest) {
      out << duration_text(change.earliest);
    } else {
      out << YAML::Flow << YAML::BeginMap << YAML::Key << "between" << YAML::Value << YAML::BeginSeq
          << duration_text(change.earliest) << duration_text(change.latest) << YAML::EndSeq << YAML::EndMap;
    }
    out << YAML::Key << (change.at_gateway ? "gateway" : "peer") << YAML::Value << change.target;
    out << YAML::Key << "do" << YAML::Value << std::string(to_string(change.action));
    if (change.action == ChangeAction::switch_nat) out << YAML::Key << "nat" << YAML::Value << change.nat;
    if (change.action == ChangeAction::reboot)
      out << YAML::Key << "off" << YAML::Value << duration_text(change.off);
    if (change.action == ChangeAction::move) {
      out << YAML::Key << "to" << YAML::Value << change.to;
      out << YAML::Key << "access" << YAML::Value << change.access;
    }
    if (change.interface) out << YAML::Key << "interface" << YAML::Value << *change.interface + 1;
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

/// What a scenario has instead of a network.
void emit_pair(YAML::Emitter& out, const Scenario& scenario) {
  out << YAML::Key << "peers" << YAML::Value << YAML::BeginMap;
  emit_peer(out, "a", scenario.a);
  emit_peer(out, "b", scenario.b);
  out << YAML::EndMap;
  emit(out, "discovery", std::string(to_string(scenario.discovery)));
  emit(out, "bootstrap", std::to_string(scenario.bootstrap));
  emit(out, "meet_at", duration_text(scenario.meet_at));
  emit_relays(out, scenario.relays);
  emit_observers(out, scenario.observers, scenario.observer_location);
  out << YAML::Key << "unreachable_pairs" << YAML::Value << number(scenario.unreachable_pairs);
  if (!scenario.events.empty()) emit_events(out, scenario.events);
}

/// A value that is written in YAML already.
void emit_value(YAML::Emitter& out, const std::string& yaml) { out << YAML::Flow << YAML::Load(yaml); }

void emit_expectations(YAML::Emitter& out, const std::vector<Expectation>& expectations) {
  out << YAML::Key << "expect" << YAML::Value << YAML::BeginSeq;
  for (const auto& expectation : expectations) {
    out << YAML::BeginMap;
    if (!expectation.when.empty()) out << YAML::Key << "when" << YAML::Value << YAML::BeginMap;
    for (const auto& condition : expectation.when) {
      out << YAML::Key << condition.key << YAML::Value;
      emit_value(out, condition.value);
    }
    if (!expectation.when.empty()) out << YAML::EndMap;
    out << YAML::Key << expectation.rate << YAML::Value << YAML::BeginMap;
    if (expectation.at_least) out << YAML::Key << "at_least" << YAML::Value << number(*expectation.at_least);
    if (expectation.at_most) out << YAML::Key << "at_most" << YAML::Value << number(*expectation.at_most);
    out << YAML::EndMap << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

void emit_sweep(YAML::Emitter& out, const std::vector<Axis>& axes) {
  out << YAML::Key << "sweep" << YAML::Value << YAML::BeginMap;
  for (const auto& axis : axes) {
    out << YAML::Key << axis.key << YAML::Value << YAML::BeginSeq;
    for (const auto& value : axis.values) emit_value(out, value);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

void emit_set(YAML::Emitter& out, const std::vector<Condition>& set) {
  out << YAML::Key << "set" << YAML::Value << YAML::BeginMap;
  for (const auto& [key, value] : set) {
    out << YAML::Key << key << YAML::Value;
    emit_value(out, value);
  }
  out << YAML::EndMap;
}

}  // namespace

std::string to_yaml(const Scenario& scenario) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << scenario.name;
  out << YAML::Key << "description" << YAML::Value << YAML::DoubleQuoted << scenario.description
      << YAML::Auto;
  out << YAML::Key << "trials" << YAML::Value << scenario.trials;
  out << YAML::Key << "seed" << YAML::Value << scenario.seed;
  out << YAML::Key << "time_limit" << YAML::Value << duration_text(scenario.time_limit);
  out << YAML::Key << "transports" << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const auto transport : scenario.transports) out << std::string(to_string(transport));
  out << YAML::EndSeq;
  out << YAML::Key << "ip" << YAML::Value << YAML::Flow << scenario.ip;
  emit_protocol(out, scenario.protocol);
  if (scenario.core) emit_core(out, *scenario.core);
  if (!scenario.gateways.empty()) emit_gateways(out, scenario.gateways);
  if (scenario.network)
    emit_network(out, *scenario.network, scenario.a);
  else
    emit_pair(out, scenario);
  if (!scenario.expect.empty()) emit_expectations(out, scenario.expect);
  if (!scenario.sweep.empty()) emit_sweep(out, scenario.sweep);
  if (!scenario.set.empty()) emit_set(out, scenario.set);
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace flaresim::world
