#include "protocols/autonat/v2_probes.h"

#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <utility>

namespace flaresim::autonat {

using multiformats::Multiaddr;
using swarm::Reachability;

void V2Probes::track(std::vector<Multiaddr> addresses) {
  std::map<Multiaddr, Status> tracked;
  for (auto& address : addresses) {
    if (tracked.size() == profile_.max_addresses) break;
    const auto known = addresses_.find(address);
    tracked.emplace(std::move(address), known == addresses_.end() ? Status() : known->second);
  }
  addresses_ = std::move(tracked);
}

bool V2Probes::tracks(const std::vector<Multiaddr>& addresses) const {
  const auto count = std::min(addresses.size(), profile_.max_addresses);
  if (count != addresses_.size()) return false;
  return std::ranges::all_of(addresses | std::views::take(count),
                             [&](const Multiaddr& address) { return addresses_.contains(address); });
}

V2Probes::Probe V2Probes::next(io::TimePoint now) {
  std::vector<std::pair<Multiaddr, int>> wanting;
  for (auto& [address, status] : addresses_) {
    if (const auto count = needed(status, now); count > 0) wanting.emplace_back(address, count);
  }
  const auto first = std::ranges::find_if(wanting, [&](const auto& entry) {
    const auto running = under_way_.find(entry.first);
    return running == under_way_.end() || running->second < entry.second;
  });
  if (first == wanting.end()) return {};
  std::ranges::rotate(wanting, first);
  Probe probe;
  for (auto& [address, count] : wanting) {
    if (probe.size() == profile_.max_addresses_per_request) break;
    probe.push_back(std::move(address));
  }
  return probe;
}

void V2Probes::begin(const Probe& probe) { ++under_way_[probe.front()]; }

void V2Probes::end(const Probe& probe) {
  const auto running = under_way_.find(probe.front());
  if (--running->second == 0) under_way_.erase(running);
}

void V2Probes::end_refused(const Probe& probe, io::TimePoint now) {
  end(probe);
  refused(probe.front(), now);
}

void V2Probes::end(const Probe& probe, const Outcome& outcome, io::TimePoint now) {
  end(probe);
  if (outcome.address != probe.front()) refused(probe.front(), now);
  const auto known = addresses_.find(outcome.address);
  if (known == addresses_.end()) return;  // it is ours no more
  auto& status = known->second;
  status.refusals = 0;
  status.dials.push_back(now);
  while (now - status.dials.front() >= profile_.recent_interval) status.dials.pop_front();
  status.outcomes.push_back({now, outcome.reachable});
  if (status.outcomes.size() > profile_.outcome_window) status.outcomes.pop_front();
}

void V2Probes::refused(const Multiaddr& address, io::TimePoint now) {
  const auto known = addresses_.find(address);
  if (known == addresses_.end()) return;
  ++known->second.refusals;
  known->second.last_refusal = now;
}

V2Probes::Verdicts V2Probes::verdicts(io::TimePoint now) {
  Verdicts out;
  for (auto& [address, status] : addresses_) {
    auto& outcomes = status.outcomes;
    while (!outcomes.empty() && now - outcomes.front().at > profile_.outcome_lifetime) outcomes.pop_front();
    out.emplace(address, reachability(status));
  }
  return out;
}

int V2Probes::confidence(const Status& status) const {
  int successes_less_failures = 0;
  for (const auto& outcome : status.outcomes) successes_less_failures += outcome.reachable ? 1 : -1;
  return successes_less_failures;
}

Reachability V2Probes::reachability(const Status& status) const {
  const auto sum = confidence(status);
  if (sum >= profile_.min_confidence) return Reachability::reachable;
  if (sum <= -profile_.min_confidence) return Reachability::unreachable;
  return Reachability::unknown;
}

int V2Probes::needed(Status& status, io::TimePoint now) const {
  if (status.refusals >= profile_.max_consecutive_refusals) {
    if (now - status.last_refusal < profile_.recent_interval) return 0;
    status.refusals = 0;
  }
  const auto recent = std::ranges::count_if(
      status.dials, [&](io::TimePoint at) { return now - at <= profile_.recent_interval; });
  if (static_cast<std::size_t>(recent) >= profile_.max_recent_dials) return 0;
  return needed_for_confidence(status, now);
}

int V2Probes::needed_for_confidence(const Status& status, io::TimePoint now) const {
  const auto lacking = profile_.target_confidence - std::abs(confidence(status));
  if (lacking > 0) return lacking;
  if (status.outcomes.empty()) return 0;  // nobody wants to know anything
  const auto& last = status.outcomes.back();
  if (now - last.at > profile_.reprobe_interval) return 1;
  return last.reachable == (reachability(status) == Reachability::reachable) ? 0 : 1;
}

}  // namespace flaresim::autonat
