#include <optional>
#include <utility>
#include <vector>

#include "protocols/autonat/dial_back.h"
#include "protocols/autonat/exchanges.h"
#include "protocols/autonat/messages.h"
#include "protocols/autonat/own_ips.h"
#include "protocols/autonat/v2.h"
#include "protocols/autonat/v2_limits.h"

namespace flaresim::autonat {

using multiformats::Multiaddr;
using multiformats::PeerId;
using multiformats::Transport;
using swarm::ConnectionPtr;

namespace {

pb::V2Message response(V2Status status) {
  pb::V2Message message;
  message.mutable_dial_response()->set_status(static_cast<int>(status));
  return message;
}

/// The one address of a request that is dialled.
struct Choice {
  Multiaddr address;
  std::uint32_t index = 0;
};

}  // namespace

/// Its coroutines hold it by their first argument, from before they start until they end.
struct V2Server::State {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, V2ServerProfile with)
      : swarm(std::move(on)),
        profile(with),
        random(swarm->network().random("autonat v2 server")),
        limits(profile),
        dial_backs(*swarm, "autonat v2 dial-back"),
        stopping(swarm->scheduler()) {}

  static io::Task<> serve(Ptr self, swarm::IncomingStream in);
  /// The answer, or why there is none and the stream is to be reset.
  static io::Task<io::Result<pb::V2Message>> answer(Ptr self, swarm::IncomingStream in, io::TimePoint until);
  static io::Task<io::Result<>> take_dial_data(Ptr self, io::StreamPtr stream, std::uint32_t index);
  static io::Task<io::Result<>> wait_before_dialling(Ptr self);
  static io::Task<DialStatus> dial_back(Ptr self, PeerId peer, Multiaddr address, std::uint64_t nonce,
                                        io::TimePoint until);
  static io::Task<DialStatus> show_nonce(Ptr self, ConnectionPtr connection, std::uint64_t nonce,
                                         io::TimePoint until);

  std::optional<Choice> choose(const swarm::Connection& connection, const pb::DialRequest& request) const;
  bool can_dial(const Multiaddr& address) const;
  void count(const pb::DialResponse& answer);

  std::shared_ptr<swarm::Swarm> swarm;
  V2ServerProfile profile;
  io::Random random;
  V2Limits limits;
  V2ServerCounters counters;
  DialBacks dial_backs;
  Exchanges exchanges;
  io::Signal stopping;
  bool stopped = false;
};

io::Task<> V2Server::State::serve(Ptr self, swarm::IncomingStream in) {
  if (!self || self->stopped) co_return;
  auto& scheduler = self->swarm->scheduler();
  const Exchanges::Exchange exchange(self->exchanges, in.stream);
  const auto until = scheduler.now() + self->profile.stream_limit;
  const io::Deadline deadline(scheduler, in.stream, self->profile.stream_limit);
  const auto stream = in.stream;
  ++self->counters.requests;

  io::Result<pb::V2Message> reply = response(V2Status::request_rejected);
  if (const auto peer = in.connection->remote(); self->limits.begin(peer, scheduler.now())) {
    reply = co_await answer(self, std::move(in), until);
    self->limits.end(peer);
  }
  if (!reply) {
    ++self->counters.bad;
    stream->reset(reply.error());
    co_return;
  }
  self->count(reply->dial_response());
  const auto written = co_await write(*stream, std::move(*reply));
  if (written) co_await io::end_gracefully(scheduler, stream, self->profile.stream_limit);
}

io::Task<io::Result<pb::V2Message>> V2Server::State::answer(Ptr self, swarm::IncomingStream in,
                                                            io::TimePoint until) {
  const auto message = co_await read_v2(*in.stream, self->profile.max_message_bytes);
  if (!message) co_return tl::unexpected(message.error());
  if (!message->has_dial_request()) co_return io::fail(Error::unexpected_message);
  const auto& connection = *in.connection;
  const auto choice = self->choose(connection, message->dial_request());
  if (!choice) co_return response(V2Status::dial_refused);

  if (ip_of(connection.facts().remote_address) != ip_of(choice->address)) {
    if (!self->limits.take_dial_data(self->swarm->scheduler().now()))
      co_return response(V2Status::request_rejected);
    const auto paid = co_await take_dial_data(self, in.stream, choice->index);
    if (!paid) co_return tl::unexpected(paid.error());
    const auto waited = co_await wait_before_dialling(self);
    if (!waited) co_return tl::unexpected(waited.error());
  }
  const auto nonce = message->dial_request().nonce();
  const auto status = co_await dial_back(self, connection.remote(), choice->address, nonce, until);
  if (self->stopped) co_return io::fail(Error::stopped);
  auto reply = response(V2Status::ok);
  reply.mutable_dial_response()->set_addr_idx(choice->index);
  reply.mutable_dial_response()->set_dial_status(static_cast<int>(status));
  co_return reply;
}

std::optional<Choice> V2Server::State::choose(const swarm::Connection& connection,
                                              const pb::DialRequest& request) const {
  if (connection.relayed()) return std::nullopt;
  std::uint32_t index = 0;
  for (const auto& bytes : request.addrs()) {
    if (index == profile.max_addresses) break;
    const auto address = Multiaddr::from_bytes(io::as_bytes(bytes));
    if (address && can_dial(*address)) return Choice{*address, index};
    ++index;
  }
  return std::nullopt;
}

