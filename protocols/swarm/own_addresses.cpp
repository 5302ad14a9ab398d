#include "protocols/swarm/own_addresses.h"

#include <algorithm>
#include <functional>

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;

/// One host has one IPv4 address, or a whole /56 of IPv6 (RFC 6177).
std::string observer_group(const io::IpAddress& address) {
  if (address.is_v4()) return address.to_string();
  const auto bytes = address.to_v6().to_bytes();
  return {bytes.begin(), bytes.begin() + 7};
}

void append_new(std::vector<Multiaddr>& to, const std::vector<Multiaddr>& addresses) {
  for (const auto& address : addresses) {
    if (std::find(to.begin(), to.end(), address) == to.end()) to.push_back(address);
  }
}

}  // namespace

template <class Change>
void OwnAddresses::change(Change&& apply) {
  apply();
  known_ = find_known();
  auto now = find_advertised();
  if (now == advertised_) return;
  advertised_ = std::move(now);
  for (const auto& callback : changed_) callback();
}

void OwnAddresses::set_listening(std::vector<Multiaddr> addresses) {
  change([&] { listening_ = std::move(addresses); });
}

void OwnAddresses::set_circuits(std::vector<Multiaddr> addresses) {
  change([&] { circuits_ = std::move(addresses); });
}

void OwnAddresses::set_mapped(std::vector<Multiaddr> addresses) {
  std::erase_if(addresses, [](const Multiaddr& address) { return !address.is_public(); });
  change([&] { mapped_ = std::move(addresses); });
}

void OwnAddresses::set_reachability(std::map<Multiaddr, Reachability> verdicts) {
  change([&] { reachability_ = std::move(verdicts); });
}

void OwnAddresses::set_private(bool is_private) {
  change([&] { private_ = is_private; });
}

void OwnAddresses::observe(std::uint64_t connection, const Multiaddr& local, const io::IpAddress& observer,
                           const Multiaddr& observed) {
  if (observed.is_circuit() || observed.transport() != local.transport()) return;
  if (std::find(listening_.begin(), listening_.end(), local) == listening_.end()) return;
  if (const auto endpoint = observed.endpoint(); !endpoint || endpoint->address.is_loopback()) return;
  change([&] {
    if (const auto old = observations_.find(connection); old != observations_.end()) {
      discount(old->second);
      observations_.erase(old);
    }
    const Observation observation{local, observed, observer_group(observer)};
    count(observation);
    observations_.emplace(connection, observation);
  });
}

void OwnAddresses::forget(std::uint64_t connection) {
  const auto found = observations_.find(connection);
  if (found == observations_.end()) return;
  change([&] {
    discount(found->second);
    observations_.erase(found);
  });
}

std::vector<OwnAddresses::Sighting>::iterator OwnAddresses::find(const Observation& observation) {
  return std::ranges::find_if(sightings_, [&](const Sighting& sighting) {
    return sighting.local == observation.local && sighting.observed == observation.observed;
  });
}

void OwnAddresses::count(const Observation& observation) {
  auto found = find(observation);
  if (found == sightings_.end())
    found = sightings_.insert(found, {observation.local, observation.observed, {}});
  ++found->observers[observation.observer];
}

void OwnAddresses::discount(const Observation& observation) {
  const auto found = find(observation);
  const auto observer = found->observers.find(observation.observer);
  if (--observer->second == 0) found->observers.erase(observer);
  if (found->observers.empty()) sightings_.erase(found);
}

/// Of each listener those that most observers see, among equals the older ones.
std::vector<Multiaddr> OwnAddresses::observed_by(int observers) const {
  std::vector<Multiaddr> out;
  for (const auto& listener : listening_) {
    std::vector<const Sighting*> enough;
    for (const auto& sighting : sightings_) {
      const bool counts = static_cast<int>(sighting.observers.size()) >= observers;
      if (counts && sighting.local == listener) enough.push_back(&sighting);
    }
    std::ranges::stable_sort(enough, std::greater{},
                             [](const Sighting* sighting) { return sighting->observers.size(); });
    if (enough.size() > profile_.max_per_listener) enough.resize(profile_.max_per_listener);
    for (const auto* sighting : enough) out.push_back(sighting->observed);
  }
  return out;
}

std::vector<Multiaddr> OwnAddresses::find_known() const {
  auto out = listening_;
  append_new(out, mapped_);
  append_new(out, observed_by(profile_.observers_to_advertise));
  return out;
}

std::vector<Multiaddr> OwnAddresses::find_advertised() const {
  const auto is = [&](const Multiaddr& address, Reachability verdict) {
    const auto found = reachability_.find(address);
    return found != reachability_.end() && found->second == verdict;
  };
  auto out = known_;
  std::erase_if(out, [&](const Multiaddr& address) { return is(address, Reachability::unreachable); });
  if (private_ && !circuits_.empty())
    std::erase_if(out, [](const Multiaddr& address) { return address.is_public(); });
  const bool any_reachable = std::ranges::any_of(
      out, [&](const Multiaddr& address) { return is(address, Reachability::reachable); });
  if (!any_reachable) append_new(out, circuits_);
  return out;
}

std::vector<Multiaddr> OwnAddresses::probeable() const {
  auto out = known_;
  std::erase_if(out, [](const Multiaddr& address) { return !address.is_public(); });
  return out;
}

std::vector<Multiaddr> OwnAddresses::punchable() const {
  auto out = listening_;
  append_new(out, mapped_);
  append_new(out, observed_by(profile_.observers_to_punch));
  std::erase_if(out, [](const Multiaddr& address) { return !address.is_public(); });
  return out;
}

}  // namespace flaresim::swarm
