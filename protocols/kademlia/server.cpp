#include <algorithm>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::PeerId;

io::Task<> Dht::State::serve(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  const auto peer = in.connection->remote();
  const auto of_peer = std::ranges::count(self->inbound, peer, &Inbound::peer);
  if (self->mode == Mode::client || self->stopped) {
    in.stream->reset(Error::client_mode);
    co_return;
  }
  if (self->inbound.size() >= self->profile.max_inbound_streams ||
      static_cast<std::size_t>(of_peer) >= self->profile.max_inbound_streams_per_peer) {
    in.stream->reset(Error::too_many_streams);
    co_return;
  }
  const auto place = self->inbound.insert(self->inbound.end(), {peer, in.stream, self->now()});
  self->arm();
  const auto why = co_await serve_requests(self, peer, in.stream, place);
  self->inbound.erase(place);
  if (why == std::errc::connection_aborted) {  // the remote has said all that it wanted
    co_await in.stream->close_write();
  } else {
    in.stream->reset(why);
  }
}

io::Task<std::error_code> Dht::State::serve_requests(Ptr self, PeerId peer, io::StreamPtr stream,
                                                     std::list<Inbound>::iterator place) {
  for (;;) {
    const auto received = co_await io::read_delimited(*stream, self->profile.max_request_bytes);
    if (!received) co_return received.error();
    place->since = self->now();
    self->inbound.splice(self->inbound.end(), self->inbound, place);

    auto request = decode(*received, {.max_closer_peers = 0});
    io::Result<std::optional<Message>> answer;
    if (request) {
      answer = self->handle(peer, std::move(*request));
    } else {
      answer = tl::unexpected(request.error());
    }
    if (!answer) {
      ++self->counters.malformed;
      co_return answer.error();
    }
    ++self->counters.requests_answered;
    if (!*answer) continue;
    const auto bytes = encode(**answer);
    ++self->answering;
    const auto written = co_await io::write_delimited(*stream, bytes);
    --self->answering;
    if (!written) co_return written.error();
  }
}

io::Result<std::optional<Message>> Dht::State::handle(const PeerId& from, Message request) {
  switch (request.type) {
    case MessageType::find_node:
      return handle_find_node(from, request);
    case MessageType::get_value:
      return handle_get_value(from, request);
    case MessageType::put_value:
      return handle_put_value(std::move(request));
    case MessageType::add_provider:
      return handle_add_provider(from, request);
    case MessageType::get_providers:
      return handle_get_providers(from, request);
    case MessageType::ping:
      return Message{MessageType::ping, std::move(request.key)};
  }
  return io::fail(Error::unknown_type);
}

/// Neither ourselves nor who asks (libp2p/specs kad-dht/README.md, FIND_NODE).
std::vector<PeerEntry> Dht::State::closer_peers(io::BytesView key, const PeerId& asker) const {
  std::vector<PeerEntry> out;
  for (const auto* entry : table.nearest(key_of(key), profile.k + 1)) {
    if (entry->peer == asker || out.size() == profile.k) continue;
    out.push_back(entry_of(entry->peer, entry->addresses.unpacked()));
  }
  return out;
}

/// The target goes first, whoever it is, if anything is known of where it is (go-libp2p-kad-dht handlers.go
/// handleFindPeer).
io::Result<std::optional<Message>> Dht::State::handle_find_node(const PeerId& from, const Message& request) {
  if (request.key.empty()) return io::fail(Error::bad_key);
  Message answer{MessageType::find_node};
  answer.closer_peers = closer_peers(request.key, from);
  if (const auto target = PeerId::from_bytes(request.key)) {
    std::erase_if(answer.closer_peers, [&](const PeerEntry& entry) { return entry.peer == *target; });
    if (auto addresses = usable(addresses_of(*target)); !addresses.empty()) {
      answer.closer_peers.insert(answer.closer_peers.begin(), entry_of(*target, std::move(addresses)));
    }
  }
  return answer;
}

io::Result<std::optional<Message>> Dht::State::handle_get_value(const PeerId& from, const Message& request) {
  if (request.key.empty()) return io::fail(Error::bad_key);
  Message answer{MessageType::get_value, request.key};
  if (const auto* stored = records.find(request.key, scheduler().calendar())) {
    answer.record = Record{request.key, stored->value, to_rfc3339(stored->received)};
  }
  answer.closer_peers = closer_peers(request.key, from);
  return answer;
}

io::Result<std::optional<Message>> Dht::State::handle_put_value(Message request) {
  if (request.key.empty()) return io::fail(Error::bad_key);
  if (!request.record) return io::fail(Error::malformed);
  if (request.record->key != request.key) return io::fail(Error::key_mismatch);
  const auto* validator = validator_of(request.key);
  if (!validator) return io::fail(Error::no_validator);
  const auto stored = records.put(request.key, request.record->value, *validator, scheduler().calendar());
  if (!stored) return tl::unexpected(stored.error());
  // The request is the answer, without the peers that have no business in either.
  return Message{MessageType::put_value, std::move(request.key), std::move(request.record)};
}

io::Result<std::optional<Message>> Dht::State::handle_add_provider(const PeerId& from,
                                                                   const Message& request) {
  if (request.key.empty() || request.key.size() > profile.max_key_bytes) return io::fail(Error::bad_key);
  const auto said = std::ranges::find_if(request.provider_peers, [&](const PeerEntry& entry) {
    return entry.peer == from && !entry.addresses.empty();
  });
  if (said == request.provider_peers.end()) return io::fail(Error::no_valid_provider);
  const auto stored = providers.add(request.key, {from, usable(said->addresses)}, now());
  if (!stored) return tl::unexpected(stored.error());
  return std::nullopt;
}

io::Result<std::optional<Message>> Dht::State::handle_get_providers(const PeerId& from,
                                                                    const Message& request) {
  if (request.key.empty() || request.key.size() > profile.max_key_bytes) return io::fail(Error::bad_key);
  Message answer{MessageType::get_providers, request.key};
  answer.closer_peers = closer_peers(request.key, from);
  for (auto& provider : providers.find(request.key, now())) {
    auto addresses = std::move(provider.addresses);
    if (addresses.empty()) addresses = usable(addresses_of(provider.peer));
    answer.provider_peers.push_back(entry_of(provider.peer, std::move(addresses)));
  }
  return answer;
}

void Dht::State::reset_inbound(std::error_code why) {
  for (const auto& each : inbound) each.stream->reset(why);
}

}  // namespace flaresim::kademlia
