#include "protocols/autorelay/auto_relay.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "protocols/io/signal.h"
#include "protocols/kademlia/key.h"
#include "protocols/relay/relay_error.h"

namespace flaresim::autorelay {

using multiformats::PeerId;
using swarm::AddressInfo;

namespace {

constexpr std::string_view tag = "autorelay";

AutoRelayProfile with_static_candidates(AutoRelayProfile profile) {
  if (const auto number = profile.static_candidates.size(); number > 0) {
    profile.min_candidates = profile.max_candidates = profile.desired_relays = number;
  }
  return profile;
}

}  // namespace

/// Its coroutines hold it by their first argument, and end when the run they belong to is over.
struct AutoRelay::State : std::enable_shared_from_this<AutoRelay::State> {
  using Ptr = std::shared_ptr<State>;
  using Run = std::uint64_t;  // 0: none

  State(std::shared_ptr<swarm::Swarm> on, identify::Identify who, ping::Ping measures,
        relay::RelayClient& reserves, AutoRelayProfile with, CandidateSource from)
      : swarm(std::move(on)),
        identify(std::move(who)),
        ping(std::move(measures)),
        client(&reserves),
        profile(with_static_candidates(std::move(with))),
        source(std::move(from)),
        random(swarm->network().random("autorelay")),
        boot_ends(swarm->scheduler().now() + profile.boot_delay),
        boot(swarm->scheduler()),
        changed(swarm->scheduler()) {}

  struct Candidate {
    AddressInfo info;
    io::TimePoint expires;
    io::Duration round_trip{0};  // only measured for Strategy::closest_rtt
  };

  static io::Task<> search(Ptr self, Run run);
  static io::Task<std::vector<AddressInfo>> ask_source(Ptr self);
  static io::Task<> probe_all(Ptr self, Run run, std::vector<AddressInfo> found);
  static io::Task<> probe_and_count(Ptr self, Run run, AddressInfo info,
                                    std::shared_ptr<std::size_t> running);
  static io::Task<> probe(Ptr self, Run run, AddressInfo info);
  static io::Task<> keep_reserved(Ptr self, Run run);
  static io::Task<> reserve_some(Ptr self, Run run);
  static io::Task<> try_to_reserve(Ptr self, Run run, AddressInfo relay);

  bool is(Run run) const { return current == run; }
  void stop();
  void lost(const PeerId& relay);
  void look_again();
  bool wants(const PeerId& peer);
  void forget_old();
  io::TimePoint next_expiry() const;
  std::vector<AddressInfo> in_order();

