#include "protocols/kademlia/candidates.h"

#include <algorithm>

namespace flaresim::kademlia {

using multiformats::PeerId;

void Candidates::add(const PeerId& peer, const std::vector<multiformats::Multiaddr>& addresses,
                     std::size_t hops) {
  const auto far = distance(key_of(peer), target_);
  const auto place = std::ranges::lower_bound(all_, far, {}, &Candidate::far);
  if (place != all_.end() && place->far == far) {
    place->addresses.merge(addresses);
    return;
  }
  all_.insert(place, {peer, far, PackedAddresses(addresses), hops});
  if (all_.size() > max_ && all_.back().stage == Candidate::Stage::heard) all_.pop_back();
}

Candidate* Candidates::find(const PeerId& peer) {
  const auto found = std::ranges::find(all_, peer, &Candidate::peer);
  return found == all_.end() ? nullptr : &*found;
}

std::vector<PeerId> Candidates::closest(Candidate::Stage stage, std::size_t count) const {
  std::vector<PeerId> out;
  for (const auto& each : all_) {
    if (out.size() == count) break;
    if (each.stage == stage) out.push_back(each.peer);
  }
  return out;
}

std::size_t Candidates::count(Candidate::Stage stage) const {
  return static_cast<std::size_t>(std::ranges::count(all_, stage, &Candidate::stage));
}

std::vector<PeerId> Candidates::among_closest(std::size_t count, Candidate::Stage stage) const {
  std::vector<PeerId> out;
  for (const auto& each : all_) {
    if (each.stage == Candidate::Stage::failed) continue;
    if (count-- == 0) break;
    if (each.stage == stage) out.push_back(each.peer);
  }
  return out;
}

}  // namespace flaresim::kademlia
