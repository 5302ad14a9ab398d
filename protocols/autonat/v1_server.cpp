#include <map>
#include <set>
#include <utility>
#include <vector>

#include "protocols/autonat/dial_back.h"
#include "protocols/autonat/exchanges.h"
#include "protocols/autonat/messages.h"
#include "protocols/autonat/own_ips.h"
#include "protocols/autonat/v1.h"

namespace flaresim::autonat {

using multiformats::Multiaddr;
using multiformats::PeerId;
using swarm::ConnectionPtr;

namespace {

pb::V1DialResponse refusal(V1Status status, const char* why) {
  pb::V1DialResponse response;
  response.set_status(static_cast<int>(status));
  response.set_status_text(why);
  return response;
}

/// The same port and transport at another IP address; nothing for an address that does not begin with one.
std::optional<Multiaddr> moved_to(const io::IpAddress& ip, const Multiaddr& address) {
  const auto from = ip_of(address);
  if (!from) return std::nullopt;
  const auto head = Multiaddr::from_endpoint({ip, 0}, multiformats::Transport::tcp);
  const auto ip_bytes = [](const io::IpAddress& of) -> std::size_t { return of.is_v4() ? 1 + 4 : 1 + 16; };
  io::Bytes bytes = io::to_bytes(io::BytesView(head.bytes()).first(ip_bytes(ip)));
  io::append(bytes, io::BytesView(address.bytes()).subspan(ip_bytes(*from)));
  const auto moved = Multiaddr::from_bytes(bytes);
  return moved ? std::optional(*moved) : std::nullopt;
}

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct V1Server::State {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, V1ServerProfile with)
      : swarm(std::move(on)),
        profile(with),
        random(swarm->network().random("autonat v1 server")),
        dial_backs(*swarm, "autonat v1 dial-back"),
        stopping(swarm->scheduler()),
        window_ends(swarm->scheduler().now() + profile.window) {}

  static io::Task<> serve(Ptr self, swarm::IncomingStream in);
  static io::Task<pb::V1DialResponse> answer(Ptr self, ConnectionPtr connection, pb::V1Dial dial);
  static io::Task<pb::V1DialResponse> dial_back(Ptr self, PeerId peer, std::vector<Multiaddr> addresses);

  std::optional<pb::V1DialResponse> objection(const swarm::Connection& connection,
                                              const pb::V1Dial& dial) const;
  bool is_dialable(const Multiaddr& address) const;
  std::vector<Multiaddr> addresses_to_dial(const Multiaddr& observed, const pb::V1PeerInfo& wanted) const;
  bool take_dial(const PeerId& peer);
  void count(const pb::V1DialResponse& response);

