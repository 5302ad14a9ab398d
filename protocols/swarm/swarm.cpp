#include "protocols/swarm/swarm.h"

#include <algorithm>
#include <stdexcept>

#include "protocols/swarm/dial.h"
#include "protocols/swarm/state.h"

namespace flaresim::swarm {

using multiformats::Multiaddr;
using multiformats::PeerId;
using multiformats::Transport;

Swarm::State::State(io::Network& on, crypto::PrivateKey key, SwarmProfile with)
    : network(on),
      scheduler(on.scheduler()),
      identity(std::move(key)),
      id(identity.public_key().peer_id()),
      profile(with),
      random(on.random(profile.random_stream)),
      peers(on.scheduler(), with.peers),
      addresses(with.observed),
      tcp_dial_ended(on.scheduler()),
      backoff(with.backoff) {
  if (profile.noise != security::NoiseMode::real && !network.is_simulated())
    throw std::logic_error("modelled cryptography on a network that is real");
}

void Swarm::State::say(std::string_view what, const std::string& detail) const {
  if (trace) trace(what, detail);
}

ConnectionPtr Swarm::State::best(const PeerId& peer, bool direct_only) const {
  const auto known = by_peer.find(peer);
  if (known == by_peer.end()) return nullptr;
  ConnectionPtr found;
  for (const auto& connection : known->second) {
    if (connection->closed()) continue;
    if (!connection->relayed()) return connection;
    if (!direct_only && (!found || (found->limited() && !connection->limited()))) found = connection;
  }
  return found;
}

std::optional<std::uint16_t> Swarm::State::listening_port(const io::IpAddress& remote) const {
  for (const auto& listener : listeners) {
    const auto local = listener->local();
    // A loopback listener cannot reach the world, nor can any other reach it from its own address.
    if (local.address.is_v4() == remote.is_v4() && local.address.is_loopback() == remote.is_loopback()) {
      return local.port;
    }
  }
  for (const auto& listener : listeners) {
    const auto local = listener->local();
    if (local.address.is_v4() == remote.is_v4() && local.address.is_unspecified()) return local.port;
  }
  return std::nullopt;
}

std::size_t Swarm::State::connections_to(const PeerId& peer) const {
  const auto known = by_peer.find(peer);
  return known == by_peer.end() ? 0 : known->second.size();
}

void Swarm::State::add(const ConnectionPtr& connection) {
  connections.push_back(connection);
  by_peer[connection->remote()].push_back(connection);
  backoff.forget(connection->remote());
  peers.set_connected(connection->remote(), true);
  say(connection->relayed() ? "connected.relayed" : "connected",
      connection->facts().remote_address.to_string());
  io::spawn(scheduler.executor(), serve(shared_from_this(), connection));
  for (const auto& callback : when_connected) callback(connection);
  notify_dials_to(connection->remote());
  if (!connection->relayed()) drop_duplicate(connection);
}

/// The one of two direct connections to a peer that shall be kept, by what both ends know: QUIC before TCP, then the
/// one whose client has the lesser peer id. Else one side was the client of both, and keeps the older one.
const ConnectionPtr& Swarm::State::preferred(const ConnectionPtr& older, const ConnectionPtr& newer) const {
  const auto rank = [&](const ConnectionPtr& connection) {
    const auto& facts = connection->facts();
    const bool is_quic = facts.remote_address.transport() == Transport::quic_v1;
    return std::pair(is_quic ? 0 : 1, facts.role == security::Role::client ? id : facts.remote);
  };
  return rank(newer) < rank(older) ? newer : older;
}

/// A punch may give several connections. The client of the one to keep closes the others, and the other end waits for
/// that: it cannot know whether the client, at the same moment, gives that one up for another.
void Swarm::State::drop_duplicate(const ConnectionPtr& newcomer) {
  const auto punched = punched_until.find(newcomer->remote());
  if (punched == punched_until.end() || punched->second < scheduler.now()) return;
  const auto found = by_peer.find(newcomer->remote());
  if (found == by_peer.end()) return;  // whoever heard of it has closed it
  // Closing may end a connection's service at once, which takes it off the list.
  for (const auto known = found->second; const auto& other : known) {
    if (other == newcomer || other->relayed() || other->closed()) continue;
    const auto& kept = preferred(other, newcomer);
    if (kept->facts().role == security::Role::server) continue;
    const auto& loser = kept == other ? newcomer : other;
    say("duplicate", loser->facts().remote_address.to_string());
    loser->close(Error::duplicate);
    if (loser == newcomer) return;
  }
}

void Swarm::State::remove(const ConnectionPtr& connection, std::error_code why) {
  std::erase(connections, connection);
  const auto same = by_peer.find(connection->remote());
  if (same != by_peer.end() && std::erase(same->second, connection) && same->second.empty())
    by_peer.erase(same);
  if (connections_to(connection->remote()) == 0) peers.set_connected(connection->remote(), false);
  addresses.forget(connection->facts().id);
  say("disconnected", connection->facts().remote_address.to_string() + ": " + why.message());
  for (const auto& callback : when_disconnected) callback(connection);
}

io::Result<io::Endpoint> Swarm::State::listen_tcp(const io::Endpoint& local) {
  auto listener = network.listen(local);
  if (!listener) return tl::unexpected(listener.error());
  listeners.push_back(std::move(*listener));
  io::spawn(scheduler.executor(), accept_connections(shared_from_this(), listeners.back()));
  return listeners.back()->local();
}

io::Task<> Swarm::State::accept_connections(Ptr self, std::shared_ptr<io::Listener> listener) {
  for (;;) {
    auto socket = co_await listener->accept();
    if (!socket) co_return;
    io::spawn(self->scheduler.executor(), accept_connection(self, std::move(*socket)));
  }
}

io::Task<> Swarm::State::accept_connection(Ptr self, std::shared_ptr<io::StreamSocket> socket) {
  auto role = security::Role::server;
  if (self->profile.accepted_socket_takes_punch_role) {
    role = self->punch_role(socket->remote().address).value_or(role);
  }
  self->say("accepted", io::to_string(socket->remote()));
  Upgrade how{Direction::inbound,
              role,
              Multiaddr::from_endpoint(socket->local(), Transport::tcp),
              Multiaddr::from_endpoint(socket->remote(), Transport::tcp),
              std::nullopt,
              false,
              {}};
  const auto connection = co_await upgrade_inbound(self, socket, std::move(how));
  if (!connection) self->say("accepted.failed", connection.error().message());
}

io::Task<> Swarm::State::serve(Ptr self, ConnectionPtr connection) {
  auto stream = co_await connection->muxed_->accept_stream();
  while (stream) {
    io::spawn(self->scheduler.executor(), serve_stream(self, connection, std::move(*stream)));
    stream = co_await connection->muxed_->accept_stream();
  }
  self->remove(connection, stream.error());
}

io::Task<> Swarm::State::serve_stream(Ptr self, ConnectionPtr connection, io::StreamPtr stream) {
  std::vector<std::string> offered;
  for (const auto& [protocol, entry] : self->handlers) {
    if (!connection->limited() || entry.over_limited == OverLimited::yes) offered.push_back(protocol);
  }
  io::Result<std::string> protocol = io::fail(Error::no_handler);
  {
    const io::Deadline limit(self->scheduler, stream, self->profile.stream_negotiation_limit);
    protocol = co_await negotiation::respond(*stream, std::move(offered), self->profile.multistream);
  }
  const auto entry = protocol ? self->handlers.find(*protocol) : self->handlers.end();
  if (entry == self->handlers.end()) {
    stream->reset(protocol ? make_error_code(Error::no_handler) : protocol.error());
    co_return;
  }
  const auto handler = entry->second.handler;  // the protocol may be taken off while it runs
  IncomingStream incoming{std::move(stream), std::move(connection), *protocol};
  co_await handler(std::move(incoming));
}

io::Task<io::Result<Connection::NegotiatedStream>> Swarm::State::open_stream(
    Ptr self, PeerId peer, std::vector<std::string> protocols, OverLimited over_limited) {
  const auto connection = self->best(peer, false);
  if (!connection) co_return io::fail(Error::not_connected);
  if (connection->limited() && over_limited == OverLimited::no) co_return io::fail(Error::limited_connection);
  co_return co_await connection->open_stream(std::move(protocols));
}

Swarm::Swarm(io::Network& network, crypto::PrivateKey identity, SwarmProfile profile)
    : state_(std::make_shared<State>(network, std::move(identity), profile)) {}

Swarm::~Swarm() { shut_down(); }

const PeerId& Swarm::id() const { return state_->id; }
const crypto::PrivateKey& Swarm::identity() const { return state_->identity; }
io::Network& Swarm::network() { return state_->network; }
io::Scheduler& Swarm::scheduler() { return state_->scheduler; }
const SwarmProfile& Swarm::profile() const { return state_->profile; }
PeerStore& Swarm::peers() { return state_->peers; }
OwnAddresses& Swarm::addresses() { return state_->addresses; }
PeerTags& Swarm::tags() { return state_->tags; }
const SwarmCounters& Swarm::counters() const { return state_->counters; }

io::Result<Multiaddr> Swarm::listen(const Multiaddr& address) {
  if (state_->down) return io::fail(Error::shut_down);
  const auto endpoint = address.endpoint();
  const auto transport = address.transport();
  if (!endpoint || (transport != Transport::tcp && transport != Transport::quic_v1)) {
    return io::fail(Error::no_transport);
  }
  const auto bound =
      transport == Transport::tcp ? state_->listen_tcp(*endpoint) : state_->listen_quic(*endpoint);
  if (!bound) return tl::unexpected(bound.error());

  state_->bound.push_back({transport, *bound});
  refresh_addresses();
  return Multiaddr::from_endpoint(*bound, transport);
}

void Swarm::refresh_addresses() {
  std::vector<Multiaddr> listening;
  for (const auto& [transport, endpoint] : state_->bound) {
    if (!endpoint.address.is_unspecified()) {
      listening.push_back(Multiaddr::from_endpoint(endpoint, transport));
      continue;
    }
    for (const auto& own : state_->network.addresses()) {
      if (own.is_v4() != endpoint.address.is_v4()) continue;
      listening.push_back(Multiaddr::from_endpoint({own, endpoint.port}, transport));
    }
  }
  state_->addresses.set_listening(std::move(listening));
}

void Swarm::handle(std::string protocol, StreamHandler handler, OverLimited over_limited) {
  state_->handlers.insert_or_assign(std::move(protocol),
                                    State::HandlerEntry{std::move(handler), over_limited});
}

void Swarm::unhandle(std::string_view protocol) {
  if (const auto found = state_->handlers.find(protocol); found != state_->handlers.end()) {
    state_->handlers.erase(found);
  }
}

std::vector<std::string> Swarm::protocols() const {
  std::vector<std::string> out;
  for (const auto& [protocol, entry] : state_->handlers) out.push_back(protocol);
  return out;
}

io::Task<DialReport> Swarm::dial(DialRequest request) { return State::dial(state_, std::move(request)); }

io::Task<io::Result<Connection::NegotiatedStream>> Swarm::open_stream(PeerId peer,
                                                                      std::vector<std::string> protocols,
                                                                      OverLimited over_limited) {
  return State::open_stream(state_, peer, std::move(protocols), over_limited);
}

ConnectionPtr Swarm::connection_to(const PeerId& peer) const { return state_->best(peer, false); }
ConnectionPtr Swarm::direct_connection_to(const PeerId& peer) const { return state_->best(peer, true); }
std::vector<ConnectionPtr> Swarm::connections() const { return state_->connections; }
std::vector<ConnectionPtr> Swarm::connections(const PeerId& peer) const {
  const auto known = state_->by_peer.find(peer);
  return known == state_->by_peer.end() ? std::vector<ConnectionPtr>{} : known->second;
}

void Swarm::set_circuit_dialler(CircuitDialler dialler) { state_->circuit_dialler = std::move(dialler); }

io::Task<io::Result<ConnectionPtr>> Swarm::accept_circuit(Circuit circuit, Multiaddr remote_address) {
  State::Upgrade how{Direction::inbound, security::Role::server, remote_address,
                     remote_address,     std::nullopt,           true,
                     circuit.limit};
  return State::upgrade_inbound(state_, std::move(circuit.stream), std::move(how));
}

void Swarm::on_connected(std::function<void(const ConnectionPtr&)> callback) {
  state_->when_connected.push_back(std::move(callback));
}
void Swarm::on_disconnected(std::function<void(const ConnectionPtr&)> callback) {
  state_->when_disconnected.push_back(std::move(callback));
}
void Swarm::set_trace(Trace trace) { state_->trace = std::move(trace); }
void Swarm::trace(std::string_view what, const std::string& detail) const { state_->say(what, detail); }

void Swarm::shut_down() {
  if (std::exchange(state_->down, true)) return;
  for (const auto& listener : state_->listeners) listener->close();
  for (const auto& abort : state_->pending) abort(Error::shut_down);
  for (const auto& endpoint : state_->quic_endpoints) endpoint->close();
  // Closing may end a connection's service at once, which takes it off the list.
  for (const auto connections = state_->connections; const auto& connection : connections) {
    connection->close(Error::shut_down);
  }
  for (const auto& dial : state_->dials) dial->news.notify_all();
}

bool Swarm::shutting_down() const { return state_->down; }

}  // namespace flaresim::swarm
