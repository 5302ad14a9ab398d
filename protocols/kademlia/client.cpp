#include <algorithm>
#include <set>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::PeerId;

const Validator* Dht::State::validator_of(io::BytesView key) const {
  const auto name_space = namespace_of(key);
  if (!name_space) return nullptr;
  const auto found = validators.find(*name_space);
  return found == validators.end() ? nullptr : found->second.get();
}

io::Task<io::Result<Dht::Found>> Dht::State::find_peer(Ptr self, PeerId peer) {
  if (self->swarm->connection_to(peer)) {
    if (auto known = self->usable(self->addresses_of(peer)); !known.empty()) {
      co_return Found{{peer, std::move(known)}, {}};
    }
  }
  if (self->table.size() == 0) co_return io::fail(Error::no_peers);
  const auto lookup = self->new_lookup(io::to_bytes(peer.bytes()), MessageType::find_node);
  std::vector<multiformats::Multiaddr> found;
  // Who is connected to it knows best where it is; what others say may be as old as their last connection to it.
  lookup->on_answer = [&, raw = lookup.get()](const PeerId& from, const Message& answer) {
    for (const auto& entry : answer.closer_peers) {
      if (entry.peer != peer) continue;
      auto addresses = self->usable(entry.addresses);
      const bool is_sure = from == peer || entry.connection == ConnectionType::connected;
      if (is_sure && !addresses.empty()) raw->enough = true;
      for (auto& address : addresses) {
        const auto known = std::ranges::find(found, address);
        if (known != found.end() && !is_sure) continue;
        if (known != found.end()) found.erase(known);
        found.insert(is_sure ? found.begin() : found.end(), std::move(address));
      }
    }
    if (from == peer) raw->enough = true;
  };
  auto report = co_await look_up(self, lookup, self->profile.lookup_limit);
  lookup->on_answer = nullptr;
  if (found.empty()) found = self->usable(self->addresses_of(peer));
  if (self->stopped) co_return io::fail(Error::stopped);
  if (found.empty()) co_return io::fail(Error::not_found);
  co_return Found{{peer, std::move(found)}, std::move(report)};
}

io::Task<std::size_t> Dht::State::tell_all(Ptr self, std::vector<PeerId> peers, Message message) {
  struct Gathering {
    explicit Gathering(io::Scheduler& scheduler) : news(scheduler) {}
    std::size_t left = 0;
    std::size_t took_it = 0;
    io::Signal news;
  };
  const auto gathering = std::make_shared<Gathering>(self->scheduler());
  gathering->left = peers.size();
  constexpr auto tell_one = [](Ptr state, PeerId peer, Message what,
                               std::shared_ptr<Gathering> into) -> io::Task<> {
    if (co_await tell(state, peer, std::move(what))) ++into->took_it;
    --into->left;
    into->news.notify_all();
  };
  for (const auto& peer : peers) {
    io::spawn(self->scheduler().executor(), tell_one(self, peer, message, gathering));
  }
  while (gathering->left > 0 && !self->stopped) co_await gathering->news.wait();
  co_return gathering->took_it;
}

namespace {

std::vector<PeerId> peers_of(const std::vector<swarm::AddressInfo>& infos) {
  std::vector<PeerId> out;
  for (const auto& info : infos) out.push_back(info.peer);
  return out;
}

}  // namespace

io::Task<io::Result<>> Dht::State::put_value(Ptr self, io::Bytes key, io::Bytes value) {
  const auto* validator = self->validator_of(key);
  if (!validator) co_return io::fail(Error::no_validator);
  const auto received = self->scheduler().calendar();
  if (auto stored = self->records.put(key, value, *validator, received); !stored) co_return stored;
  if (self->table.size() == 0) co_return io::fail(Error::no_peers);
  const auto lookup = self->new_lookup(key, MessageType::find_node);
  const auto report = co_await look_up(self, lookup, self->profile.lookup_limit);
  Message message{MessageType::put_value, key, Record{key, std::move(value), to_rfc3339(received)}};
  const auto took_it = co_await tell_all(self, peers_of(report.closest), std::move(message));
  if (took_it == 0) co_return io::fail(self->stopped ? Error::stopped : Error::not_stored);
  co_return io::Result<>{};
}

namespace {

/// The best of the values that came in, and who has it.
struct Values {
  io::Bytes key;
  const Validator& validator;
  std::optional<io::Bytes> best{};
  std::set<PeerId> holders{};
  std::size_t count = 0;

  void add(const PeerId& from, const io::Bytes& value) {
    if (!validator.validate(key, value)) return;
    ++count;
    if (best && *best != value) {
      const std::vector<io::Bytes> both{*best, value};
      if (validator.select(key, both) != 1) return;
      holders.clear();
    }
    best = value;
    holders.insert(from);
  }
};

}  // namespace

