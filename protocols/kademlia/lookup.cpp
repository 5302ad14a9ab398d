#include <algorithm>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::Multiaddr;
using multiformats::PeerId;
using Stage = Candidate::Stage;

Dht::State::LookupPtr Dht::State::new_lookup(io::Bytes key, MessageType type) {
  return std::make_shared<Lookup>(scheduler(), std::move(key), type, profile.max_candidates);
}

io::Task<LookupReport> Dht::State::look_up(Ptr self, LookupPtr lookup, io::Duration limit) {
  if (self->stopped) co_return LookupReport{};
  const auto began = self->now();
  lookup->until = began + limit;
  ++self->counters.lookups;
  self->lookups.push_back(lookup);
  for (const auto* entry : self->table.nearest(key_of(lookup->request.key), self->profile.k)) {
    lookup->candidates.add(entry->peer, entry->addresses.unpacked(), 0);
  }
  co_await run_lookup(self, lookup);
  if (!self->is_ended(*lookup)) co_await follow_up(self, lookup);
  lookup->over = true;
  std::erase(self->lookups, lookup);
  lookup->report.took = self->now() - began;
  lookup->report.answered = lookup->enough;
  self->finish(*lookup);
  co_return lookup->report;
}

bool Dht::State::is_ended(const Lookup& lookup) const {
  return stopped || lookup.enough || now() >= lookup.until;
}

/// The closest that are within reach have answered (go-libp2p-kad-dht query.go isLookupTermination).
bool Dht::State::is_settled(const Lookup& lookup) const {
  const auto& all = lookup.candidates;
  return all.among_closest(profile.beta, Stage::heard).empty() &&
         all.among_closest(profile.beta, Stage::asked).empty();
}

io::Task<> Dht::State::run_lookup(Ptr self, LookupPtr lookup) {
  const auto& all = lookup->candidates;
  while (!self->is_ended(*lookup)) {
    lookup->completed = self->is_settled(*lookup);
    if (lookup->completed) co_return;
    const auto asked = all.count(Stage::asked);
    const auto more = self->profile.alpha - std::min(self->profile.alpha, asked);
    for (const auto& peer : all.closest(Stage::heard, more)) self->start_query(lookup, peer);
    co_await lookup->news.wait_until(lookup->until);
  }
}

/// Until the k closest of whom anybody has heard have answered (libp2p/specs kad-dht/README.md, Peer routing). All of them
/// are asked at once.
io::Task<> Dht::State::follow_up(Ptr self, LookupPtr lookup) {
  const auto& all = lookup->candidates;
  while (!self->is_ended(*lookup)) {
    for (const auto& peer : all.among_closest(self->profile.k, Stage::heard)) self->start_query(lookup, peer);
    if (all.among_closest(self->profile.k, Stage::asked).empty()) co_return;
    co_await lookup->news.wait_until(lookup->until);
  }
}

void Dht::State::start_query(const LookupPtr& lookup, const PeerId& peer) {
  auto& candidate = *lookup->candidates.find(peer);
  candidate.stage = Stage::asked;
  ++lookup->report.requests;
  auto addresses = candidate.addresses.unpacked();
  for (auto& address : addresses_of(peer)) {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(std::move(address));
  }
  io::spawn(scheduler().executor(), query(shared_from_this(), lookup, peer, direct(std::move(addresses))));
}

io::Task<> Dht::State::query(Ptr self, LookupPtr lookup, PeerId peer, std::vector<Multiaddr> addresses) {
  if (const auto connected = co_await connect(self, peer, std::move(addresses)); !connected) {
    self->take_failure(*lookup, peer);
    co_return;
  }
  if (lookup->over) co_return;
  const auto began = self->now();
  auto answer = co_await request(self, peer, lookup->request);
  if (!answer) {
    self->take_failure(*lookup, peer);
    co_return;
  }
  self->admit(peer);
  if (lookup->over) co_return;
  if (auto* candidate = lookup->candidates.find(peer)) {
    candidate->stage = Stage::answered;
    candidate->took = self->now() - began;
  }
  self->take_answer(*lookup, peer, std::move(*answer));
  lookup->news.notify_all();
}

void Dht::State::take_failure(Lookup& lookup, const PeerId& peer) {
  if (stopped || swarm->shutting_down()) return;
  drop(peer);
  if (lookup.over) return;
  if (auto* candidate = lookup.candidates.find(peer)) candidate->stage = Stage::failed;
  ++lookup.report.failures;
  lookup.news.notify_all();
}

void Dht::State::take_answer(Lookup& lookup, const PeerId& from, Message answer) {
  if (lookup.on_answer) lookup.on_answer(from, answer);
  const auto* candidate = lookup.candidates.find(from);
  const auto hops = candidate ? candidate->hops + 1 : 1;
  for (auto& entry : diverse(std::move(answer.closer_peers))) {
    if (entry.peer == swarm->id()) continue;
    const auto addresses = direct(std::move(entry.addresses));
    if (addresses.empty() && direct(addresses_of(entry.peer)).empty()) continue;
    lookup.candidates.add(entry.peer, addresses, hops);
  }
}

/// Peers of our table that answered nearly as fast as the fastest of them (go-libp2p-kad-dht query.go
/// recordValuablePeers).
void Dht::State::note_useful_peers(const Lookup& lookup) {
  auto fastest = io::Duration::max();
  const auto is_ours = [](const Candidate& each) { return each.hops == 0 && each.stage == Stage::answered; };
  for (const auto& each : lookup.candidates.all()) {
    if (is_ours(each)) fastest = std::min(fastest, each.took);
  }
  for (const auto& each : lookup.candidates.all()) {
    if (is_ours(each) && each.took / 2 <= fastest) table.note_use(each.peer, now());
  }
}

void Dht::State::finish(Lookup& lookup) {
  auto& report = lookup.report;
  for (const auto& each : lookup.candidates.all()) {
    if (report.closest.size() == profile.k) break;
    if (each.stage != Stage::answered) continue;
    report.closest.push_back({each.peer, each.addresses.unpacked()});
    report.hops = std::max(report.hops, each.hops);
  }
  note_useful_peers(lookup);
  const auto prefix = common_prefix_length(key_of(lookup.request.key), place);
  if (lookup.completed && !report.closest.empty() && prefix <= max_refresh_prefix)
    refreshed_at[prefix] = now();
  if (stopped) return;
  swarm->trace("dht.lookup", std::to_string(report.requests) + " asked, " + std::to_string(report.failures) +
                                 " failed, " + std::to_string(report.hops) + " hops");
  for (const auto& callback : when_looked_up) callback(report);
}

}  // namespace flaresim::kademlia
