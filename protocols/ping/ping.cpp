#include "protocols/ping/ping.h"

#include <array>
#include <map>
#include <set>
#include <utility>

#include "protocols/io/error_table.h"

namespace flaresim::ping {

using multiformats::PeerId;
using swarm::ConnectionPtr;

namespace {

using Payload = std::array<std::uint8_t, 32>;

}  // namespace

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "ping was answered with other bytes",
      "a ping to this peer is under way",
  };
  static const io::ErrorTable category("ping", messages);
  return {static_cast<int>(error), category};
}

/// Its coroutines hold it by their first argument, from before they start until they end.
struct Ping::State {
  using Ptr = std::shared_ptr<State>;

  State(std::shared_ptr<swarm::Swarm> on, PingProfile with)
      : swarm(std::move(on)), profile(with), random(swarm->network().random("ping")) {}

  static io::Task<io::Result<io::Duration>> ping(Ptr self, ConnectionPtr connection);
  static io::Task<io::Result<io::Duration>> round_trip(Ptr self, ConnectionPtr connection);
  static io::Task<> answer(Ptr self, swarm::IncomingStream in);
  static io::Task<> echo(io::StreamPtr stream);

  std::shared_ptr<swarm::Swarm> swarm;
  PingProfile profile;
  io::Random random;
  std::set<PeerId> pinging;
  std::map<PeerId, int> answering;
};

io::Task<io::Result<io::Duration>> Ping::State::ping(Ptr self, ConnectionPtr connection) {
  if (!self->pinging.insert(connection->remote()).second) co_return io::fail(Error::already_pinging);
  auto result = co_await round_trip(self, connection);
  self->pinging.erase(connection->remote());
  co_return result;
}

io::Task<io::Result<io::Duration>> Ping::State::round_trip(Ptr self, ConnectionPtr connection) {
  auto& scheduler = self->swarm->scheduler();
  std::vector<std::string> protocols(1, std::string(ping_protocol));
  const auto opened = co_await connection->open_stream(std::move(protocols), self->profile.limit);
  if (!opened) co_return tl::unexpected(opened.error());
  const auto stream = opened->stream;
  const io::Deadline deadline(scheduler, stream, self->profile.limit);

  Payload sent;
  self->random.fill(sent);
  const auto began = scheduler.now();
  if (const auto written = co_await stream->write(sent); !written) co_return tl::unexpected(written.error());
  Payload received;
  if (const auto got = co_await io::read_exactly(*stream, received); !got)
    co_return tl::unexpected(got.error());
  const auto took = scheduler.now() - began;
  if (received != sent) {
    stream->reset(Error::wrong_echo);
    co_return io::fail(Error::wrong_echo);
  }
  io::spawn(scheduler.executor(), io::end_gracefully(scheduler, stream, self->profile.limit));
  co_return took;
}

io::Task<> Ping::State::answer(Ptr self, swarm::IncomingStream in) {
  if (!self) co_return;
  const auto& peer = in.connection->remote();
  if (self->answering[peer] >= self->profile.max_inbound_streams_per_peer) {
    in.stream->reset(std::errc::no_buffer_space);
    co_return;
  }
  ++self->answering[peer];
  {
    const io::Deadline deadline(self->swarm->scheduler(), in.stream, self->profile.handler_limit);
    co_await echo(in.stream);
  }
  if (--self->answering[peer] == 0) self->answering.erase(peer);
}

io::Task<> Ping::State::echo(io::StreamPtr stream) {
  Payload payload;
  while (co_await io::read_exactly(*stream, payload)) {
    if (!co_await stream->write(payload)) co_return;
  }
  co_await stream->close_write();
}

Ping::Ping(std::shared_ptr<swarm::Swarm> swarm, PingProfile profile)
    : state_(std::make_shared<State>(std::move(swarm), profile)) {
  const std::weak_ptr<State> weak = state_;
  state_->swarm->handle(
      std::string(ping_protocol),
      [weak](swarm::IncomingStream in) { return State::answer(weak.lock(), std::move(in)); },
      swarm::OverLimited::yes);
}

io::Task<io::Result<io::Duration>> Ping::ping(swarm::ConnectionPtr connection) {
  return State::ping(state_, std::move(connection));
}

}  // namespace flaresim::ping
