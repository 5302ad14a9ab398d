#include "sim/world/network_profile.h"

namespace flaresim::world {

node::NodeProfile network_profile(const Scenario& scenario, bool studied) {
  const auto& network = *scenario.network;
  node::NodeProfile profile;
  if (network.channel == BackgroundChannel::modelled) {
    profile.swarm.noise = studied ? security::NoiseMode::answer_modelled : security::NoiseMode::modelled;
  }
  profile.connection_manager.emplace();
  profile.connection_manager->low_water = network.low_water;
  profile.connection_manager->high_water = network.high_water;
  profile.autonat.emplace();
  profile.dht.emplace();
  profile.dht->refresh_interval = network.refresh;
  profile.auto_relay.emplace();
  profile.relay_when_public = true;
  profile.relay.service.max_reservations = network.max_reservations;
  profile.relay.service.max_circuits_per_peer = network.max_circuits_per_peer;
  return profile;
}

}  // namespace flaresim::world