io::Task<io::Result<io::Bytes>> Dht::State::get_value(Ptr self, io::Bytes key) {
  const auto name_space = namespace_of(key);
  const auto found = name_space ? self->validators.find(*name_space) : self->validators.end();
  if (found == self->validators.end()) co_return io::fail(Error::no_validator);
  const auto validator = found->second;  // may be replaced while we wait
  const auto values = std::make_shared<Values>(Values{key, *validator});
  if (const auto* stored = self->records.find(key, self->scheduler().calendar())) {
    values->add(self->swarm->id(), stored->value);
  }
  if (self->table.size() == 0 && !values->best) co_return io::fail(Error::no_peers);

  const auto lookup = self->new_lookup(key, MessageType::get_value);
  const auto quorum = self->profile.quorum;
  lookup->on_answer = [values, quorum, raw = lookup.get()](const PeerId& from, const Message& answer) {
    if (!answer.record || answer.record->key != values->key) return;
    values->add(from, answer.record->value);
    if (quorum > 0 && values->count >= quorum) raw->enough = true;
  };
  const auto report = co_await look_up(self, lookup, self->profile.lookup_limit);
  lookup->on_answer = nullptr;
  if (self->stopped) co_return io::fail(Error::stopped);
  if (!values->best) co_return io::fail(Error::not_found);
  auto outdated = peers_of(report.closest);
  std::erase_if(outdated, [&](const PeerId& peer) { return values->holders.contains(peer); });
  Message correction{MessageType::put_value, key, Record{key, *values->best, {}}};
  constexpr auto correct = [](Ptr state, std::vector<PeerId> peers, Message message) -> io::Task<> {
    co_await tell_all(state, std::move(peers), std::move(message));
  };
  io::spawn(self->scheduler().executor(), correct(self, std::move(outdated), std::move(correction)));
  co_return *values->best;
}

io::Task<io::Result<>> Dht::State::provide(Ptr self, io::Bytes key) {
  if (key.empty() || key.size() > self->profile.max_key_bytes) co_return io::fail(Error::bad_key);
  if (!self->provided.contains(key) && self->provided.size() >= self->profile.max_provided_keys) {
    co_return io::fail(Error::store_full);
  }
  self->provided[key] = self->now() + self->profile.republish_interval;
  self->arm();
  co_return co_await announce_provider(self, std::move(key));
}

io::Task<io::Result<>> Dht::State::announce_provider(Ptr self, io::Bytes key) {
  const auto stored = self->providers.add(key, {self->swarm->id()}, self->now());
  if (!stored) co_return stored;
  auto addresses = self->usable(self->swarm->addresses().advertised());
  if (addresses.empty()) co_return io::fail(Error::no_address);
  if (self->table.size() == 0) co_return io::fail(Error::no_peers);
  const auto lookup = self->new_lookup(key, MessageType::find_node);
  const auto report = co_await look_up(self, lookup, self->profile.lookup_limit);
  Message message{MessageType::add_provider, std::move(key)};
  message.provider_peers.push_back(self->entry_of(self->swarm->id(), std::move(addresses)));
  const auto took_it = co_await tell_all(self, peers_of(report.closest), std::move(message));
  if (took_it == 0) co_return io::fail(self->stopped ? Error::stopped : Error::not_stored);
  co_return io::Result<>{};
}

io::Task<> Dht::State::republish(Ptr self, io::Bytes key) {
  const auto announced = co_await announce_provider(self, std::move(key));
  if (!announced && !self->stopped) self->swarm->trace("dht.republish.failed", announced.error().message());
}

io::Task<std::vector<swarm::AddressInfo>> Dht::State::find_providers(Ptr self, io::Bytes key,
                                                                     std::size_t enough) {
  std::vector<swarm::AddressInfo> out;
  const auto add = [&](const PeerId& peer, std::vector<multiformats::Multiaddr> addresses) {
    const auto known = std::ranges::find(out, peer, &swarm::AddressInfo::peer);
    if (known == out.end()) {
      out.push_back({peer, std::move(addresses)});
    } else if (known->addresses.empty()) {
      known->addresses = std::move(addresses);
    }
  };
  for (const auto& provider : self->providers.find(key, self->now())) {
    add(provider.peer, self->usable(self->addresses_of(provider.peer)));
  }
  const auto has_enough = [&] { return enough > 0 && out.size() >= enough; };
  if (has_enough() || self->table.size() == 0) co_return out;

  const auto lookup = self->new_lookup(key, MessageType::get_providers);
  lookup->on_answer = [&, raw = lookup.get()](const PeerId&, const Message& answer) {
    for (const auto& entry : answer.provider_peers) {
      if (has_enough()) break;
      add(entry.peer, self->usable(entry.addresses));
    }
    if (has_enough()) raw->enough = true;
  };
  co_await look_up(self, lookup, self->profile.lookup_limit);
  lookup->on_answer = nullptr;
  co_return out;
}

}  // namespace flaresim::kademlia