bool V2Server::State::can_dial(const Multiaddr& address) const {
  const auto transport = address.transport();
  if (transport != Transport::tcp && transport != Transport::quic_v1) return false;
  const auto endpoint = address.endpoint();
  if (!endpoint || !address.is_public()) return false;
  for (const auto& own : swarm->network().addresses()) {
    const bool local = own.is_loopback() || (own.is_v6() && own.to_v6().is_link_local());
    if (!local && own.is_v4() == endpoint->address.is_v4()) return true;
  }
  return false;
}

io::Task<io::Result<>> V2Server::State::take_dial_data(Ptr self, io::StreamPtr stream, std::uint32_t index) {
  const auto& profile = self->profile;
  const auto span = profile.max_dial_data_bytes - profile.min_dial_data_bytes;
  auto left = profile.min_dial_data_bytes + self->random.below(span + 1);
  pb::V2Message price;
  price.mutable_dial_data_request()->set_addr_idx(index);
  price.mutable_dial_data_request()->set_num_bytes(left);
  const auto written = co_await write(*stream, std::move(price));
  if (!written) co_return written;
  while (left > 0) {
    const auto message = co_await read_v2(*stream, profile.max_message_bytes);
    if (!message) co_return tl::unexpected(message.error());
    if (!message->has_dial_data_response()) co_return io::fail(Error::unexpected_message);
    const auto size = message->dial_data_response().data().size();
    self->counters.dial_data_bytes += size;
    if (size < profile.min_chunk_bytes && size < left) co_return io::fail(Error::malformed);
    left -= std::min<std::uint64_t>(left, size);
  }
  co_return io::Result<>{};
}

/// So that many requests for one victim do not hit it at one instant.
io::Task<io::Result<>> V2Server::State::wait_before_dialling(Ptr self) {
  const auto& scheduler = self->swarm->scheduler();
  const auto until =
      scheduler.now() + self->random.between(io::Duration::zero(), self->profile.max_dial_wait);
  while (!self->stopped && scheduler.now() < until) co_await self->stopping.wait_until(until);
  if (self->stopped) co_return io::fail(Error::stopped);
  co_return io::Result<>{};
}

io::Task<DialStatus> V2Server::State::dial_back(Ptr self, PeerId peer, Multiaddr address, std::uint64_t nonce,
                                                io::TimePoint until) {
  const auto& scheduler = self->swarm->scheduler();
  until = std::min(until, scheduler.now() + self->profile.dial_limit);
  if (until <= scheduler.now()) co_return DialStatus::dial_error;
  DialBacks::Dialler dialler(self->dial_backs);
  std::vector<Multiaddr> addresses(1, std::move(address));
  const auto report = co_await dialler.dial(peer, std::move(addresses), until - scheduler.now());
  if (!report.connection) co_return DialStatus::dial_error;
  co_return co_await show_nonce(self, report.connection, nonce, until);
}

/// The connection ends with this, so that whatever the remote answers shows that the nonce has arrived: nobody needs to
/// understand it.
io::Task<DialStatus> V2Server::State::show_nonce(Ptr self, ConnectionPtr connection, std::uint64_t nonce,
                                                 io::TimePoint until) {
  auto& scheduler = self->swarm->scheduler();
  std::vector<std::string> protocols(1, std::string(v2_dial_back_protocol));
  const auto opened = co_await connection->open_stream(std::move(protocols), until - scheduler.now());
  if (!opened) co_return DialStatus::dial_back_error;
  const auto stream = opened->stream;
  {
    const io::Deadline deadline(scheduler, stream, self->profile.dial_back_limit);
    pb::DialBack message;
    message.set_nonce(nonce);
    const auto written = co_await write(*stream, std::move(message));
    if (!written) co_return DialStatus::dial_back_error;
  }
  const io::Deadline deadline(scheduler, stream, self->profile.dial_back_limit);
  const auto closed = co_await stream->close_write();
  std::uint8_t anything = 0;
  if (closed) (void)co_await stream->read({&anything, 1});
  co_return DialStatus::ok;
}

void V2Server::State::count(const pb::DialResponse& answer) {
  if (answer.status() != static_cast<int>(V2Status::ok)) {
    ++counters.refused;
  } else if (answer.dial_status() == static_cast<int>(DialStatus::ok)) {
    ++counters.dialled_back;
  } else {
    ++counters.failed;
  }
}

V2Server::V2Server(std::shared_ptr<swarm::Swarm> swarm, V2ServerProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  // Opted in, so that a request over a circuit gets its refusal rather than silence.
  state_->swarm->handle(
      std::string(v2_dial_request_protocol),
      [weak](swarm::IncomingStream in) { return State::serve(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
}

V2Server::~V2Server() { stop(); }

const V2ServerCounters& V2Server::counters() const { return state_->counters; }
std::size_t V2Server::active() const { return state_->exchanges.size(); }

void V2Server::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->swarm->unhandle(v2_dial_request_protocol);
  state_->stopping.notify_all();
  state_->dial_backs.shut_down();
  state_->exchanges.reset_all(Error::stopped);
}

}  // namespace flaresim::autonat
