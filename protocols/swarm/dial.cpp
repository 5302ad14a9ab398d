#include <algorithm>
#include <iterator>

#include "protocols/swarm/dial.h"

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Transport;

/// Of a kind that is spoken here.
bool is_dialable(const Multiaddr& address) {
  if (address.is_circuit()) return true;
  const auto transport = address.transport();
  const bool spoken = transport == Transport::tcp || transport == Transport::quic_v1;
  return spoken && address.endpoint();
}

bool takes_tcp_turn(const Multiaddr& address) { return address.transport() == Transport::tcp; }

/// Each once, of those that the request allows.
std::vector<Multiaddr> wanted(const DialRequest& request) {
  std::vector<Multiaddr> out;
  for (const auto& address : request.addresses) {
    if (address.is_circuit() && request.direct_only) continue;
    if (std::ranges::find(out, address) == out.end()) out.push_back(address);
  }
  return out;
}

}  // namespace

Swarm::State::Dial::Dial(State& state, DialRequest what, const std::vector<DialFailure>& known)
    : request(std::move(what)), began(state.scheduler.now()), news(state.scheduler) {
  std::vector<Multiaddr> good;
  std::vector<Try> bad;
  const auto all = wanted(request);
  const auto blocked =
      state.profile.detect_black_holes ? state.black_holes.blocked(all) : std::vector<bool>(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto failed = std::ranges::find(known, all[i], &DialFailure::address);
    if (failed != known.end()) {
      bad.push_back(Try{*failed, {}, {}, true});  // nor need another dial like this one try it
    } else if (!is_dialable(all[i])) {
      bad.push_back(Try{{all[i], Error::no_transport}});
    } else if (blocked[i]) {
      bad.push_back(Try{{all[i], Error::black_hole}});
    } else {
      good.push_back(all[i]);
    }
  }
  // Both ends of a punch dial at an agreed moment.
  const auto delays = request.punch_role ? DialDelays{{}, {}, {}} : state.profile.delays;
  for (auto& [address, delay] : rank_for_dialling(good, delays)) tries.push_back(Try{{address, {}}, delay});
  dialable = tries.size();
  std::ranges::move(bad, std::back_inserter(tries));
}

io::TimePoint Swarm::State::Dial::next_batch() const {
  if (released == dialable) return io::TimePoint::max();
  auto due = began + tries[released].delay;
  for (const auto& tried : tries) due = std::max(due, tried.hold_until);
  return due;
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

  const auto until = self->scheduler.now() + request.limit.value_or(self->profile.dial_peer_limit);
  const auto known = co_await await_others(self, request, until);
  if (auto connection = self->satisfying(request)) co_return DialReport{std::move(connection), {}, {}};

  const auto dial = std::make_shared<Dial>(*self, std::move(request), known);
  if (dial->dialable == 0) co_return DialReport{nullptr, dial->failures(), dial->why_not()};
  ++self->counters.dials;
  self->dials.push_back(dial);
  if (dial->request.punch_role) self->punches.push_back(dial);
  if (dial->request.punch_role) {
    self->punched_until[dial->request.peer] = self->scheduler.now() + self->profile.dial_limit;
  }
  const bool in_time = co_await run(self, dial, until);
  auto connection = self->satisfying(dial->request);
  dial->over = true;
  self->dials.remove(dial);
  self->punches.remove(dial);
  dial->news.notify_all();
  self->tcp_dial_ended.notify_all();  // some may have waited for their turn in vain
  for (const auto& abort : dial->aborts) abort(std::make_error_code(std::errc::operation_canceled));
  if (connection) co_return DialReport{std::move(connection), {}, {}};

  DialReport report{nullptr, dial->failures(), Error::dial_failed};
  if (!in_time) report.error = std::make_error_code(std::errc::timed_out);
  if (self->down) report.error = Error::shut_down;
  for (auto& tried : report.failures) {
    if (!tried.why) tried.why = report.error;  // under way, or yet to begin, when the dial ended
  }
  co_return report;
}

/// Why there is nothing to dial.
std::error_code Swarm::State::Dial::why_not() const {
  if (request.addresses.empty()) return Error::no_address;
  const bool foreign = std::ranges::all_of(
      tries, [](const Try& tried) { return tried.why == make_error_code(Error::no_transport); });
  return foreign ? Error::no_transport : Error::dial_failed;
}

std::shared_ptr<Swarm::State::Dial> Swarm::State::dial_like(const DialRequest& request) const {
  if (request.punch_role) return nullptr;
  const auto found = std::ranges::find_if(dials, [&](const std::shared_ptr<Dial>& dial) {
    const auto& other = dial->request;
    return other.peer == request.peer && !other.punch_role && other.direct_only == request.direct_only &&
           other.over == request.over && other.despite_backoff == request.despite_backoff;
  });
  return found == dials.end() ? nullptr : *found;
}

io::Task<std::vector<DialFailure>> Swarm::State::await_others(Ptr self, DialRequest request,
                                                              io::TimePoint until) {
  std::vector<DialFailure> known;
  while (self->scheduler.now() < until && !self->satisfying(request)) {
    const auto other = self->dial_like(request);
    if (!other) break;
    while (!other->over && self->scheduler.now() < until) (void)co_await other->news.wait_until(until);
    if (!other->over) break;
    for (const auto& tried : other->tries) {
      if (tried.failed) known.push_back(tried);
    }
  }
  co_return known;
}

