#include "protocols/negotiation/multistream.h"
#include "protocols/security/noise.h"
#include "protocols/swarm/state.h"

namespace flaresim::swarm {
namespace {

/// Agrees on one protocol; the client proposes.
io::Task<io::Result<std::string>> agree(io::StreamPtr stream, security::Role role, std::string protocol,
                                        negotiation::MultistreamProfile profile) {
  std::vector<std::string> offer{std::move(protocol)};
  if (role == security::Role::client)
    co_return co_await negotiation::select(*stream, std::move(offer), profile);
  co_return co_await negotiation::respond(*stream, std::move(offer), profile);
}

}  // namespace

io::Task<io::Result<ConnectionPtr>> Swarm::State::upgrade(Ptr self, io::StreamPtr raw, Upgrade how,
                                                          io::Duration limit) {
  auto& scheduler = self->scheduler;
  const auto& profile = self->profile;
  const PendingStream known(self->pending, raw);
  const io::Deadline deadline(scheduler, raw, limit);
  ++self->counters.handshakes;
  const auto failed = [&](std::error_code why) {
    ++self->counters.failed_upgrades;
    raw->reset(why);
    return tl::unexpected(why);
  };
  if (self->down) co_return failed(Error::shut_down);

  const auto agreed_security =
      co_await agree(raw, how.role, std::string(security::noise_protocol), profile.multistream);
  if (!agreed_security) co_return failed(agreed_security.error());

  security::Handshake handshake{how.role, how.expected, {std::string(muxer::yamux_protocol)}};
  auto secured = co_await security::noise(scheduler, raw, self->identity,
                                          io::Random(self->random.seed_bytes()), handshake);
  if (!secured) co_return failed(secured.error());

  auto muxer = secured->muxer;
  if (muxer.empty()) {
    auto agreed =
        co_await agree(secured->stream, how.role, std::string(muxer::yamux_protocol), profile.multistream);
    if (!agreed) co_return failed(agreed.error());
    muxer = *agreed;
  }
  auto connection = self->admit(std::move(how), *secured, *agreed_security, std::move(muxer));
  if (!connection) co_return failed(connection.error());
  co_return connection;
}

io::Result<ConnectionPtr> Swarm::State::admit(Upgrade how, const security::Secured& secured,
                                              std::string security, std::string muxer) {
  if (down) return io::fail(Error::shut_down);
  if (connections_to(secured.remote) >= profile.max_connections_per_peer) {
    return io::fail(Error::too_many_connections);
  }
  auto muxed = muxer::yamux(scheduler, secured.stream, how.role, profile.yamux);
  auto connection = std::make_shared<Connection>(
      scheduler,
      Connection::Facts{next_connection++, secured.remote, secured.remote_key, how.local_address,
                        how.remote_address, how.direction, how.role, std::move(security), std::move(muxer),
                        how.relayed, how.limit, scheduler.now()},
      std::move(muxed), profile.multistream, profile.stream_negotiation_limit);
  add(connection);
  return connection;
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::upgrade_inbound(Ptr self, io::StreamPtr raw, Upgrade how) {
  const auto& profile = self->profile;
  if (self->inbound_upgrades >= profile.max_inbound_upgrades ||
      self->connections.size() + self->inbound_upgrades >= profile.max_connections) {
    raw->reset(Error::too_many_connections);
    co_return io::fail(Error::too_many_connections);
  }
  ++self->inbound_upgrades;
  auto connection = co_await upgrade(self, std::move(raw), std::move(how), profile.inbound_upgrade_limit);
  --self->inbound_upgrades;
  co_return connection;
}

}  // namespace flaresim::swarm