  std::shared_ptr<swarm::Swarm> swarm;
  V1ServerProfile profile;
  io::Random random;
  V1ServerCounters counters;
  DialBacks dial_backs;
  Exchanges exchanges;
  io::Signal stopping;
  io::TimePoint window_ends;
  std::size_t dials = 0;  // in this window
  std::map<PeerId, std::size_t> dials_of;
  bool stopped = false;
};

io::Task<> V1Server::State::serve(Ptr self, swarm::IncomingStream in) {
  if (!self || self->stopped) co_return;
  auto& scheduler = self->swarm->scheduler();
  const Exchanges::Exchange exchange(self->exchanges, in.stream);
  const io::Deadline deadline(scheduler, in.stream, self->profile.stream_limit);
  ++self->counters.requests;
  auto request = co_await read_v1(*in.stream, self->profile.max_message_bytes);
  if (request && request->type() != static_cast<int>(V1Type::dial))
    request = io::fail(Error::unexpected_message);
  if (!request) {
    ++self->counters.bad;
    in.stream->reset(request.error());
    co_return;
  }
  pb::V1Message reply;
  reply.set_type(static_cast<int>(V1Type::dial_response));
  *reply.mutable_dial_response() = co_await answer(self, in.connection, request->dial());
  self->count(reply.dial_response());
  if (self->stopped) co_return;
  const auto written = co_await write(*in.stream, std::move(reply));
  if (written) co_await io::end_gracefully(scheduler, in.stream, self->profile.stream_limit);
}

io::Task<pb::V1DialResponse> V1Server::State::answer(Ptr self, ConnectionPtr connection, pb::V1Dial dial) {
  if (auto objection = self->objection(*connection, dial)) co_return std::move(*objection);
  auto addresses = self->addresses_to_dial(connection->facts().remote_address, dial.peer());
  if (!self->take_dial(connection->remote())) co_return refusal(V1Status::dial_refused, "too many dials");
  co_return co_await dial_back(self, connection->remote(), std::move(addresses));
}

std::optional<pb::V1DialResponse> V1Server::State::objection(const swarm::Connection& connection,
                                                             const pb::V1Dial& dial) const {
  if (!dial.has_peer()) return refusal(V1Status::bad_request, "no peer");
  if (dial.peer().has_id()) {
    const auto id = PeerId::from_bytes(io::as_bytes(dial.peer().id()));
    if (!id) return refusal(V1Status::bad_request, "malformed peer id");
    if (*id != connection.remote()) return refusal(V1Status::bad_request, "another peer");
  }
  if (!is_dialable(connection.facts().remote_address)) {
    return refusal(V1Status::dial_refused, "not from such an address");
  }
  return std::nullopt;
}

bool V1Server::State::is_dialable(const Multiaddr& address) const {
  if (address.is_circuit() || !address.is_public()) return false;
  return !own_ips(*swarm).contains(*ip_of(address));
}

std::vector<Multiaddr> V1Server::State::addresses_to_dial(const Multiaddr& observed,
                                                          const pb::V1PeerInfo& wanted) const {
  std::vector<Multiaddr> addresses(1, observed);
  std::set<Multiaddr> seen(addresses.begin(), addresses.end());
  for (const auto& bytes : wanted.addrs()) {
    if (addresses.size() >= profile.max_addresses) break;
    const auto address = Multiaddr::from_bytes(io::as_bytes(bytes));
    if (!address || address->is_circuit()) continue;
    const auto moved = moved_to(*ip_of(observed), *address);
    if (moved && seen.insert(*moved).second) addresses.push_back(*moved);
  }
  return addresses;
}

/// The windows follow one another from the start; they are counted up only when somebody asks.
bool V1Server::State::take_dial(const PeerId& peer) {
  while (swarm->scheduler().now() >= window_ends) {
    window_ends += profile.window + random.between(io::Duration::zero(), profile.window_jitter);
    dials = 0;
    dials_of.clear();
  }
  if (dials >= profile.max_dials_per_window || dials_of[peer] >= profile.max_dials_per_peer) return false;
  ++dials;
  ++dials_of[peer];
  return true;
}

io::Task<pb::V1DialResponse> V1Server::State::dial_back(Ptr self, PeerId peer,
                                                        std::vector<Multiaddr> addresses) {
  const auto until = self->swarm->scheduler().now() + self->profile.dial_limit;
  {
    DialBacks::Dialler dialler(self->dial_backs);
    const auto report = co_await dialler.dial(peer, std::move(addresses), self->profile.dial_limit);
    if (report.connection) {
      const auto& reached = report.connection->facts().remote_address.bytes();
      pb::V1DialResponse response;
      response.set_status(static_cast<int>(V1Status::ok));
      response.set_addr(reached.data(), reached.size());
      co_return response;
    }
  }
  while (!self->stopped && self->swarm->scheduler().now() < until) co_await self->stopping.wait_until(until);
  co_return refusal(V1Status::dial_error, "no address could be dialled");
}

void V1Server::State::count(const pb::V1DialResponse& response) {
  switch (static_cast<V1Status>(response.status())) {
    case V1Status::ok:
      ++counters.dialled_back;
      break;
    case V1Status::dial_error:
      ++counters.failed;
      break;
    case V1Status::dial_refused:
      ++counters.refused;
      break;
    default:
      ++counters.bad;
  }
}

V1Server::V1Server(std::shared_ptr<swarm::Swarm> swarm, V1ServerProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  // Opted in, so that a request over a circuit gets its refusal rather than silence.
  state_->swarm->handle(
      std::string(v1_protocol),
      [weak](swarm::IncomingStream in) { return State::serve(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
}

V1Server::~V1Server() { stop(); }

const V1ServerCounters& V1Server::counters() const { return state_->counters; }
std::size_t V1Server::active() const { return state_->exchanges.size(); }

void V1Server::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->swarm->unhandle(v1_protocol);
  state_->stopping.notify_all();
  state_->dial_backs.shut_down();
  state_->exchanges.reset_all(Error::stopped);
}

}  // namespace flaresim::autonat
