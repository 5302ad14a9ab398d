#include "protocols/autonat/v2_limits.h"

namespace flaresim::autonat {
namespace {

constexpr io::Duration window = std::chrono::minutes(1);

}  // namespace

bool V2Limits::begin(const multiformats::PeerId& peer, io::TimePoint now) {
  forget_old(now);
  if (requests_.size() >= profile_.max_requests_per_minute) return false;
  if (const auto known = peers_.find(peer); known != peers_.end()) {
    if (known->second.running >= profile_.max_concurrent_per_peer) return false;
    if (known->second.recent >= profile_.max_requests_per_peer) return false;
  }
  auto& of_peer = peers_[peer];
  ++of_peer.recent;
  ++of_peer.running;
  requests_.push_back({now, peer});
  return true;
}

void V2Limits::end(const multiformats::PeerId& peer) {
  --peers_.at(peer).running;
  drop_if_idle(peer);
}

bool V2Limits::take_dial_data(io::TimePoint now) {
  forget_old(now);
  if (dial_data_.size() >= profile_.max_dial_data_requests) return false;
  dial_data_.push_back(now);
  return true;
}

void V2Limits::forget_old(io::TimePoint now) {
  for (; !requests_.empty() && now - requests_.front().at >= window; requests_.pop_front()) {
    const auto peer = requests_.front().peer;
    --peers_.at(peer).recent;
    drop_if_idle(peer);
  }
  while (!dial_data_.empty() && now - dial_data_.front() >= window) dial_data_.pop_front();
}

void V2Limits::drop_if_idle(const multiformats::PeerId& peer) {
  const auto known = peers_.find(peer);
  if (known->second.recent == 0 && known->second.running == 0) peers_.erase(known);
}

}  // namespace flaresim::autonat