  std::shared_ptr<swarm::Swarm> swarm;
  identify::Identify identify;
  ping::Ping ping;
  relay::RelayClient* client;  // null once our owner has gone
  AutoRelayProfile profile;
  CandidateSource source;
  io::Random random;
  AutoRelayCounters counters;
  std::map<PeerId, Candidate> candidates;
  std::map<PeerId, io::TimePoint> refused_until;
  std::set<PeerId> relays;
  io::TimePoint next_source_call{};
  io::TimePoint boot_ends;
  io::Timer boot;
  io::Signal changed;
  bool look = false;  // there may be something to reserve
  Run current = 0;
  Run last_run = 0;
};

/// Sees to it that there are candidates.
io::Task<> AutoRelay::State::search(Ptr self, Run run) {
  auto& scheduler = self->swarm->scheduler();
  while (self->is(run)) {
    self->forget_old();
    if (self->candidates.size() >= self->profile.min_candidates) {
      co_await self->changed.wait_until(self->next_expiry());
      continue;
    }
    if (scheduler.now() < self->next_source_call) {
      co_await self->changed.wait_until(self->next_source_call);
      continue;
    }
    self->next_source_call = scheduler.now() + self->profile.min_source_interval;
    ++self->counters.source_calls;
    auto found = co_await ask_source(self);
    if (self->is(run)) co_await probe_all(self, run, std::move(found));
  }
}

io::Task<std::vector<AddressInfo>> AutoRelay::State::ask_source(Ptr self) {
  if (!self->profile.static_candidates.empty()) co_return self->profile.static_candidates;
  auto found = co_await self->source(self->profile.max_candidates);
  if (found.size() > self->profile.max_candidates)
    found.erase(found.begin() + static_cast<std::ptrdiff_t>(self->profile.max_candidates), found.end());
  co_return found;
}

/// All at once, until each has become a candidate or not.
io::Task<> AutoRelay::State::probe_all(Ptr self, Run run, std::vector<AddressInfo> found) {
  const auto running = std::make_shared<std::size_t>(0);
  for (auto& info : found) {
    if (!self->wants(info.peer)) continue;
    ++*running;
    io::spawn(self->swarm->scheduler().executor(), probe_and_count(self, run, std::move(info), running));
  }
  while (self->is(run) && *running > 0) co_await self->changed.wait();
}

io::Task<> AutoRelay::State::probe_and_count(Ptr self, Run run, AddressInfo info,
                                             std::shared_ptr<std::size_t> running) {
  co_await probe(self, run, std::move(info));
  --*running;
  self->changed.notify_all();
}

/// A candidate can be connected to directly, and says that it is a relay.
io::Task<> AutoRelay::State::probe(Ptr self, Run run, AddressInfo info) {
  auto& scheduler = self->swarm->scheduler();
  const auto until = scheduler.now() + self->profile.probe_limit;
  ++self->counters.probes;
  swarm::DialRequest request{info.peer, info.addresses, true, std::nullopt, self->profile.probe_limit};
  const auto dial = co_await self->swarm->dial(std::move(request));
  if (!dial.connection || !self->is(run)) co_return;
  co_await self->identify.wait_for(dial.connection);
  if (!self->is(run) || scheduler.now() >= until) co_return;
  if (!self->swarm->peers().find(info.peer).supports(relay::hop_protocol)) co_return;

  io::Duration round_trip{0};
  if (self->profile.strategy == Strategy::closest_rtt) {
    const auto measured = co_await self->ping.ping(dial.connection);
    if (!self->is(run) || !measured || scheduler.now() >= until) co_return;
    round_trip = *measured;
  }
  if (!self->wants(info.peer)) co_return;
  self->swarm->trace("relay.candidate", info.peer.short_string());
  const auto expires = scheduler.now() + self->profile.max_candidate_age;
  const auto peer = info.peer;
  self->candidates.insert_or_assign(peer, Candidate{std::move(info), expires, round_trip});
  self->look_again();
}

bool AutoRelay::State::wants(const PeerId& peer) {
  std::erase_if(refused_until,
                [now = swarm->scheduler().now()](const auto& entry) { return entry.second <= now; });
  if (relays.contains(peer) || refused_until.contains(peer)) return false;
  return candidates.contains(peer) || candidates.size() < profile.max_candidates;
}

void AutoRelay::State::forget_old() {
  std::erase_if(candidates,
                [now = swarm->scheduler().now()](const auto& entry) { return entry.second.expires <= now; });
}

io::TimePoint AutoRelay::State::next_expiry() const {
  const auto first =
      std::ranges::min_element(candidates, {}, [](const auto& entry) { return entry.second.expires; });
  return first == candidates.end() ? io::TimePoint::max() : first->second.expires;
}

/// Sees to it that there are relays, whenever something has happened that may bring one.
io::Task<> AutoRelay::State::keep_reserved(Ptr self, Run run) {
  while (self->is(run)) {
    if (std::exchange(self->look, false)) {
      co_await reserve_some(self, run);
    } else {
      co_await self->changed.wait();
    }
  }
}

io::Task<> AutoRelay::State::reserve_some(Ptr self, Run run) {
  const auto& profile = self->profile;
  self->forget_old();
  const bool booting = self->swarm->scheduler().now() < self->boot_ends;
  if (booting && self->relays.empty() && self->candidates.size() < profile.min_candidates) co_return;
  for (auto order = self->in_order(); auto& relay : order) {
    if (!self->is(run) || self->relays.size() >= profile.desired_relays) co_return;
    if (self->candidates.contains(relay.peer)) co_await try_to_reserve(self, run, std::move(relay));
  }
}

std::vector<AddressInfo> AutoRelay::State::in_order() {
  std::vector<const Candidate*> order;
  for (const auto& [peer, candidate] : candidates) order.push_back(&candidate);
  switch (profile.strategy) {
    case Strategy::random:
      for (auto left = order.size(); left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
      break;
    case Strategy::closest_rtt:
      std::ranges::stable_sort(order, {}, [](const Candidate* candidate) { return candidate->round_trip; });
      break;
    case Strategy::xor_closest:
      std::ranges::stable_sort(order, {}, [own = kademlia::key_of(swarm->id())](const Candidate* candidate) {
        return kademlia::distance(own, kademlia::key_of(candidate->info.peer));
      });
      break;
  }
  std::vector<AddressInfo> out;
  for (const auto* candidate : order) out.push_back(candidate->info);
  return out;
}

io::Task<> AutoRelay::State::try_to_reserve(Ptr self, Run run, AddressInfo relay) {
  auto& scheduler = self->swarm->scheduler();
  const auto until = scheduler.now() + self->profile.reserve_limit;
  swarm::DialRequest request{relay.peer, relay.addresses, true, std::nullopt, self->profile.reserve_limit};
  const auto dial = co_await self->swarm->dial(std::move(request));
  if (!self->is(run)) co_return;
  if (!dial.connection) {
    ++self->counters.refused;
    self->candidates.erase(relay.peer);
    self->changed.notify_all();
    co_return;
  }
  const auto reserved = co_await self->client->reserve(relay.peer, relay.addresses, until - scheduler.now());
  if (!self->is(run)) {  // nobody wants it any more, unless a new run has reserved there, too
    if (reserved && self->client && !self->relays.contains(relay.peer)) self->client->release(relay.peer);
    co_return;
  }
  self->candidates.erase(relay.peer);
  if (reserved) {
    ++self->counters.reservations;
    self->relays.insert(relay.peer);
    self->swarm->tags().protect(relay.peer, tag);
    self->swarm->trace("relay.reserved", relay.peer.short_string());
  } else {
    ++self->counters.refused;
    self->refused_until[relay.peer] = scheduler.now() + self->profile.backoff;
  }
  self->changed.notify_all();
}

void AutoRelay::State::look_again() {
  look = true;
  changed.notify_all();
}

void AutoRelay::State::lost(const PeerId& relay) {
  if (relays.erase(relay) == 0) return;
  ++counters.lost;
  swarm->tags().unprotect(relay, tag);
  swarm->trace("relay.lost", relay.short_string());
  look_again();
}

void AutoRelay::State::stop() {
  current = 0;
  boot.cancel();
  for (const auto& relay : std::exchange(relays, {})) {
    swarm->tags().unprotect(relay, tag);
    client->release(relay);
  }
  changed.notify_all();
}

AutoRelay::AutoRelay(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, ping::Ping& ping,
                     relay::RelayClient& client, AutoRelayProfile profile, CandidateSource source)
    : state_(std::make_shared<State>(std::move(swarm), std::move(identify), ping, client, std::move(profile),
                                     std::move(source))) {
  client.on_lost([weak = std::weak_ptr<State>(state_)](const PeerId& relay, std::error_code) {
    if (const auto state = weak.lock()) state->lost(relay);
  });
}

AutoRelay::~AutoRelay() {
  stop();
  state_->client = nullptr;
}

void AutoRelay::start() {
  if (running()) return;
  auto& scheduler = state_->swarm->scheduler();
  state_->current = ++state_->last_run;
  state_->look = true;
  if (scheduler.now() < state_->boot_ends) {
    state_->boot.arm_at(state_->boot_ends, [state = state_.get()] { state->look_again(); });
  }
  io::spawn(scheduler.executor(), State::search(state_, state_->current));
  io::spawn(scheduler.executor(), State::keep_reserved(state_, state_->current));
}

void AutoRelay::stop() {
  if (running()) state_->stop();
}

bool AutoRelay::running() const { return state_->current != 0; }

std::vector<PeerId> AutoRelay::relays() const { return {state_->relays.begin(), state_->relays.end()}; }
std::size_t AutoRelay::candidates() const { return state_->candidates.size(); }
const AutoRelayCounters& AutoRelay::counters() const { return state_->counters; }

}  // namespace flaresim::autorelay
