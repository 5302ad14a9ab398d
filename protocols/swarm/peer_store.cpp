#include "protocols/swarm/peer_store.h"

#include <algorithm>

namespace flaresim::swarm {

bool PeerInfo::supports(std::string_view protocol) const {
  return std::find(protocols.begin(), protocols.end(), protocol) != protocols.end();
}

PeerInfo& PeerStore::change(const multiformats::PeerId& peer) {
  if (peers_.size() >= max_peers && !peers_.contains(peer)) {
    peers_.erase(
        std::ranges::min_element(peers_, {}, [](const auto& known) { return known.second.changed; }));
  }
  auto& entry = peers_[peer];
  entry.changed = ++changes_;
  return entry.info;
}

void PeerStore::add_addresses(const multiformats::PeerId& peer,
                              const std::vector<multiformats::Multiaddr>& addresses) {
  auto& known = change(peer).addresses;
  for (const auto& address : addresses) {
    if (known.size() >= max_addresses) return;
    if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(address);
  }
}

void PeerStore::set_addresses(const multiformats::PeerId& peer,
                              std::vector<multiformats::Multiaddr> addresses) {
  change(peer).addresses.clear();
  add_addresses(peer, addresses);
}

void PeerStore::set_protocols(const multiformats::PeerId& peer, std::vector<std::string> protocols) {
  change(peer).protocols = std::move(protocols);
}

void PeerStore::set_agent(const multiformats::PeerId& peer, std::string agent) {
  change(peer).agent = std::move(agent);
}

void PeerStore::set_observed(const multiformats::PeerId& peer, multiformats::Multiaddr observed) {
  change(peer).observed = std::move(observed);
}

const PeerInfo& PeerStore::find(const multiformats::PeerId& peer) const {
  static const PeerInfo nothing;
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nothing : found->second.info;
}

}  // namespace flaresim::swarm
