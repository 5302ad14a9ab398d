#include "protocols/swarm/connection_manager.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "protocols/swarm/swarm.h"

namespace flaresim::swarm {
namespace {

using multiformats::PeerId;

/// A peer and all connections to it.
struct Candidate {
  std::vector<ConnectionPtr> connections{};
  io::TimePoint youngest{};
  std::size_t streams = 0;
  bool came_to_us = false;

  void add(const ConnectionPtr& connection) {
    connections.push_back(connection);
    youngest = std::max(youngest, connection->facts().opened_at);
    streams += connection->streams();
    came_to_us |= connection->facts().direction == Direction::inbound;
  }

  /// The lesser one goes first.
  auto rank(int value) const {
    const auto newest = ~connections.back()->facts().id;
    return std::tuple(value, streams > 0, !came_to_us, streams, newest);
  }
};

}  // namespace

struct ConnectionManager::State : std::enable_shared_from_this<ConnectionManager::State> {
  State(std::shared_ptr<Swarm> on, ConnectionManagerProfile with)
      : swarm(std::move(on)), profile(with), next_trim(swarm->scheduler()) {}

  bool too_many() const { return swarm->connections().size() > profile.high_water; }
  void look();
  void trim();
  std::vector<Candidate> candidates() const;

  std::shared_ptr<Swarm> swarm;
  ConnectionManagerProfile profile;
  ConnectionManagerCounters counters;
  io::Timer next_trim;
  io::TimePoint not_before{};
  bool stopped = false;
};

/// Trims not at once: whoever else is told of the connection shall find it.
void ConnectionManager::State::look() {
  if (stopped || next_trim.armed() || swarm->shutting_down() || !too_many()) return;
  next_trim.arm_at(std::max(swarm->scheduler().now(), not_before), [this] { trim(); });
}

void ConnectionManager::State::trim() {
  if (stopped || swarm->shutting_down() || !too_many()) return;
  const auto keep_alive = shared_from_this();
  not_before = swarm->scheduler().now() + profile.silence;
  std::size_t closable = 0;
  const auto peers = candidates();
  for (const auto& peer : peers) closable += peer.connections.size();

  std::size_t closed = 0;
  for (const auto& peer : peers) {
    if (closable <= profile.low_water + closed) break;
    for (const auto& connection : peer.connections) connection->close(Error::trimmed);
    closed += peer.connections.size();
  }
  if (closed > 0) {
    ++counters.trims;
    counters.closed += closed;
    swarm->trace("connections.trimmed", std::to_string(closed));
  }
  look();
}

std::vector<Candidate> ConnectionManager::State::candidates() const {
  std::map<PeerId, Candidate> by_peer;
  for (const auto& connection : swarm->connections()) by_peer[connection->remote()].add(connection);

  const auto& tags = swarm->tags();
  const auto grown_up_since = swarm->scheduler().now() - profile.grace;
  std::vector<std::pair<int, Candidate>> valued;
  for (auto& [peer, candidate] : by_peer) {
    if (tags.is_protected(peer) || candidate.youngest > grown_up_since || swarm->is_dialling(peer)) continue;
    valued.emplace_back(tags.value(peer), std::move(candidate));
  }
  std::ranges::sort(valued, {}, [](const auto& entry) { return entry.second.rank(entry.first); });
  std::vector<Candidate> out;
  for (auto& [value, candidate] : valued) out.push_back(std::move(candidate));
  return out;
}

ConnectionManager::ConnectionManager(std::shared_ptr<Swarm> swarm, ConnectionManagerProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  state_->swarm->on_connected([weak = std::weak_ptr<State>(state_)](const ConnectionPtr&) {
    if (const auto state = weak.lock()) state->look();
  });
}

ConnectionManager::~ConnectionManager() { stop(); }

const ConnectionManagerCounters& ConnectionManager::counters() const { return state_->counters; }

void ConnectionManager::stop() {
  state_->stopped = true;
  state_->next_trim.cancel();
}

}  // namespace flaresim::swarm
