#include "protocols/identify/identify.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>

#include "protocols/crypto/peer_record.h"
#include "protocols/identify/message.h"
#include "protocols/identify/push_limiter.h"
#include "protocols/io/signal.h"

namespace flaresim::identify {

using multiformats::Multiaddr;
using swarm::ConnectionPtr;

namespace {

std::vector<std::string> one(std::string_view protocol) {
  return std::vector<std::string>(1, std::string(protocol));
}

bool starts_with_name(const Multiaddr& address) {
  using multiformats::Protocol;
  const auto first = (*address.begin()).protocol;
  return first == Protocol::dns || first == Protocol::dns4 || first == Protocol::dns6 ||
         first == Protocol::dnsaddr;
}

/// What a remote that we see there can tell others of use: go-libp2p p2p/protocol/identify/id.go filterAddrs.
void leave_out_narrower(std::vector<Multiaddr>& addresses, const Multiaddr& seen_at) {
  if (is_loopback(seen_at)) return;
  const bool in_public = seen_at.is_public();
  std::erase_if(addresses, [&](const Multiaddr& address) {
    if (!in_public) return is_loopback(address);
    return !address.is_public() && !starts_with_name(address);
  });
}

/// Reads until the remote ends its direction, no further than any message can reach.
io::Task<io::Result<Message>> read_message(io::StreamPtr stream, IdentifyProfile profile) {
  const auto longest = (profile.max_parts + 1) * (profile.max_part_bytes + 2);
  io::Bytes received;
  std::array<std::uint8_t, 1024> chunk;
  for (;;) {
    const auto got = co_await stream->read(chunk);
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) break;
    io::append(received, io::BytesView(chunk).first(*got));
    if (received.size() > longest) break;
  }
  co_return decode(received, profile);
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct Identify::State : std::enable_shared_from_this<Identify::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, IdentifyProfile with)
      : swarm(std::move(on)),
        profile(std::move(with)),
        push_limiter(profile.push_limits),
        debounce(swarm->scheduler()) {}

  /// Identify on one connection.
  struct Exchange {
    explicit Exchange(io::Scheduler& scheduler) : done(scheduler) {}

    io::Signal done;
    std::optional<io::Result<>> result;
    std::uint64_t told = 0;  // the last revision of ourselves that the remote was sent
  };
  using ExchangePtr = std::shared_ptr<Exchange>;

  /// The signed record of the addresses that were asked for last.
  struct SealedRecord {
    std::vector<Multiaddr> addresses;
    io::Bytes sealed;
  };

  ExchangePtr exchange_on(const ConnectionPtr& connection);
  static io::Task<io::Result<>> wait_for(Ptr self, ConnectionPtr connection);
  static io::Task<> ask(Ptr self, ConnectionPtr connection, ExchangePtr exchange);
  static io::Task<io::Result<Message>> ask_for_message(Ptr self, ConnectionPtr connection);
  static io::Task<> answer(Ptr self, swarm::IncomingStream in);
  static io::Task<> take_push(Ptr self, swarm::IncomingStream in);
  static io::Task<io::Result<Message>> read_push(Ptr self, swarm::IncomingStream in);
  static io::Task<> push(Ptr self, ConnectionPtr connection);

  void learn(const swarm::Connection& connection, const Message& message);
  void learn_addresses(const swarm::Connection& connection, const Message& message);
  Message own_message(const swarm::Connection& connection);
  const io::Bytes& own_record(bool for_loopback, const std::vector<Multiaddr>& addresses);

  void changed();
  std::uint64_t current_revision();
  void push_to_all();
  void push_next();
  void disconnected(const swarm::Connection& connection);

  std::shared_ptr<swarm::Swarm> swarm;
  IdentifyProfile profile;
  std::map<std::uint64_t, ExchangePtr> exchanges;  // by connection
  std::vector<Multiaddr> said_addresses;
  std::vector<std::string> said_protocols;
  std::uint64_t revision = 0;
  std::array<SealedRecord, 2> records;  // for others, and for connections over loopback
  std::uint64_t last_seq = 0;
  std::vector<std::function<void(const ConnectionPtr&)>> when_identified;
  std::vector<std::function<void(const ConnectionPtr&)>> when_pushed;
  PushLimiter push_limiter;
  io::Timer debounce;
  std::deque<ConnectionPtr> to_push;
  std::size_t pushing = 0;
};

Identify::State::ExchangePtr Identify::State::exchange_on(const ConnectionPtr& connection) {
  auto& exchange = exchanges[connection->facts().id];
  if (!exchange) {
    exchange = std::make_shared<Exchange>(swarm->scheduler());
    io::spawn(swarm->scheduler().executor(), ask(shared_from_this(), connection, exchange));
  }
  return exchange;
}

