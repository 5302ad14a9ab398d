#include <algorithm>

#include "protocols/swarm/dial.h"

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Transport;

/// In the order in which they are tried.
enum class Kind { direct, relayed, undialable };

Kind kind_of(const DialFailure& tried) {
  if (tried.address.is_circuit()) return Kind::relayed;
  const auto transport = tried.address.transport();
  const bool spoken = transport == Transport::tcp || transport == Transport::quic_v1;
  return spoken && tried.address.endpoint() ? Kind::direct : Kind::undialable;
}

}  // namespace

Swarm::State::Dial::Dial(io::Scheduler& scheduler, DialRequest what)
    : request(std::move(what)), news(scheduler) {
  for (const auto& address : request.addresses) {
    if (address.is_circuit() && request.direct_only) continue;
    const bool twice =
        std::ranges::any_of(tries, [&](const DialFailure& known) { return known.address == address; });
    if (!twice) tries.push_back(DialFailure{address, {}, false});
  }
  std::ranges::stable_sort(tries, {}, kind_of);
  for (auto& tried : tries) {
    const auto kind = kind_of(tried);
    if (kind == Kind::direct) ++direct_left;
    if (kind == Kind::undialable) {
      tried.why = Error::no_transport;
    } else {
      ++dialable;
    }
  }
}

ConnectionPtr Swarm::State::satisfying(const DialRequest& request) const {
  if (!request.over) return best(request.peer, request.direct_only);
  const auto found = std::ranges::find_if(connections, [&](const ConnectionPtr& connection) {
    return connection->remote() == request.peer && !connection->closed() &&
           connection->facts().remote_address.transport() == *request.over;
  });
  return found == connections.end() ? nullptr : *found;
}

io::Task<DialReport> Swarm::State::dial(Ptr self, DialRequest request) {
  if (self->down) co_return DialReport{nullptr, {}, Error::shut_down};
  if (request.peer == self->id) co_return DialReport{nullptr, {}, Error::self_dial};
  if (auto connection = self->satisfying(request)) co_return DialReport{std::move(connection), {}, {}};

  const auto dial = std::make_shared<Dial>(self->scheduler, std::move(request));
  if (dial->dialable == 0) {
    const auto why = dial->request.addresses.empty() ? Error::no_address : Error::no_transport;
    co_return DialReport{nullptr, dial->tries, why};
  }
  const auto limit = dial->request.limit;
  const auto until = limit > io::Duration::zero() ? self->scheduler.now() + limit : io::TimePoint::max();
  ++self->counters.dials;
  self->dials.push_back(dial);
  if (dial->request.punch_role) self->punches.push_back(dial);
  if (dial->request.punch_role) {
    self->punched_until[dial->request.peer] = self->scheduler.now() + self->profile.dial_limit;
  }
  ConnectionPtr connection;
  bool in_time = true;
  while (!self->down && in_time) {
    self->start_tries(dial);
    connection = self->satisfying(dial->request);
    if (connection || dial->running == 0) break;
    if (until == io::TimePoint::max()) {
      co_await self->changed.wait();
    } else {
      in_time = co_await self->changed.wait_until(until);
    }
  }
  dial->over = true;
  self->dials.remove(dial);
  self->punches.remove(dial);
  dial->news.notify_all();
  for (const auto& abort : dial->aborts) abort(std::make_error_code(std::errc::operation_canceled));
  if (connection) co_return DialReport{std::move(connection), {}, {}};

  DialReport report{nullptr, dial->tries, Error::dial_failed};
  if (!in_time) report.error = std::make_error_code(std::errc::timed_out);
  if (self->down) report.error = Error::shut_down;
  for (auto& tried : report.failures) {
    if (!tried.why) tried.why = report.error;  // under way, or yet to begin, when the dial ended
  }
  co_return report;
}

bool Swarm::is_dialling(const multiformats::PeerId& peer) const {
  return std::ranges::any_of(state_->dials, [&](const auto& dial) { return dial->request.peer == peer; });
}

void Swarm::State::start_tries(const std::shared_ptr<Dial>& dial) {
  while (dial->next < dial->dialable && dial->running < profile.max_dials_per_peer) {
    ++dial->running;
    io::spawn(scheduler.executor(), dial_one(shared_from_this(), dial, dial->next++));
  }
}

