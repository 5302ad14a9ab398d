#include "protocols/relay/relay_client.h"

#include <algorithm>
#include <map>
#include <utility>

#include "protocols/relay/messages.h"

namespace flaresim::relay {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;

namespace {

std::vector<std::string> hop() { return std::vector<std::string>(1, std::string(hop_protocol)); }

/// An answer on a hop stream that grants what was asked for, or why there is none.
io::Result<pb::HopMessage> only_granted(io::Result<pb::HopMessage> reply) {
  if (!reply) return reply;
  if (reply->type() != pb::HopMessage::STATUS) return io::fail(Error::unexpected_type);
  if (!reply->has_status()) return io::fail(Error::missing_status);
  if (reply->status() != static_cast<int>(Status::ok)) return io::fail(static_cast<Status>(reply->status()));
  return reply;
}

/// Addresses at which the relay says that it can be reached directly, each with its name.
std::vector<Multiaddr> named_addresses(const pb::Reservation& wire, const PeerId& relay) {
  std::vector<Multiaddr> out;
  for (const auto& bytes : wire.addrs()) {
    const auto address = Multiaddr::from_bytes(io::as_bytes(bytes));
    if (!address || address->is_circuit()) continue;
    if (const auto named = address->peer_id(); named && *named != relay) continue;
    out.push_back(address->with_peer(relay));
  }
  return out;
}

io::Result<std::optional<Voucher>> checked_voucher(const pb::Reservation& wire, const PeerId& relay,
                                                   const PeerId& self) {
  if (!wire.has_voucher()) return std::nullopt;
  const auto voucher = open_voucher(io::as_bytes(wire.voucher()));
  if (!voucher) return tl::unexpected(voucher.error());
  if (voucher->relay != relay) return io::fail(Error::voucher_not_by_relay);
  if (voucher->peer != self) return io::fail(Error::voucher_not_for_us);
  return *voucher;
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct RelayClient::State : std::enable_shared_from_this<RelayClient::State> {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, RelayClientProfile with)
      : swarm(std::move(on)), profile(with), check(swarm->scheduler()) {}

  struct Held {
    Reservation reservation;
    bool renewing = false;
  };

  static io::Task<io::Result<Reservation>> reserve(Ptr self, PeerId relay, std::vector<Multiaddr> addresses,
                                                   io::Duration limit);
  static io::Task<io::Result<Reservation>> request(Ptr self, ConnectionPtr connection, io::Duration limit);
  static io::Task<> renew(Ptr self, PeerId relay);
  static io::Task<io::Result<swarm::Circuit>> open_circuit(Ptr self, Multiaddr relay, PeerId target);
  static io::Task<> take_circuit(Ptr self, swarm::IncomingStream in);
  static io::Task<> refuse(Ptr self, io::StreamPtr stream, Status why);

  io::Result<Reservation> read_reservation(const pb::HopMessage& reply, const PeerId& relay) const;
  void hold(const Reservation& reservation);
  void drop(const PeerId& relay, std::error_code why);
  void publish();
  void check_expiries();

  std::shared_ptr<swarm::Swarm> swarm;
  RelayClientProfile profile;
  std::map<PeerId, Held> held;
  std::vector<std::function<void(const Reservation&)>> when_reserved;
  std::vector<Lost> when_lost;
  io::Timer check;
  bool stopped = false;
};

io::Task<io::Result<Reservation>> RelayClient::State::reserve(Ptr self, PeerId relay,
                                                              std::vector<Multiaddr> addresses,
                                                              io::Duration limit) {
  if (self->stopped) co_return io::fail(Error::released);
  swarm::DialRequest to_relay{relay, addresses, true, std::nullopt, limit};
  const auto dial = co_await self->swarm->dial(std::move(to_relay));
  if (!dial.connection) co_return tl::unexpected(dial.error);

  self->swarm->trace("reserve.sent", relay.short_string());
  auto reservation = co_await request(self, dial.connection, limit);
  if (reservation && reservation->addresses.empty()) {
    std::erase_if(addresses, [](const Multiaddr& address) { return address.is_circuit(); });
    for (const auto& address : addresses) reservation->addresses.push_back(address.with_peer(relay));
  }
  if (reservation && self->stopped) reservation = io::fail(Error::released);
  if (reservation && !self->swarm->direct_connection_to(relay))
    reservation = io::fail(Error::connection_lost);
  if (!reservation) {
    self->swarm->trace("reserve.refused", reservation.error().message());
    co_return reservation;
  }
  self->hold(*reservation);
  self->swarm->trace("reserve.ok", relay.short_string());
  co_return reservation;
}

io::Task<io::Result<Reservation>> RelayClient::State::request(Ptr self, ConnectionPtr connection,
                                                              io::Duration limit) {
  auto& scheduler = self->swarm->scheduler();
  const auto opened = co_await connection->open_stream(hop(), limit);
  if (!opened) co_return tl::unexpected(opened.error());
  const auto stream = opened->stream;

  io::Result<pb::HopMessage> reply;
  {
    const io::Deadline deadline(scheduler, stream, limit);
    pb::HopMessage message;
    message.set_type(pb::HopMessage::RESERVE);
    const auto written = co_await write_hop(*stream, std::move(message));
    if (!written) co_return tl::unexpected(written.error());
    reply = only_granted(co_await read_hop(*stream, self->profile.max_message_bytes));
  }
  if (!reply) {
    stream->reset(reply.error());
    co_return tl::unexpected(reply.error());
  }
  io::spawn(scheduler.executor(), io::end_gracefully(scheduler, stream, self->profile.reserve_limit));
  co_return self->read_reservation(*reply, connection->remote());
}

io::Result<Reservation> RelayClient::State::read_reservation(const pb::HopMessage& reply,
                                                             const PeerId& relay) const {
  if (!reply.has_reservation()) return io::fail(Error::missing_reservation);
  const auto& wire = reply.reservation();
  const auto expires = from_unix_seconds(wire.expire());
  if (expires <= swarm->scheduler().calendar()) return io::fail(Error::expired);
  const auto voucher = checked_voucher(wire, relay, swarm->id());
  if (!voucher) return tl::unexpected(voucher.error());
  return Reservation{relay, expires, named_addresses(wire, relay), *voucher, to_limit(reply.limit())};
}

void RelayClient::State::hold(const Reservation& reservation) {
  const bool is_new = held.insert_or_assign(reservation.relay, Held{reservation, false}).second;
  publish();
  if (!check.armed()) check.arm_after(profile.refresh_check_interval, [this] { check_expiries(); });
  if (!is_new) return;
  for (const auto& callback : when_reserved) callback(reservation);
}

void RelayClient::State::drop(const PeerId& relay, std::error_code why) {
  if (held.erase(relay) == 0) return;
  if (held.empty()) check.cancel();
  swarm->trace("reserve.lost", why.message());
  publish();
  for (const auto& callback : when_lost) callback(relay, why);
}

void RelayClient::State::publish() {
  std::vector<Multiaddr> circuits;
  for (const auto& [relay, entry] : held) {
    for (const auto& address : entry.reservation.addresses) {
      if (circuits.size() == profile.max_circuit_addresses) break;
      circuits.push_back(address.encapsulate(Multiaddr::circuit()));
    }
  }
  swarm->addresses().set_circuits(std::move(circuits));
}

void RelayClient::State::check_expiries() {
  for (auto& [relay, entry] : held) {
    const auto left = entry.reservation.expires - swarm->scheduler().calendar();
    if (left >= profile.refresh_before_expiry || entry.renewing) continue;
    entry.renewing = true;
    io::spawn(swarm->scheduler().executor(), renew(shared_from_this(), relay));
  }
  check.arm_after(profile.refresh_check_interval, [this] { check_expiries(); });
}

io::Task<> RelayClient::State::renew(Ptr self, PeerId relay) {
  const auto connection = self->swarm->direct_connection_to(relay);
  io::Result<Reservation> renewed = io::fail(Error::connection_lost);
  if (connection) renewed = co_await request(self, connection, self->profile.reserve_limit);

  const auto entry = self->held.find(relay);
  if (entry == self->held.end()) co_return;  // lost or released meanwhile
  if (!renewed) {
    self->drop(relay, renewed.error());
    co_return;
  }
  if (renewed->addresses.empty()) renewed->addresses = entry->second.reservation.addresses;
  self->hold(*renewed);
  self->swarm->trace("reserve.renewed", relay.short_string());
}

io::Task<io::Result<swarm::Circuit>> RelayClient::State::open_circuit(Ptr self, Multiaddr relay,
                                                                      PeerId target) {
  if (!self || self->stopped) co_return io::fail(Error::released);
  auto& scheduler = self->swarm->scheduler();
  const auto relay_id = relay.peer_id();
  if (!relay_id || relay.is_circuit()) co_return io::fail(Error::bad_address);

  const auto until = scheduler.now() + self->profile.relay_dial_limit;
  std::vector<Multiaddr> addresses(1, relay);
  swarm::DialRequest to_relay{*relay_id, std::move(addresses), true, std::nullopt,
                              self->profile.relay_dial_limit};
  const auto dial = co_await self->swarm->dial(std::move(to_relay));
  if (!dial.connection) co_return tl::unexpected(dial.error);
  auto opened = co_await dial.connection->open_stream(hop(), until - scheduler.now());
  if (!opened) co_return tl::unexpected(opened.error());
  const auto stream = opened->stream;

  const io::Deadline deadline(scheduler, stream, self->profile.dial_limit);
  pb::HopMessage message;
  message.set_type(pb::HopMessage::CONNECT);
  set_peer(*message.mutable_peer(), target);
  const auto written = co_await write_hop(*stream, std::move(message));
  if (!written) co_return tl::unexpected(written.error());
  const auto reply = only_granted(co_await read_hop(*stream, self->profile.max_message_bytes));
  if (!reply) {
    self->swarm->trace("circuit.refused", reply.error().message());
    stream->reset(reply.error());
    co_return tl::unexpected(reply.error());
  }
  co_return swarm::Circuit{stream, to_limit(reply->limit())};
}

io::Task<> RelayClient::State::take_circuit(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  io::Result<pb::StopMessage> request;
  {
    const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.stop_limit);
    request = co_await read_stop(*in.stream, self->profile.max_message_bytes);
  }
  auto verdict = Status::ok;
  if (!request) {
    const auto why = request.error();
    self->swarm->trace("stop.malformed", why.message());
    if (why != Error::malformed && why != Error::message_too_long) {
      in.stream->reset(why);
      co_return;
    }
    verdict = Status::malformed_message;
  } else if (request->type() != pb::StopMessage::CONNECT) {
    verdict = Status::unexpected_message;
  } else if (!PeerId::from_bytes(io::as_bytes(request->peer().id()))) {
    verdict = Status::malformed_message;
  } else if (in.connection->relayed()) {
    verdict = Status::permission_denied;  // circuits are not nested
  } else if (self->stopped) {
    verdict = Status::connection_failed;
  }
  if (verdict != Status::ok) {
    co_await refuse(self, in.stream, verdict);
    co_return;
  }
  {
    const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.stop_limit);
    const auto written = co_await write_stop(*in.stream, stop_status(Status::ok));
    if (!written) co_return;
  }
  const auto& facts = in.connection->facts();
  swarm::Circuit circuit{std::move(in.stream), to_limit(request->limit())};
  auto from = facts.remote_address.with_peer(facts.remote).encapsulate(Multiaddr::circuit());
  self->swarm->trace("circuit.accepted", from.to_string());
  co_await self->swarm->accept_circuit(std::move(circuit), std::move(from));
}

