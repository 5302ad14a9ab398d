#include <algorithm>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::PeerId;

namespace {

constexpr std::string_view table_tag = "kbucket";  // go-libp2p-kad-dht dht.go kbucketTag
constexpr int table_value = 5;                     // ... baseConnMgrScore
constexpr std::size_t protected_prefixes = 2;      // ... protectedBuckets

}  // namespace

bool Dht::State::is_server(const PeerId& peer) const { return swarm->peers().find(peer).supports(protocol); }

/// The remote has said who it is, for the first time or anew.
void Dht::State::peer_found(const swarm::ConnectionPtr& connection) {
  if (stopped) return;
  const auto peer = connection->remote();
  auto addresses = direct(swarm->peers().find(peer).addresses);
  if (!is_server(peer) || addresses.empty()) {
    drop(peer);
  } else if (table.find(peer)) {
    table.set_addresses(peer, PackedAddresses(addresses));
  } else if (swarm->direct_connection_to(peer) && table.has_room_for(peer, now()) &&
             checking < profile.max_checks) {
    ++checking;
    io::spawn(scheduler().executor(), check_newcomer(shared_from_this(), peer));
  }
}

io::Task<> Dht::State::check_newcomer(Ptr self, PeerId peer) {
  const bool is_good = co_await check(self, peer);
  --self->checking;
  if (is_good) self->admit(peer);
}

/// Whether a connected peer answers. It has to name somebody, unless we know too few ourselves to be choosy
/// (go-libp2p-kad-dht dht.go lookupCheck).
io::Task<bool> Dht::State::check(Ptr self, PeerId peer) {
  Message question{MessageType::find_node, io::to_bytes(peer.bytes())};
  const auto answer = co_await request(self, peer, std::move(question));
  co_return answer && (!answer->closer_peers.empty() || self->table.size() < self->profile.k);
}

void Dht::State::admit(const PeerId& peer) {
  if (stopped || !is_server(peer)) return;
  auto addresses = direct(swarm->peers().find(peer).addresses);
  if (addresses.empty()) return;
  if (table.find(peer)) {
    table.note_answer(peer, now());
    return;
  }
  if (table.size() == 0) {
    bootstrapping = true;
    refreshes = 0;
  }
  const auto addition = table.add(peer, PackedAddresses(addresses), groups_of(peer), now(), bootstrapping);
  if (addition.outcome != RoutingTable::Outcome::added) return;
  if (addition.evicted) untag(*addition.evicted);
  tag(peer);
  for (const auto& callback : when_admitted) callback(peer);
  fill_if_low();
}

void Dht::State::drop(const PeerId& peer) {
  if (stopped || !table.remove(peer)) return;
  untag(peer);
  fill_if_low();
}

void Dht::State::tag(const PeerId& peer) {
  if (common_prefix_length(place, key_of(peer)) < protected_prefixes) {
    swarm->tags().protect(peer, table_tag);
  } else {
    swarm->tags().tag(peer, table_tag, table_value);
  }
}

void Dht::State::untag(const PeerId& peer) {
  swarm->tags().unprotect(peer, table_tag);
  swarm->tags().untag(peer, table_tag);
}

/// Where it is seen from here: what it says of its addresses, it may say as it likes.
IpGroups Dht::State::groups_of(const PeerId& peer) const {
  IpGroups out{};
  for (const auto& connection : swarm->connections(peer)) {
    const auto remote = connection->facts().remote_address.endpoint();
    if (connection->relayed() || !remote) continue;
    out[remote->address.is_v4() ? 0 : 1] = ip_group(remote->address);
  }
  return out;
}

/// Looks after a table with few peers, now or in a while.
void Dht::State::fill_if_low() {
  fill_wanted = false;
  if (stopped || table.size() > profile.low_peers) {
    fill_wanted = false;
  } else if (filling) {
    fill_wanted = true;
  } else if (now() < next_fill) {
    fill_wanted = true;
    arm();
  } else {
    filling = true;
    next_fill = now() + profile.low_peers_gap;
    io::spawn(scheduler().executor(), fill(shared_from_this()));
  }
}

io::Task<> Dht::State::fill(Ptr self) {
  for (const auto connections = self->swarm->connections(); const auto& connection : connections) {
    self->peer_found(connection);
  }
  if (self->table.size() == 0) co_await connect_to_bootstrap_peers(self);
  self->filling = false;
  if (self->stopped) co_return;
  if (self->table.size() > 0) self->start_refresh(false);
  self->arm();
}

/// In random order, until enough have answered: not all newcomers shall come to the same one.
io::Task<> Dht::State::connect_to_bootstrap_peers(Ptr self) {
  auto peers = self->bootstrap_peers;
  for (auto i = peers.size(); i > 1; --i) std::swap(peers[i - 1], peers[self->random.below(i)]);
  std::size_t found = 0;
  for (const auto& [peer, addresses] : peers) {
    if (self->stopped || found == self->profile.max_bootstrap_peers) co_return;
    if (peer == self->swarm->id()) continue;
    const auto connected = co_await connect(self, peer, addresses);
    if (!connected) continue;
    const bool is_good = co_await check(self, peer);
    if (!is_good) continue;
    self->admit(peer);
    ++found;
  }
}

void Dht::State::start_refresh(bool all) {
  if (stopped || table.size() == 0) return;
  refresh_all = refresh_all || all;
  if (refreshing) {
    refresh_wanted = true;
    return;
  }
  refreshing = true;
  io::spawn(scheduler().executor(), refresh(shared_from_this()));
}

