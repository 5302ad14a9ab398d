#include "protocols/swarm/peer_store.h"

#include <algorithm>
#include <utility>

namespace flaresim::swarm {

using multiformats::Multiaddr;
using multiformats::PeerId;

const Protocols& PeerInfo::protocols() const {
  static const Protocols none;
  return shared_protocols ? *shared_protocols : none;
}

bool PeerInfo::supports(std::string_view protocol) const {
  return std::find(protocols().begin(), protocols().end(), protocol) != protocols().end();
}

/// A peer's list is some kilobyte, and a network has three or four of them.
std::shared_ptr<const Protocols> PeerStore::share(Protocols protocols) {
  std::erase_if(lists_, [](const auto& list) { return list.use_count() == 1; });
  const auto same =
      std::find_if(lists_.begin(), lists_.end(), [&](const auto& list) { return *list == protocols; });
  if (same != lists_.end()) return *same;
  return lists_.emplace_back(std::make_shared<const Protocols>(std::move(protocols)));
}

void PeerStore::erase(Peers::iterator found) {
  auto& order = found->second.connected ? connected_ : others_;
  order.erase(found->second.place);
  peers_.erase(found);
}

/// Two of the oldest for each newcomer: what has expired cannot pile up, and nobody looks at all of it.
void PeerStore::make_room() {
  for (int i = 0; i < 2 && !others_.empty(); ++i) {
    const auto oldest = peers_.find(*others_.front());
    if (oldest->second.end > scheduler_->now()) break;
    erase(oldest);
  }
  while (!peers_.empty() && peers_.size() >= profile_.max_peers) {
    erase(peers_.find(*(others_.empty() ? connected_ : others_).front()));
  }
}

void PeerStore::forget_expired(Entry& entry) const {
  if (entry.connected) return;
  const auto now = scheduler_->now();
  auto& addresses = entry.info.addresses;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (entry.until[i] <= now) continue;
    if (kept != i) addresses[kept] = std::move(addresses[i]);
    entry.until[kept++] = entry.until[i];
  }
  addresses.erase(addresses.begin() + static_cast<std::ptrdiff_t>(kept), addresses.end());
  entry.until.resize(kept);
}

/// What is known of that peer, and is not over.
PeerStore::Peers::iterator PeerStore::live(const PeerId& peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return found;
  if (!found->second.connected && found->second.end <= scheduler_->now()) {
    erase(found);
    return peers_.end();
  }
  forget_expired(found->second);
  return found;
}

PeerStore::Entry& PeerStore::change(const PeerId& peer) {
  auto found = live(peer);
  if (found == peers_.end()) {
    make_room();
    found = peers_.try_emplace(peer).first;
    found->second.place = others_.insert(others_.end(), &found->first);
  }
  auto& entry = found->second;
  auto& order = entry.connected ? connected_ : others_;
  order.splice(order.end(), order, entry.place);
  entry.end = std::max(entry.end, after(profile_.keep_named));
  return entry;
}

void PeerStore::append(Entry& entry, const std::vector<Multiaddr>& addresses, io::TimePoint until) {
  auto& known = entry.info.addresses;
  for (const auto& address : addresses) {
    const auto found = std::find(known.begin(), known.end(), address);
    if (found != known.end()) {
      auto& end = entry.until[static_cast<std::size_t>(found - known.begin())];
      end = std::max(end, until);
    } else if (known.size() < profile_.max_addresses) {
      known.push_back(address);
      entry.until.push_back(until);
    }
  }
  entry.end = std::max(entry.end, until);
}

void PeerStore::add_addresses(const PeerId& peer, const std::vector<Multiaddr>& addresses) {
  append(change(peer), addresses, after(profile_.keep_named));
}

void PeerStore::set_addresses(const PeerId& peer, std::vector<Multiaddr> addresses) {
  auto& entry = change(peer);
  entry.info.addresses.clear();
  entry.until.clear();
  append(entry, addresses, after(profile_.keep_left));
}

void PeerStore::set_protocols(const PeerId& peer, Protocols protocols) {
  change(peer).info.shared_protocols = share(std::move(protocols));
}

void PeerStore::set_agent(const PeerId& peer, std::string agent) {
  change(peer).info.agent = std::move(agent);
}

void PeerStore::set_observed(const PeerId& peer, Multiaddr observed) {
  change(peer).info.observed = std::move(observed);
}

void PeerStore::set_connected(const PeerId& peer, bool connected) {
  auto& entry = change(peer);
  if (entry.connected == connected) return;
  entry.connected = connected;
  auto& from = connected ? others_ : connected_;
  auto& to = connected ? connected_ : others_;
  to.splice(to.end(), from, entry.place);
  if (connected) return;

  auto& addresses = entry.info.addresses;
  const auto kept = std::min(addresses.size(), profile_.max_addresses_of_left);
  addresses.erase(addresses.begin() + static_cast<std::ptrdiff_t>(kept), addresses.end());
  const auto until = kept > 0 ? after(profile_.keep_left) : after(profile_.keep_named);
  entry.until.assign(kept, until);
  entry.end = until;
}

const PeerInfo& PeerStore::find(const PeerId& peer) {
  static const PeerInfo nothing;
  const auto found = live(peer);
  return found == peers_.end() ? nothing : found->second.info;
}

}  // namespace flaresim::swarm