io::Task<> RelayClient::State::refuse(Ptr self, io::StreamPtr stream, Status why) {
  self->swarm->trace("stop.refused", make_error_code(why).message());
  const io::Deadline deadline(self->swarm->scheduler(), stream, self->profile.stop_limit);
  const auto written = co_await write_stop(*stream, stop_status(why));
  if (written) co_await io::end_gracefully(self->swarm->scheduler(), stream, self->profile.stop_limit);
}

RelayClient::RelayClient(std::shared_ptr<swarm::Swarm> swarm, RelayClientProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  auto& on = *state_->swarm;
  on.handle(std::string(stop_protocol),
            [weak](swarm::IncomingStream in) { return State::take_circuit(weak.lock(), std::move(in)); });
  on.set_circuit_dialler([weak](Multiaddr relay, PeerId target) -> io::Task<io::Result<swarm::Circuit>> {
    return State::open_circuit(weak.lock(), std::move(relay), target);
  });
  on.on_disconnected([weak](const ConnectionPtr& connection) {
    const auto state = weak.lock();
    if (!state || connection->relayed() || state->swarm->direct_connection_to(connection->remote())) return;
    state->drop(connection->remote(), Error::connection_lost);
  });
}

RelayClient::~RelayClient() { stop(); }

io::Task<io::Result<Reservation>> RelayClient::reserve(PeerId relay, std::vector<Multiaddr> addresses,
                                                       std::optional<io::Duration> limit) {
  return State::reserve(state_, relay, std::move(addresses), limit.value_or(state_->profile.reserve_limit));
}

void RelayClient::release(const PeerId& relay) { state_->drop(relay, Error::released); }

std::vector<Reservation> RelayClient::reservations() const {
  std::vector<Reservation> out;
  for (const auto& [relay, entry] : state_->held) out.push_back(entry.reservation);
  return out;
}

void RelayClient::on_reserved(std::function<void(const Reservation&)> callback) {
  state_->when_reserved.push_back(std::move(callback));
}
void RelayClient::on_lost(Lost callback) { state_->when_lost.push_back(std::move(callback)); }

void RelayClient::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->swarm->unhandle(stop_protocol);
  while (!state_->held.empty()) {
    const auto relay = state_->held.begin()->first;
    state_->drop(relay, Error::released);
  }
}

}  // namespace flaresim::relay