io::Task<> Dht::State::refresh(Ptr self) {
  do {
    self->refresh_wanted = false;
    const bool all = std::exchange(self->refresh_all, false);
    co_await refresh_once(self, all);
  } while (self->refresh_wanted && !self->stopped);
  self->refreshing = false;
}

io::Task<> Dht::State::refresh_once(Ptr self, bool all) {
  co_await check_silent(self);
  const auto lookup = self->new_lookup(io::to_bytes(self->swarm->id().bytes()), MessageType::find_node);
  co_await look_up(self, lookup, self->profile.refresh_lookup_limit);
  self->end_first_self_lookup();
  if (self->profile.refresh) co_await refresh_prefixes(self, all);
  if (self->stopped) co_return;
  // Until now whoever came first had a place; those who come later may be the better ones.
  if (++self->refreshes == 2) self->settle_at = self->now() + self->profile.settle_delay;
  if (std::exchange(self->bootstrapping, false)) self->refresh_wanted = true;
  self->arm();
}

/// As far as anybody is known, but from the first gap on only as far again (go-libp2p-kad-dht rtrefresh doRefresh).
io::Task<> Dht::State::refresh_prefixes(Ptr self, bool all) {
  auto last = std::min(self->table.longest_prefix(), max_refresh_prefix);
  bool gap = false;
  for (std::size_t prefix = 0; prefix <= last && !self->stopped; ++prefix) {
    co_await refresh_prefix(self, prefix, all);
    if (!gap && self->table.size_at(prefix) == 0) {
      gap = true;
      last = std::min(last, 2 * (prefix + 1));
    }
  }
}

io::Task<> Dht::State::refresh_prefix(Ptr self, std::size_t prefix, bool all) {
  const auto& before = self->refreshed_at[prefix];
  if (!all && before && self->now() - *before <= self->profile.refresh_interval) co_return;
  auto key = random_id_at(self->place, prefix, self->random);
  const auto lookup = self->new_lookup(std::move(key), MessageType::find_node);
  co_await look_up(self, lookup, self->profile.refresh_lookup_limit);
}

/// Asks those who have not answered for longer than refreshing lets one expect.
io::Task<> Dht::State::check_silent(Ptr self) {
  const auto silence = self->profile.silence_limit();
  std::vector<PeerId> silent;
  for (const auto& bucket : self->table.buckets()) {
    for (const auto& each : bucket) {
      if (self->now() - each.answered_at > silence) silent.push_back(each.peer);
    }
  }
  for (const auto& peer : silent) {
    if (self->stopped) co_return;
    auto addresses = self->direct(self->addresses_of(peer));
    const auto connected = co_await connect(self, peer, std::move(addresses));
    bool is_good = false;
    if (connected) is_good = co_await check(self, peer);
    if (is_good) {
      self->admit(peer);
    } else if (!self->swarm->shutting_down()) {
      self->drop(peer);
    }
  }
}

void Dht::State::end_first_self_lookup() {
  first_self_lookup_ended = true;
  looked_for_self.notify_all();
}

io::Duration Dht::State::jittered(io::Duration period) {
  const auto part = 1 + profile.jitter * (2 * random.uniform() - 1);
  return io::Duration(static_cast<io::Duration::rep>(static_cast<double>(period.count()) * part));
}

void Dht::State::tick() {
  const auto at = now();
  if (at >= next_low_check) {
    next_low_check = at + jittered(profile.low_peers_interval);
    fill_if_low();
  }
  if (fill_wanted && !filling && at >= next_fill) fill_if_low();
  if (profile.refresh && at >= next_refresh) {
    next_refresh = at + jittered(profile.refresh_interval);
    start_refresh(false);
  }
  if (at >= next_cleanup) {
    next_cleanup = at + profile.cleanup_interval;
    records.remove_expired(scheduler().calendar());
    providers.remove_expired(at);
  }
  if (settle_at && at >= *settle_at) {
    settle_at.reset();
    table.settle();
  }
  for (auto& [key, due] : provided) {
    if (at < due) continue;
    due = at + profile.republish_interval;
    io::spawn(scheduler().executor(), republish(shared_from_this(), key));
  }
  end_idle_streams();
  arm();
}

/// One alarm for all that is to be done: there may be thousands of us.
void Dht::State::arm() {
  if (stopped) return;
  auto next = std::min(next_low_check, next_cleanup);
  const auto consider = [&](io::TimePoint at) { next = std::min(next, at); };
  if (profile.refresh) consider(next_refresh);
  if (fill_wanted && !filling) consider(next_fill);
  if (settle_at) consider(*settle_at);
  if (!idle.empty()) consider(idle.front().since + profile.client_idle_limit);
  if (!inbound.empty()) consider(inbound.front().since + profile.server_idle_limit);
  for (const auto& [key, due] : provided) consider(due);
  if (timer.armed() && armed_for == next) return;
  armed_for = next;
  timer.arm_at(next, [this] { tick(); });
}

void Dht::State::stop() {
  if (std::exchange(stopped, true)) return;
  timer.cancel();
  if (mode == Mode::server) swarm->unhandle(protocol);
  mode = Mode::client;
  reset_inbound(Error::stopped);
  for (const auto& each : idle) each.stream->reset(Error::stopped);
  idle.clear();
  for (const auto running = exchanging; const auto& stream : running) stream->reset(Error::stopped);
  for (const auto& lookup : lookups) lookup->news.notify_all();
  for (const auto& bucket : table.buckets()) {
    for (const auto& each : bucket) untag(each.peer);
  }
  provided.clear();
  end_first_self_lookup();
}

}  // namespace flaresim::kademlia