io::Task<io::Result<>> Identify::State::wait_for(Ptr self, ConnectionPtr connection) {
  const bool known = self->exchanges.contains(connection->facts().id);
  if (!known && connection->closed()) co_return io::fail(Error::connection_lost);
  const auto exchange = self->exchange_on(connection);
  while (!exchange->result) co_await exchange->done.wait();
  co_return *exchange->result;
}

io::Task<> Identify::State::ask(Ptr self, ConnectionPtr connection, ExchangePtr exchange) {
  const auto message = co_await ask_for_message(self, connection);
  if (message) {
    self->learn(*connection, *message);
    exchange->result.emplace();
    self->swarm->trace("identify.done", connection->remote().short_string());
    for (const auto& callback : self->when_identified) callback(connection);
  } else {
    exchange->result = tl::unexpected(message.error());
    self->swarm->trace("identify.failed", message.error().message());
  }
  exchange->done.notify_all();
}

io::Task<io::Result<Message>> Identify::State::ask_for_message(Ptr self, ConnectionPtr connection) {
  const auto until = self->swarm->scheduler().now() + self->profile.limit;
  auto opened = co_await connection->open_stream(one(identify_protocol), self->profile.limit);
  if (!opened) co_return tl::unexpected(opened.error());
  const io::Deadline deadline(self->swarm->scheduler(), opened->stream,
                              until - self->swarm->scheduler().now());
  auto message = co_await read_message(opened->stream, self->profile);
  // A remote that broke the protocol is told so; otherwise both directions have ended now.
  if (message) {
    co_await opened->stream->close_write();
  } else {
    opened->stream->reset(message.error());
  }
  co_return message;
}

io::Task<> Identify::State::answer(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.limit);
  if (const auto exchange = self->exchanges.find(in.connection->facts().id);
      exchange != self->exchanges.end()) {
    exchange->second->told = self->current_revision();
  }
  const auto message = encode(self->own_message(*in.connection), self->profile);
  if (const auto written = co_await in.stream->write(message); !written) co_return;
  co_await io::end_gracefully(self->swarm->scheduler(), in.stream, self->profile.limit);
}

io::Task<> Identify::State::take_push(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.limit);
  const auto message = co_await read_push(self, in);
  if (!message) {
    in.stream->reset(message.error());
    self->swarm->trace("identify.push.refused", message.error().message());
    co_return;
  }
  self->learn(*in.connection, *message);
  self->swarm->trace("identify.push.received", in.connection->remote().short_string());
  for (const auto& callback : self->when_pushed) callback(in.connection);
  co_await in.stream->close_write();
}

io::Task<io::Result<Message>> Identify::State::read_push(Ptr self, swarm::IncomingStream in) {
  const auto from = nearest_endpoint(in.connection->facts().remote_address);
  if (from && !self->push_limiter.take(from->address, self->swarm->scheduler().now()))
    co_return io::fail(Error::too_many_pushes);
  co_return co_await read_message(in.stream, self->profile);
}

io::Task<> Identify::State::push(Ptr self, ConnectionPtr connection) {
  auto opened = co_await connection->open_stream(one(push_protocol), self->profile.limit);
  if (opened) {
    const io::Deadline deadline(self->swarm->scheduler(), opened->stream, self->profile.limit);
    const auto message = encode(self->own_message(*connection), self->profile);
    if (const auto written = co_await opened->stream->write(message); written) {
      co_await io::end_gracefully(self->swarm->scheduler(), opened->stream, self->profile.limit);
      self->swarm->trace("identify.push.sent", connection->remote().short_string());
    }
  }
  --self->pushing;
  self->push_next();
}

void Identify::State::learn(const swarm::Connection& connection, const Message& message) {
  const auto& peer = connection.remote();
  auto& peers = swarm->peers();
  learn_addresses(connection, message);
  if (!message.protocols.empty()) peers.set_protocols(peer, message.protocols);
  if (!message.agent.empty()) peers.set_agent(peer, message.agent);
  if (message.observed) peers.set_observed(peer, *message.observed);
  if (message.public_key && *message.public_key != connection.facts().remote_key.to_message()) {
    swarm->trace("identify.key_ignored", peer.short_string());
  }
  const auto observer = connection.facts().remote_address.endpoint();
  // What a connection had sent is still read after its end, when nothing is left that makes us forget it.
  if (message.observed && observer && !connection.relayed() && !connection.closed()) {
    swarm->addresses().observe(connection.facts().id, connection.facts().local_address, observer->address,
                               *message.observed);
  }
}

void Identify::State::learn_addresses(const swarm::Connection& connection, const Message& message) {
  const auto& peer = connection.remote();
  auto addresses = message.listen_addresses;
  if (message.signed_record) {
    auto record = crypto::open_peer_record(*message.signed_record);
    if (record && record->peer != peer) record = io::fail(crypto::PeerRecordError::wrong_signer);
    if (!record) {
      swarm->trace("identify.record_ignored", record.error().message());
    } else if (!record->addresses.empty()) {
      addresses = std::move(record->addresses);
    }
  }
  if (addresses.empty()) return;
  if (!profile.keep_narrower_addresses) leave_out_narrower(addresses, connection.facts().remote_address);
  swarm->peers().set_addresses(peer, std::move(addresses));
}

