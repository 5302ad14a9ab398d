#include "protocols/kademlia/provider_store.h"

#include <algorithm>

#include "protocols/kademlia/error.h"

namespace flaresim::kademlia {

io::Result<> ProviderStore::add(const io::Bytes& key, const swarm::AddressInfo& provider, io::TimePoint now) {
  auto found = providers_.find(key);
  if (found == providers_.end()) {
    if (providers_.size() >= limits_.max_keys) remove_expired(now);
    if (providers_.size() >= limits_.max_keys) return io::fail(Error::store_full);
    found = providers_.try_emplace(key).first;
  }
  auto& all = found->second;
  std::erase_if(all, [&](const auto& each) { return is_expired(each, now); });
  Provider renewed{provider.peer, PackedAddresses(provider.addresses), now};
  if (const auto known = std::ranges::find(all, provider.peer, &Provider::peer); known != all.end()) {
    *known = std::move(renewed);
  } else if (all.size() < limits_.max_providers_per_key) {
    all.push_back(std::move(renewed));
  } else {
    return io::fail(Error::store_full);
  }
  return {};
}

std::vector<swarm::AddressInfo> ProviderStore::find(const io::Bytes& key, io::TimePoint now) const {
  std::vector<swarm::AddressInfo> out;
  const auto found = providers_.find(key);
  if (found == providers_.end()) return out;
  for (const auto& each : found->second) {
    if (is_expired(each, now)) continue;
    out.push_back({each.peer});
    if (now - each.since <= limits_.address_ttl) out.back().addresses = each.addresses.unpacked();
  }
  return out;
}

void ProviderStore::remove(const io::Bytes& key, const multiformats::PeerId& provider) {
  const auto found = providers_.find(key);
  if (found == providers_.end()) return;
  std::erase_if(found->second, [&](const auto& each) { return each.peer == provider; });
  if (found->second.empty()) providers_.erase(found);
}

void ProviderStore::remove_expired(io::TimePoint now) {
  for (auto& [key, all] : providers_) {
    std::erase_if(all, [&](const auto& each) { return is_expired(each, now); });
  }
  std::erase_if(providers_, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace flaresim::kademlia