io::Task<> Swarm::State::dial_one(Ptr self, std::shared_ptr<Dial> dial, std::size_t index) {
  auto& tried = dial->tries[index];
  const bool direct = kind_of(tried) == Kind::direct;
  if (!direct) co_await await_turn(self, dial);

  if (!dial->over && !self->down) {
    io::Result<ConnectionPtr> connection;
    if (direct && tried.address.transport() == Transport::quic_v1) {
      connection = co_await dial_quic(self, dial, tried);
    } else if (direct) {
      connection = co_await dial_tcp(self, dial, tried);
    } else {
      connection = co_await dial_circuit(self, dial, tried);
    }
    if (!connection) tried.why = connection.error();
  }
  if (direct && --dial->direct_left == 0) dial->news.notify_all();
  --dial->running;
  self->changed.notify_all();
}

/// A relayed address waits as long as a direct one may yet succeed, but no longer than the delay. go-libp2p
/// p2p/net/swarm/dial_worker.go: with no dial under way, the next one begins at once.
io::Task<> Swarm::State::await_turn(Ptr self, std::shared_ptr<Dial> dial) {
  const auto until = self->scheduler.now() + self->profile.relay_delay;
  while (!dial->over && dial->direct_left > 0 && self->scheduler.now() < until) {
    co_await dial->news.wait_until(until);
  }
}

/// When the remote of a punch was faster, its connection has the 4-tuple, and is what the dial waits for.
io::Task<> Swarm::State::await_end(Ptr self, std::shared_ptr<Dial> dial) {
  const auto until = self->scheduler.now() + self->profile.dial_limit;
  while (!dial->over && self->scheduler.now() < until) co_await dial->news.wait_until(until);
}

std::optional<security::Role> Swarm::State::punch_role(const io::IpAddress& remote) const {
  for (const auto& punch : punches) {
    for (const auto& tried : punch->tries) {
      const auto endpoint = tried.address.endpoint();
      if (endpoint && endpoint->address == remote) return punch->request.punch_role;
    }
  }
  return std::nullopt;
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_tcp(Ptr self, std::shared_ptr<Dial> dial,
                                                           DialFailure& tried) {
  const auto& scheduler = self->scheduler;
  const auto endpoint = *tried.address.endpoint();
  const auto role = dial->request.punch_role;
  const auto port = self->listening_port(endpoint.address);

  auto opened = self->network.dial(endpoint, port);
  if (!opened && opened.error() == std::errc::address_in_use && role) co_await await_end(self, dial);
  // That 4-tuple may still be in use by an older connection. A punch has no use for another port.
  if (!opened && opened.error() == std::errc::address_in_use && port && !role) {
    opened = self->network.dial(endpoint, std::nullopt);
  }
  if (!opened) co_return tl::unexpected(opened.error());
  const auto socket = *opened;
  const Pending known(dial->aborts, socket);
  const Pending known_to_all(self->pending, socket);
  const auto began = scheduler.now();
  self->say("dial", tried.address.to_string());

  io::Result<> established;
  {
    const io::Deadline deadline(self->scheduler, socket, self->profile.tcp_connect_limit);
    established = co_await socket->connected();
  }
  if (!established) co_return tl::unexpected(established.error());
  self->say("dial.connected", tried.address.to_string());

  tried.connected = true;
  Upgrade how{Direction::outbound,
              role.value_or(security::Role::client),
              Multiaddr::from_endpoint(socket->local(), Transport::tcp),
              Multiaddr::from_endpoint(socket->remote(), Transport::tcp),
              dial->request.peer,
              false,
              {}};
  co_return co_await upgrade(self, socket, std::move(how),
                             began + self->profile.dial_limit - scheduler.now());
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_circuit(Ptr self, std::shared_ptr<Dial> dial,
                                                               DialFailure& tried) {
  const auto relay = tried.address.relay();
  if (!relay || !self->circuit_dialler) co_return io::fail(Error::no_transport);
  auto circuit = co_await self->circuit_dialler(*relay, dial->request.peer);
  if (!circuit) co_return tl::unexpected(circuit.error());

  const Pending known(dial->aborts, circuit->stream);
  if (dial->over) {
    circuit->stream->reset();
    co_return io::fail(std::errc::operation_canceled);
  }
  tried.connected = true;
  Upgrade how{Direction::outbound,
              security::Role::client,
              relay->encapsulate(Multiaddr::circuit()),
              tried.address.with_peer(dial->request.peer),
              dial->request.peer,
              true,
              circuit->limit};
  co_return co_await upgrade(self, circuit->stream, std::move(how), self->profile.dial_limit);
}

}  // namespace flaresim::swarm
