#include <algorithm>
#include <utility>

#include "protocols/kademlia/state.h"

namespace flaresim::kademlia {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;

io::Task<io::Result<ConnectionPtr>> Dht::State::connect(Ptr self, PeerId peer,
                                                        std::vector<Multiaddr> addresses) {
  auto connection = self->swarm->direct_connection_to(peer);
  if (!connection) {
    swarm::DialRequest dial{peer, std::move(addresses), true};
    dial.limit = self->profile.dial_limit;
    auto report = co_await self->swarm->dial(std::move(dial));
    if (!report.connection) co_return tl::unexpected(report.error);
    connection = std::move(report.connection);
  }
  // As in go-libp2p, a connection is of use once the remote has said what it is.
  if (const auto identified = co_await self->identify.wait_for(connection); !identified) {
    co_return tl::unexpected(identified.error());
  }
  if (!self->is_server(peer)) co_return io::fail(Error::not_a_server);
  co_return connection;
}

io::Task<io::Result<Message>> Dht::State::request(Ptr self, PeerId peer, Message message) {
  if (self->stopped) co_return io::fail(Error::stopped);
  ++self->requesting;
  ++self->counters.requests_sent;
  auto answer = co_await try_request(self, peer, std::move(message));
  if (!answer) ++self->counters.requests_failed;
  --self->requesting;
  co_return answer;
}

/// What fails on its way is tried once more: the remote may have ended a stream that was idle for too long, or either of us
/// closed the connection to make room (go-libp2p-kad-dht internal/net/message_manager.go SendRequest).
io::Task<io::Result<Message>> Dht::State::try_request(Ptr self, PeerId peer, Message message) {
  for (bool again = true;; again = false) {
    const auto stream = co_await stream_to(self, peer);
    if (!stream) co_return tl::unexpected(stream.error());
    auto answer = co_await exchange(self, *stream, message);
    if (answer) {
      self->keep_idle(peer, *stream);
      co_return answer;
    }
    (*stream)->reset(answer.error());
    if (!again || self->stopped) co_return answer;
  }
}

io::Task<io::Result<io::StreamPtr>> Dht::State::stream_to(Ptr self, PeerId peer) {
  if (auto kept = self->take_idle(peer)) co_return kept;
  auto connection = self->swarm->direct_connection_to(peer);
  if (!connection) {
    auto addresses = self->direct(self->addresses_of(peer));
    auto connected = co_await connect(self, peer, std::move(addresses));
    if (!connected) co_return tl::unexpected(connected.error());
    connection = std::move(*connected);
  }
  std::vector<std::string> protocols(1, self->protocol);
  auto opened = co_await connection->open_stream(std::move(protocols), self->profile.request_limit);
  if (!opened) co_return tl::unexpected(opened.error());
  co_return std::move(opened->stream);
}

io::Task<io::Result<Message>> Dht::State::exchange(Ptr self, io::StreamPtr stream, Message message) {
  if (self->stopped) co_return io::fail(Error::stopped);
  struct Place {
    Place(std::list<io::StreamPtr>& list, io::StreamPtr what)
        : in(list), at(in.insert(in.end(), std::move(what))) {}
    ~Place() { in.erase(at); }
    std::list<io::StreamPtr>& in;
    std::list<io::StreamPtr>::iterator at;
  } const place(self->exchanging, stream);
  const io::Deadline deadline(self->scheduler(), stream, self->profile.request_limit);

  const auto bytes = encode(message);
  if (const auto written = co_await io::write_delimited(*stream, bytes); !written) {
    co_return tl::unexpected(written.error());
  }
  if (message.type == MessageType::add_provider) co_return Message{message.type};
  const auto received = co_await io::read_delimited(*stream, self->profile.max_answer_bytes);
  if (!received) co_return tl::unexpected(received.error());
  auto answer = decode(*received, {.max_closer_peers = 2 * self->profile.k});
  if (answer && answer->type != message.type) answer = io::fail(Error::unexpected_answer);
  if (!answer) ++self->counters.malformed;
  co_return answer;
}

io::StreamPtr Dht::State::take_idle(const PeerId& peer) {
  const auto found = std::ranges::find(idle, peer, &Inbound::peer);
  if (found == idle.end()) return nullptr;
  auto stream = std::move(found->stream);
  idle.erase(found);
  return stream;
}

void Dht::State::keep_idle(const PeerId& peer, io::StreamPtr stream) {
  const bool known = std::ranges::find(idle, peer, &Inbound::peer) != idle.end();
  if (stopped || known || idle.size() >= profile.max_idle_streams) {
    io::spawn(scheduler().executor(), io::end_gracefully(scheduler(), stream, profile.request_limit));
    return;
  }
  idle.push_back({peer, std::move(stream), now()});
  arm();
}

void Dht::State::end_idle_streams() {
  while (!idle.empty() && now() - idle.front().since >= profile.client_idle_limit) {
    auto stream = std::move(idle.front().stream);
    idle.pop_front();
    io::spawn(scheduler().executor(), io::end_gracefully(scheduler(), stream, profile.request_limit));
  }
  while (!inbound.empty() && now() - inbound.front().since >= profile.server_idle_limit) {
    inbound.front().stream->reset(Error::idle);
    inbound.front().since = now();  // its coroutine is about to take it off the list
    inbound.splice(inbound.end(), inbound, inbound.begin());
  }
}

io::Task<bool> Dht::State::tell(Ptr self, PeerId peer, Message message) {
  auto addresses = self->direct(self->addresses_of(peer));
  if (const auto connected = co_await connect(self, peer, std::move(addresses)); !connected) co_return false;
  const bool is_value = message.type == MessageType::put_value;
  const auto value = message.record ? message.record->value : io::Bytes{};
  const auto answer = co_await request(self, peer, std::move(message));
  if (!answer) co_return false;
  co_return !is_value || (answer->record && answer->record->value == value);
}

}  // namespace flaresim::kademlia
