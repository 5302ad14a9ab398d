#include "protocols/relay/relay_service.h"

#include <algorithm>
#include <list>
#include <optional>
#include <utility>

#include "protocols/relay/circuit.h"
#include "protocols/relay/messages.h"
#include "protocols/relay/voucher.h"

namespace flaresim::relay {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;

namespace {

// go-libp2p p2p/protocol/circuitv2/relay/relay.go ReservationTagWeight
constexpr std::string_view reservation_tag = "relay-reservation";
constexpr int reservation_tag_value = 10;

/// Addresses that are counted as one; see RelayServiceProfile.
io::IpAddress network_of(const io::IpAddress& address, int ipv6_prefix_bits) {
  if (address.is_v4()) return address;
  auto bytes = address.to_v6().to_bytes();
  for (int bit = ipv6_prefix_bits; bit < 128; ++bit) {
    bytes[static_cast<std::size_t>(bit / 8)] &= static_cast<unsigned char>(~(0x80 >> (bit % 8)));
  }
  return boost::asio::ip::address_v6(bytes);
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct RelayService::State {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, RelayServiceProfile with, RelayAcl rules)
      : swarm(std::move(on)), profile(with), acl(std::move(rules)), expiry(swarm->scheduler()) {
    profile.limit = to_limit(from_limit(profile.limit));  // zero is no limit
  }

  struct Reserved {
    io::TimePoint expires;
    io::IpAddress network;
  };

  /// A circuit that stands or is being opened; counts for both of its peers.
  class Slot {
   public:
    Slot(Ptr service, PeerId source, PeerId target)
        : service_(std::move(service)), source_(source), target_(target) {
      ++service_->circuits;
      auto& most = service_->counters.most_circuits_of_a_peer;
      for (const auto& peer : {source_, target_}) most = std::max(most, ++service_->circuits_of[peer]);
    }
    ~Slot() {
      --service_->circuits;
      for (const auto& peer : {source_, target_}) {
        if (--service_->circuits_of[peer] == 0) service_->circuits_of.erase(peer);
      }
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    Ptr service_;
    PeerId source_;
    PeerId target_;
  };

  static io::Task<> serve(Ptr self, swarm::IncomingStream in);
  static io::Task<> refuse(Ptr self, io::StreamPtr stream, Status why);
  static io::Task<> reserve(Ptr self, swarm::IncomingStream in);
  static io::Task<> connect(Ptr self, swarm::IncomingStream in, pb::HopMessage request);
  static io::Task<io::Result<io::StreamPtr>> open_stop(Ptr self, PeerId source, PeerId target);
  static io::Task<> relay(Ptr self, io::StreamPtr source, io::StreamPtr target);

  Status may_reserve(const swarm::Connection& connection) const;
  Status may_connect(const swarm::Connection& connection, const PeerId& target) const;
  bool has_room(const PeerId& peer, const io::IpAddress& network) const;
  std::size_t circuits_with(const PeerId& peer) const;
  pb::HopMessage granted(const PeerId& peer) const;
  std::vector<Multiaddr> relay_addresses() const;
  void collect_expired();
  void release_all();
  void disconnected(const swarm::Connection& connection);

  std::shared_ptr<swarm::Swarm> swarm;
  RelayServiceProfile profile;
  RelayAcl acl;
  RelayCounters counters;
  std::map<PeerId, Reserved> reservations;
  std::map<PeerId, std::size_t> circuits_of;
  std::size_t circuits = 0;
  std::list<std::pair<io::StreamPtr, io::StreamPtr>> open;  // to reset when stopping
  io::Timer expiry;                                         // of the reservation that ends next
  bool stopped = false;
};

io::Task<> RelayService::State::serve(Ptr self, swarm::IncomingStream in) {
  if (!self || self->stopped) co_return;
  io::Result<pb::HopMessage> request;
  {
    const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.message_limit);
    request = co_await read_hop(*in.stream, self->profile.max_message_bytes);
  }
  if (!request) {
    const auto why = request.error();
    self->swarm->trace("hop.malformed", why.message());
    if (why == Error::malformed || why == Error::message_too_long) {
      co_await refuse(self, in.stream, Status::malformed_message);
    } else {
      in.stream->reset(why);
    }
  } else if (request->type() == pb::HopMessage::RESERVE) {
    co_await reserve(self, std::move(in));
  } else if (request->type() == pb::HopMessage::CONNECT) {
    co_await connect(self, std::move(in), std::move(*request));
  } else {
    co_await refuse(self, in.stream, Status::malformed_message);
  }
}

io::Task<> RelayService::State::refuse(Ptr self, io::StreamPtr stream, Status why) {
  ++self->counters.refused[why];
  self->swarm->trace("hop.refused", make_error_code(why).message());
  const io::Deadline deadline(self->swarm->scheduler(), stream, self->profile.message_limit);
  if (const auto written = co_await write_hop(*stream, hop_status(why)); !written) co_return;
  co_await io::end_gracefully(self->swarm->scheduler(), stream, self->profile.message_limit);
}

bool RelayService::State::has_room(const PeerId& peer, const io::IpAddress& network) const {
  std::size_t others = 0;
  std::size_t neighbours = 0;
  for (const auto& [holder, reserved] : reservations) {
    if (holder == peer) continue;
    ++others;
    if (reserved.network == network) ++neighbours;
  }
  return others < profile.max_reservations && neighbours < profile.max_reservations_per_ip;
}

Status RelayService::State::may_reserve(const swarm::Connection& connection) const {
  const auto& facts = connection.facts();
  if (facts.relayed) return Status::permission_denied;
  if (acl.may_reserve && !acl.may_reserve(facts.remote, facts.remote_address))
    return Status::permission_denied;
  const auto from = facts.remote_address.endpoint();
  const auto network = from ? network_of(from->address, profile.ipv6_prefix_bits) : io::IpAddress();
  return has_room(facts.remote, network) ? Status::ok : Status::reservation_refused;
}

io::Task<> RelayService::State::reserve(Ptr self, swarm::IncomingStream in) {
  if (in.connection->closed())
    co_return;  // what it had sent is still read, but nothing would end a reservation
  const auto& facts = in.connection->facts();
  const auto verdict = self->may_reserve(*in.connection);
  if (verdict != Status::ok) {
    co_await refuse(self, in.stream, verdict);
    co_return;
  }
  const auto from = facts.remote_address.endpoint();
  self->reservations[facts.remote] = {
      self->swarm->scheduler().now() + self->profile.reservation_ttl,
      from ? network_of(from->address, self->profile.ipv6_prefix_bits) : io::IpAddress()};
  self->swarm->tags().tag(facts.remote, reservation_tag, reservation_tag_value);
  self->collect_expired();
  auto& most = self->counters.most_reservations;
  most = std::max(most, self->reservations.size());
  ++self->counters.reservations_granted;
  self->swarm->trace("reserve.granted", facts.remote.short_string());

  const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.message_limit);
  const auto written = co_await write_hop(*in.stream, self->granted(facts.remote));
  if (written) co_await io::end_gracefully(self->swarm->scheduler(), in.stream, self->profile.message_limit);
}

pb::HopMessage RelayService::State::granted(const PeerId& peer) const {
  const auto expires =
      std::chrono::floor<std::chrono::seconds>(swarm->scheduler().calendar()) + profile.reservation_ttl;
  auto message = hop_status(Status::ok);
  auto& reservation = *message.mutable_reservation();
  reservation.set_expire(static_cast<std::uint64_t>(expires.time_since_epoch().count()));
  for (const auto& address : relay_addresses()) {
    reservation.add_addrs(address.bytes().data(), address.bytes().size());
  }
  const auto voucher = seal_voucher(swarm->identity(), {swarm->id(), peer, expires});
  reservation.set_voucher(voucher.data(), voucher.size());
  if (profile.limit.limits()) *message.mutable_limit() = from_limit(profile.limit);
  return message;
}

/// The public ones; a relay without any serves the network that it is in.
std::vector<Multiaddr> RelayService::State::relay_addresses() const {
  auto addresses = swarm->addresses().advertised();
  std::erase_if(addresses, [](const Multiaddr& address) { return address.is_circuit(); });
  if (std::ranges::any_of(addresses, &Multiaddr::is_public)) {
    std::erase_if(addresses, [](const Multiaddr& address) { return !address.is_public(); });
  }
  for (auto& address : addresses) address = address.with_peer(swarm->id());
  return addresses;
}

void RelayService::State::collect_expired() {
  const auto now = swarm->scheduler().now();
  std::erase_if(reservations, [&](const auto& entry) {
    if (entry.second.expires > now) return false;
    swarm->tags().untag(entry.first, reservation_tag);
    return true;
  });
  if (reservations.empty()) {
    expiry.cancel();
    return;
  }
  const auto next =
      std::ranges::min_element(reservations, {}, [](const auto& entry) { return entry.second.expires; });
  expiry.arm_at(next->second.expires, [this] { collect_expired(); });
}

void RelayService::State::release_all() {
  for (const auto& [peer, reserved] : std::exchange(reservations, {})) {
    swarm->tags().untag(peer, reservation_tag);
  }
  expiry.cancel();
}

void RelayService::State::disconnected(const swarm::Connection& connection) {
  if (connection.relayed() || swarm->direct_connection_to(connection.remote())) return;
  if (reservations.erase(connection.remote()) == 0) return;
  swarm->tags().untag(connection.remote(), reservation_tag);
  swarm->trace("reserve.dropped", connection.remote().short_string());
  collect_expired();
}

std::size_t RelayService::State::circuits_with(const PeerId& peer) const {
  const auto found = circuits_of.find(peer);
  return found == circuits_of.end() ? 0 : found->second;
}

Status RelayService::State::may_connect(const swarm::Connection& connection, const PeerId& target) const {
  const auto& source = connection.remote();
  if (connection.relayed()) return Status::permission_denied;
  if (acl.may_connect && !acl.may_connect(source, target)) return Status::permission_denied;
  if (!reservations.contains(target)) return Status::no_reservation;
  const auto most = profile.max_circuits_per_peer;
  if (circuits_with(source) >= most || circuits_with(target) >= most) return Status::resource_limit_exceeded;
  return Status::ok;
}

io::Task<> RelayService::State::connect(Ptr self, swarm::IncomingStream in, pb::HopMessage request) {
  const auto source = in.connection->remote();
  const auto target = PeerId::from_bytes(io::as_bytes(request.peer().id()));
  const auto verdict = in.connection->relayed() ? Status::permission_denied
                       : target                 ? self->may_connect(*in.connection, *target)
                                                : Status::malformed_message;
  if (verdict != Status::ok) {
    co_await refuse(self, in.stream, verdict);
    co_return;
  }
  std::optional<Slot> slot(std::in_place, self, source, *target);
  const auto stop = co_await open_stop(self, source, *target);
  if (!stop || self->stopped) {
    slot.reset();  // being refused takes as long as the source likes
    co_await refuse(self, in.stream, Status::connection_failed);
    co_return;
  }
  auto message = hop_status(Status::ok);
  if (self->profile.limit.limits()) *message.mutable_limit() = from_limit(self->profile.limit);
  {
    const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.message_limit);
    const auto written = co_await write_hop(*in.stream, std::move(message));
    if (!written) co_return;
  }
  ++self->counters.circuits_opened;
  self->swarm->trace("circuit.open", source.short_string() + " to " + target->short_string());
  co_await relay(self, in.stream, *stop);
}

