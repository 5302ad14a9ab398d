#include "protocols/swarm/own_addresses.h"

#include <algorithm>

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

void OwnAddresses::observe(std::uint64_t connection, const Multiaddr& local, const io::IpAddress& observer,
                           const Multiaddr& observed) {
  if (observed.is_circuit() || observed.transport() != local.transport()) return;
  if (std::find(listening_.begin(), listening_.end(), local) == listening_.end()) return;
  if (const auto endpoint = observed.endpoint(); !endpoint || endpoint->address.is_loopback()) return;
  change([&] {
    observations_.insert_or_assign(connection, Observation{local, observed, observer_group(observer)});
  });
}

void OwnAddresses::forget(std::uint64_t connection) {
  if (!observations_.contains(connection)) return;
  change([&] { observations_.erase(connection); });
}

std::vector<Multiaddr> OwnAddresses::observed_by(int observers) const {
  struct Candidate {
    Multiaddr observed;
    std::set<std::string_view> observers;
  };
  std::map<Multiaddr, std::vector<Candidate>> by_listener;
  for (const auto& [connection, observation] : observations_) {
    if (std::find(listening_.begin(), listening_.end(), observation.local) == listening_.end()) continue;
    auto& candidates = by_listener[observation.local];
    auto found = std::find_if(candidates.begin(), candidates.end(),
                              [&](const Candidate& c) { return c.observed == observation.observed; });
    if (found == candidates.end()) found = candidates.insert(found, Candidate{observation.observed, {}});
    found->observers.insert(observation.observer);
  }

  std::vector<Multiaddr> out;
  for (auto& [listener, candidates] : by_listener) {
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.observers.size() > b.observers.size();
    });
    std::size_t taken = 0;
    for (const auto& candidate : candidates) {
      if (static_cast<int>(candidate.observers.size()) < observers || taken++ == profile_.max_per_listener)
        break;
      out.push_back(candidate.observed);
    }
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
