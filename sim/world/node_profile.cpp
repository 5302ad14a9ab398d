#include "sim/world/node_profile.h"

#include "protocols/security/noise.h"
#include "protocols/security/tls.h"

namespace flaresim::world {
namespace {

autorelay::Strategy strategy_of(RelayChoice choice) {
  switch (choice) {
    case RelayChoice::random:
      return autorelay::Strategy::random;
    case RelayChoice::closest_rtt:
      return autorelay::Strategy::closest_rtt;
    case RelayChoice::xor_closest:
      return autorelay::Strategy::xor_closest;
  }
  return autorelay::Strategy::random;
}

node::ReachabilityFrom source_of(ReachabilityFrom from) {
  switch (from) {
    case ReachabilityFrom::v1:
      return node::ReachabilityFrom::v1;
    case ReachabilityFrom::v2:
      return node::ReachabilityFrom::v2;
    case ReachabilityFrom::both:
      return node::ReachabilityFrom::both;
  }
  return node::ReachabilityFrom::both;
}

/// What every node of a cold start or a network runs: AutoNAT, the DHT, AutoRelay, and the relay service while it is public.
void add_discovery(const ProtocolSpec& protocol, node::NodeProfile& profile) {
  profile.autonat.emplace().from = source_of(protocol.reachability);
  profile.dht.emplace();
  profile.auto_relay.emplace().strategy = strategy_of(protocol.relay_choice);
  profile.relay_when_public = true;
  if (protocol.mdns) profile.mdns.emplace();
  if (const auto& bounds = protocol.connections) {
    auto& manager = profile.connection_manager.emplace();
    manager.low_water = bounds->low;
    manager.high_water = bounds->high;
    manager.grace = bounds->grace;
  }
}

}  // namespace

node::NodeProfile node_profile(const Scenario& scenario) {
  const auto& protocol = scenario.protocol;
  node::NodeProfile profile;
  if (scenario.network || scenario.discovery == Discovery::cold_start) add_discovery(protocol, profile);
  profile.swarm.quic.initial_rtt = protocol.quic_initial_rtt;
  profile.swarm.accepted_socket_takes_punch_role = protocol.accepted_socket_takes_punch_role;
  profile.swarm.security.clear();
  for (const auto security : protocol.security) {
    profile.swarm.security.emplace_back(security == Security::tls ? security::tls_protocol
                                                                  : security::noise_protocol);
  }
  if (protocol.port_mapping) profile.port_mapping.emplace();
  profile.dcutr.reversal_to_private = protocol.reversal_to_private;
  switch (protocol.roles) {
    case Roles::spec:
      profile.dcutr.roles = dcutr::Roles::spec;
      break;
    case Roles::legacy:
      profile.dcutr.roles = dcutr::Roles::legacy;
      break;
    case Roles::swap_on_last_attempt:
      profile.dcutr.roles = dcutr::Roles::swap_on_last_attempt;
      break;
  }
  return profile;
}

node::NodeProfile network_profile(const Scenario& scenario, bool studied) {
  const auto& network = *scenario.network;
  auto profile = node_profile(scenario);
  if (network.channel == BackgroundChannel::modelled) {
    profile.swarm.noise = studied ? security::NoiseMode::answer_modelled : security::NoiseMode::modelled;
  }
  profile.connection_manager.emplace();
  profile.connection_manager->low_water = network.low_water;
  profile.connection_manager->high_water = network.high_water;
  profile.dht->refresh_interval = network.refresh;
  profile.relay.service.max_reservations = network.max_reservations;
  profile.relay.service.max_circuits_per_peer = network.max_circuits_per_peer;
  return profile;
}

}  // namespace flaresim::world