/// Asks the target, over a connection that exists, to take the circuit.
io::Task<io::Result<io::StreamPtr>> RelayService::State::open_stop(Ptr self, PeerId source, PeerId target) {
  const auto connection = self->swarm->direct_connection_to(target);
  if (!connection) co_return io::fail(swarm::Error::not_connected);
  std::vector<std::string> protocols(1, std::string(stop_protocol));
  auto opened = co_await connection->open_stream(std::move(protocols), self->profile.stop_open_limit);
  if (!opened) co_return tl::unexpected(opened.error());

  const io::Deadline deadline(self->swarm->scheduler(), opened->stream, self->profile.stop_limit);
  pb::StopMessage request;
  request.set_type(pb::StopMessage::CONNECT);
  set_peer(*request.mutable_peer(), source);
  if (self->profile.limit.limits()) *request.mutable_limit() = from_limit(self->profile.limit);
  const auto written = co_await write_stop(*opened->stream, std::move(request));
  if (!written) co_return tl::unexpected(written.error());

  auto reply = co_await read_stop(*opened->stream, self->profile.max_message_bytes);
  if (reply && reply->type() != pb::StopMessage::STATUS) reply = io::fail(Error::unexpected_type);
  if (reply && reply->status() != static_cast<int>(Status::ok)) {
    reply = io::fail(static_cast<Status>(reply->status()));
  }
  if (!reply) {
    self->swarm->trace("stop.refused", reply.error().message());
    opened->stream->reset(reply.error());
    co_return tl::unexpected(reply.error());
  }
  co_return opened->stream;
}