Message Identify::State::own_message(const swarm::Connection& connection) {
  const auto& key = swarm->identity().public_key().to_message();
  Message message;
  message.public_key = key;
  message.protocols = swarm->protocols();
  message.observed = connection.facts().remote_address;
  message.protocol_version = profile.protocol_version;
  message.agent = profile.agent;

  const bool for_loopback = is_loopback(connection.facts().remote_address);
  auto addresses = swarm->addresses().advertised();
  if (!for_loopback) std::erase_if(addresses, is_loopback);

  // The record repeats the addresses, and needs a second key, a signature, and the envelope around them.
  constexpr std::size_t signature_and_frame_bytes = 256;
  const auto without_addresses = encode(message, profile).size() + key.size() + signature_and_frame_bytes;
  const auto room = profile.max_own_bytes - std::min(profile.max_own_bytes, without_addresses);
  message.listen_addresses = fitting(std::move(addresses), room);
  message.signed_record = own_record(for_loopback, message.listen_addresses);
  return message;
}

const io::Bytes& Identify::State::own_record(bool for_loopback, const std::vector<Multiaddr>& addresses) {
  auto& record = records[for_loopback ? 1 : 0];
  if (record.sealed.empty() || record.addresses != addresses) {
    // The number must grow although two records may be made in one instant.
    const auto now = static_cast<std::uint64_t>(swarm->scheduler().calendar().time_since_epoch().count());
    last_seq = std::max(last_seq + 1, now);
    record.addresses = addresses;
    record.sealed = crypto::seal_peer_record(swarm->identity(), last_seq, addresses);
  }
  return record.sealed;
}

std::uint64_t Identify::State::current_revision() {
  auto addresses = swarm->addresses().advertised();
  auto protocols = swarm->protocols();
  if (addresses != said_addresses || protocols != said_protocols) {
    said_addresses = std::move(addresses);
    said_protocols = std::move(protocols);
    ++revision;
  }
  return revision;
}

void Identify::State::changed() {
  // Without connections there is nobody to tell, and nothing to wait for.
  if (exchanges.empty() || debounce.armed() || swarm->shutting_down()) return;
  debounce.arm_after(profile.push_debounce, [this] { push_to_all(); });
}

void Identify::State::push_to_all() {
  const auto now = current_revision();
  for (const auto& connection : swarm->connections()) {
    const auto exchange = exchanges.find(connection->facts().id);
    if (exchange == exchanges.end() || exchange->second->told == now) continue;
    if (connection != swarm->connection_to(connection->remote())) continue;
    if (!swarm->peers().find(connection->remote()).supports(push_protocol)) continue;
    exchange->second->told = now;
    to_push.push_back(connection);
  }
  push_next();
}

void Identify::State::push_next() {
  while (pushing < profile.max_concurrent_pushes && !to_push.empty()) {
    const auto connection = std::move(to_push.front());
    to_push.pop_front();
    if (connection->closed()) continue;
    ++pushing;
    io::spawn(swarm->scheduler().executor(), push(shared_from_this(), connection));
  }
}

void Identify::State::disconnected(const swarm::Connection& connection) {
  exchanges.erase(connection.facts().id);
  if (exchanges.empty()) debounce.cancel();
}

Identify::Identify(std::shared_ptr<swarm::Swarm> swarm, IdentifyProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), std::move(profile))) {
  const std::weak_ptr<State> weak = state_;
  auto& on = *state_->swarm;
  on.handle(
      std::string(identify_protocol),
      [weak](swarm::IncomingStream in) { return State::answer(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
  on.handle(
      std::string(push_protocol),
      [weak](swarm::IncomingStream in) { return State::take_push(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
  on.on_connected([weak](const ConnectionPtr& connection) {
    if (const auto state = weak.lock()) state->exchange_on(connection);
  });
  on.on_disconnected([weak](const ConnectionPtr& connection) {
    if (const auto state = weak.lock()) state->disconnected(*connection);
  });
  on.addresses().on_change([weak] {
    if (const auto state = weak.lock()) state->changed();
  });
}

io::Task<io::Result<>> Identify::wait_for(ConnectionPtr connection) {
  return State::wait_for(state_, std::move(connection));
}

void Identify::announce() { state_->changed(); }

void Identify::on_pushed(std::function<void(const ConnectionPtr&)> callback) {
  state_->when_pushed.push_back(std::move(callback));
}

void Identify::on_identified(std::function<void(const ConnectionPtr&)> callback) {
  state_->when_identified.push_back(std::move(callback));
}

}  // namespace flaresim::identify