io::Task<bool> Swarm::State::run(Ptr self, std::shared_ptr<Dial> dial, io::TimePoint until) {
  if (self->scheduler.now() >= until) co_return false;
  while (!self->down && !self->satisfying(dial->request)) {
    const auto wake = std::min(self->start_tries(dial), until);
    if (dial->in_flight == 0) co_return true;
    const bool notified = co_await dial->news.wait_until(wake);
    if (!notified && wake == until) co_return false;
  }
  co_return true;
}

bool Swarm::is_dialling(const multiformats::PeerId& peer) const {
  return std::ranges::any_of(state_->dials, [&](const auto& dial) { return dial->request.peer == peer; });
}

std::size_t Swarm::active() const {
  return state_->dials.size() + state_->dials_to.size() + state_->pending.size() + state_->inbound_upgrades;
}

io::TimePoint Swarm::State::start_tries(const std::shared_ptr<Dial>& dial) {
  while (dial->released < dial->dialable && (dial->in_flight == 0 || dial->next_batch() <= scheduler.now())) {
    release_batch(*dial);
  }
  for (; dial->next < dial->released; ++dial->next) {
    if (dial->tries[dial->next].why) continue;
    auto& to_peer = dials_to[dial->request.peer];
    if (to_peer >= profile.max_dials_per_peer) break;
    ++to_peer;
    io::spawn(scheduler.executor(), dial_one(shared_from_this(), dial, dial->next));
  }
  return dial->next_batch();
}

void Swarm::State::notify_dials_to(const multiformats::PeerId& peer) {
  for (const auto& dial : dials) {
    if (dial->request.peer == peer) dial->news.notify_all();
  }
}

void Swarm::State::release_batch(Dial& dial) {
  const auto delay = dial.tries[dial.released].delay;
  for (; dial.released < dial.dialable && dial.tries[dial.released].delay == delay; ++dial.released) {
    auto& tried = dial.tries[dial.released];
    if (!dial.request.despite_backoff &&
        backoff.is_backed_off(dial.request.peer, tried.address, scheduler.now())) {
      tried.why = Error::backed_off;
    } else {
      ++dial.in_flight;
    }
  }
}

io::Task<> Swarm::State::dial_one(Ptr self, std::shared_ptr<Dial> dial, std::size_t index) {
  auto& tried = dial->tries[index];
  const bool takes_turn = takes_tcp_turn(tried.address);
  while (takes_turn && self->tcp_dials >= self->profile.max_tcp_dials && !dial->over && !self->down) {
    co_await self->tcp_dial_ended.wait();
  }
  if (!dial->over && !self->down) {
    if (takes_turn) ++self->tcp_dials;
    const auto connection = co_await dial_address(self, dial, tried);
    if (takes_turn) {
      --self->tcp_dials;
      self->tcp_dial_ended.notify_all();
    }
    if (self->profile.detect_black_holes) self->black_holes.record(tried.address, connection.has_value());
    if (!connection) tried.why = connection.error();
    tried.failed = !connection && !dial->over && !self->down;
    if (tried.failed) {
      self->backoff.add_failure(dial->request.peer, tried.address, self->scheduler.now());
    }
  }
  tried.hold_until = {};
  --dial->in_flight;
  const auto& peer = dial->request.peer;
  if (const auto to_peer = self->dials_to.find(peer); --to_peer->second == 0) self->dials_to.erase(to_peer);
  dial->news.notify_all();
  self->notify_dials_to(peer);  // another may have waited for this place
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_address(Ptr self, std::shared_ptr<Dial> dial,
                                                               Try& tried) {
  if (tried.address.is_circuit()) co_return co_await dial_circuit(self, dial, tried);
  if (tried.address.transport() == Transport::quic_v1) co_return co_await dial_quic(self, dial, tried);
  co_return co_await dial_tcp(self, dial, tried);
}

io::Duration Swarm::State::limit_of(const Multiaddr& address) const {
  return address.is_public() ? profile.dial_limit : std::min(profile.dial_limit, profile.private_dial_limit);
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

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_tcp(Ptr self, std::shared_ptr<Dial> dial, Try& tried) {
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
    const auto limit = std::min(self->profile.tcp_connect_limit, self->limit_of(tried.address));
    const io::Deadline deadline(self->scheduler, socket, limit);
    established = co_await socket->connected();
  }
  if (!established) co_return tl::unexpected(established.error());
  self->say("dial.connected", tried.address.to_string());

  tried.connected = true;
  if (tried.address.is_public()) tried.hold_until = scheduler.now() + self->profile.delays.public_step;
  Upgrade how{Direction::outbound,
              role.value_or(security::Role::client),
              Multiaddr::from_endpoint(socket->local(), Transport::tcp),
              Multiaddr::from_endpoint(socket->remote(), Transport::tcp),
              dial->request.peer,
              false,
              {}};
  co_return co_await upgrade(self, socket, std::move(how),
                             began + self->limit_of(tried.address) - scheduler.now());
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_circuit(Ptr self, std::shared_ptr<Dial> dial,
                                                               Try& tried) {
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
  co_return co_await upgrade(self, circuit->stream, std::move(how), self->limit_of(tried.address));
}

}  // namespace flaresim::swarm