io::Task<> RelayService::State::relay(Ptr self, io::StreamPtr source, io::StreamPtr target) {
  const auto place = self->open.emplace(self->open.end(), source, target);
  const auto end = co_await run_circuit(self->swarm->scheduler(), source, target, self->profile);
  self->open.erase(place);
  self->counters.bytes_relayed += end.bytes;
  if (end.why == Error::data_limit) ++self->counters.cut_by_data;
  if (end.why == Error::duration_limit) ++self->counters.cut_by_duration;
  self->swarm->trace("circuit.closed", end.why ? end.why.message() : "both ends closed");
}

RelayService::RelayService(std::shared_ptr<swarm::Swarm> swarm, RelayServiceProfile profile, RelayAcl acl)
    : state_(std::make_shared<State>(std::move(swarm), profile, std::move(acl))) {
  const std::weak_ptr<State> weak = state_;
  // Opted in, so that a request over a circuit gets its refusal rather than silence.
  state_->swarm->handle(
      std::string(hop_protocol),
      [weak](swarm::IncomingStream in) { return State::serve(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
  state_->swarm->on_disconnected([weak](const ConnectionPtr& connection) {
    if (const auto state = weak.lock()) state->disconnected(*connection);
  });
}

RelayService::~RelayService() { stop(); }

std::size_t RelayService::reservations() const { return state_->reservations.size(); }
std::size_t RelayService::circuits() const { return state_->circuits; }
const RelayCounters& RelayService::counters() const { return state_->counters; }

RelayCounters& RelayCounters::operator+=(const RelayCounters& other) {
  reservations_granted += other.reservations_granted;
  most_reservations = std::max(most_reservations, other.most_reservations);
  circuits_opened += other.circuits_opened;
  most_circuits_of_a_peer = std::max(most_circuits_of_a_peer, other.most_circuits_of_a_peer);
  cut_by_data += other.cut_by_data;
  cut_by_duration += other.cut_by_duration;
  bytes_relayed += other.bytes_relayed;
  for (const auto& [status, count] : other.refused) refused[status] += count;
  return *this;
}

void RelayService::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->swarm->unhandle(hop_protocol);
  state_->release_all();
  for (const auto& [source, target] : state_->open) {
    source->reset();
    target->reset();
  }
}

}  // namespace flaresim::relay
