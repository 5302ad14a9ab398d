#include <algorithm>
#include <iterator>

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

PeerEntry Dht::State::entry_of(const PeerId& peer, std::vector<Multiaddr> addresses) const {
  const bool connected = peer == swarm->id() || swarm->connection_to(peer);
  return {peer, std::move(addresses), connected ? ConnectionType::connected : ConnectionType::not_connected};
}

std::vector<PeerEntry> Dht::State::diverse(std::vector<PeerEntry> peers) const {
  if (!profile.diverse || !profile.public_only) return peers;
  std::vector<std::pair<IpGroup, PeerId>> members;  // each once, those of a group together
  for (const auto& entry : peers) {
    for (const auto& address : entry.addresses) {
      if (const auto endpoint = address.endpoint()) {
        members.emplace_back(ip_group(endpoint->address), entry.peer);
      }
    }
  }
  std::ranges::sort(members);
  members.erase(std::ranges::unique(members).begin(), members.end());

  std::vector<PeerId> too_many;
  for (auto first = members.begin(); first != members.end();) {
    const auto group = first->first;
    const auto last =
        std::find_if(first, members.end(), [&](const auto& each) { return each.first != group; });
    if (static_cast<std::size_t>(last - first) > profile.max_per_group) {
      std::transform(first, last, std::back_inserter(too_many), [](const auto& each) { return each.second; });
    }
    first = last;
  }
  std::erase_if(peers, [&](const PeerEntry& entry) {
    return std::ranges::find(too_many, entry.peer) != too_many.end();
  });
  return peers;
}

}  // namespace flaresim::kademlia
