#include <algorithm>
#include <map>
#include <set>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::Multiaddr;
using multiformats::PeerId;

bool Dht::State::is_usable(const Multiaddr& address) const {
  return !profile.public_only || address.is_public();
}

std::vector<Multiaddr> Dht::State::usable(std::vector<Multiaddr> addresses) const {
  std::erase_if(addresses, [&](const Multiaddr& address) { return !is_usable(address); });
  return addresses;
}

std::vector<Multiaddr> Dht::State::direct(std::vector<Multiaddr> addresses) const {
  std::erase_if(addresses,
                [&](const Multiaddr& address) { return !is_usable(address) || address.is_circuit(); });
  return addresses;
}

std::vector<Multiaddr> Dht::State::addresses_of(const PeerId& peer) const {
  if (peer == swarm->id()) return swarm->addresses().advertised();
  // What it said itself goes before what was kept.
  auto out = swarm->peers().find(peer).addresses;
  if (const auto* entry = table.find(peer)) {
    for (auto& address : entry->addresses.unpacked()) {
      if (std::ranges::find(out, address) == out.end()) out.push_back(std::move(address));
    }
  }
  return out;
}

/// A limited connection is none that others could use (go-libp2p-kad-dht pb/message.go ConnectionType).
PeerEntry Dht::State::entry_of(const PeerId& peer, std::vector<Multiaddr> addresses) const {
  const auto connection = swarm->connection_to(peer);
  const bool connected = peer == swarm->id() || (connection && !connection->limited());
  return {peer, std::move(addresses), connected ? ConnectionType::connected : ConnectionType::not_connected};
}

std::vector<PeerEntry> Dht::State::diverse(std::vector<PeerEntry> peers) const {
  if (!profile.diverse || !profile.public_only) return peers;
  std::map<IpGroup, std::set<PeerId>> members;
  for (const auto& entry : peers) {
    for (const auto& address : entry.addresses) {
      if (const auto endpoint = address.endpoint()) members[ip_group(endpoint->address)].insert(entry.peer);
    }
  }
  std::set<PeerId> too_many;
  for (const auto& [group, in] : members) {
    if (in.size() > profile.max_per_group) too_many.insert(in.begin(), in.end());
  }
  std::erase_if(peers, [&](const PeerEntry& entry) { return too_many.contains(entry.peer); });
  return peers;
}

}  // namespace flaresim::kademlia
