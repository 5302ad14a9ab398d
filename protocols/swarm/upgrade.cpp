#include "protocols/negotiation/multistream.h"
#include "protocols/security/noise.h"
#include "protocols/security/tls.h"
#include "protocols/swarm/state.h"

namespace flaresim::swarm {
namespace {

/// Agrees on one protocol; the client proposes.
io::Task<io::Result<std::string>> agree(io::StreamPtr stream, security::Role role,
                                        std::vector<std::string> offer,
                                        negotiation::MultistreamProfile profile) {
  if (role == security::Role::client)
    co_return co_await negotiation::select(*stream, std::move(offer), profile);
  co_return co_await negotiation::respond(*stream, std::move(offer), profile);
}

}  // namespace

io::Task<io::Result<ConnectionPtr>> Swarm::State::upgrade(Ptr self, io::StreamPtr raw, Upgrade how,
                                                          io::Duration limit) {
  auto& scheduler = self->scheduler;
  const auto& profile = self->profile;
  const Pending known(self->pending, raw);
  const io::Deadline deadline(scheduler, raw, limit);
  ++self->counters.handshakes;
  const auto failed = [&](std::error_code why) {
    ++self->counters.failed_upgrades;
    raw->reset(why);
    return tl::unexpected(why);
  };
  if (self->down) co_return failed(Error::shut_down);

  const auto agreed_security = co_await agree(raw, how.role, profile.security, profile.multistream);
  if (!agreed_security) co_return failed(agreed_security.error());

  const std::vector<std::string> muxers{std::string(muxer::yamux_protocol)};
  security::Handshake handshake{how.role, how.expected, muxers};
  io::Result<security::Secured> secured = io::fail(Error::no_handler);
  if (*agreed_security == security::tls_protocol) {
    secured = co_await security::tls(scheduler, raw, self->tls_identity(), handshake);
  } else {
    const io::Random random(self->random.seed_bytes());
    secured = co_await security::noise(scheduler, raw, self->identity, random, handshake, profile.noise);
  }
  if (!secured) co_return failed(secured.error());

  auto muxer = secured->muxer;
  if (muxer.empty()) {
    auto agreed = co_await agree(secured->stream, how.role, muxers, profile.multistream);
    if (!agreed) co_return failed(agreed.error());
    muxer = *agreed;
  }
  if (self->down) co_return failed(Error::shut_down);
  auto muxed = muxer::yamux(scheduler, secured->stream, how.role, profile.yamux);
  Upgraded upgraded{secured->remote, secured->remote_key, *agreed_security, std::move(muxer),
                    std::move(muxed)};
  auto connection = self->admit(std::move(how), std::move(upgraded));
  if (!connection) co_return failed(connection.error());
  co_return connection;
}

io::Result<ConnectionPtr> Swarm::State::admit(Upgrade how, Upgraded upgraded) {
  const auto refuse = [&](Error why) -> io::Result<ConnectionPtr> {
    upgraded.muxed->close(why);
    return io::fail(why);
  };
  if (down) return refuse(Error::shut_down);
  if (connections_to(upgraded.remote) >= profile.max_connections_per_peer)
    return refuse(Error::too_many_connections);
  if (profile.muxer_tap) upgraded.muxed = profile.muxer_tap(std::move(upgraded.muxed));
  auto connection = std::make_shared<Connection>(
      scheduler,
      Connection::Facts{next_connection++, upgraded.remote, std::move(upgraded.remote_key), how.local_address,
                        how.remote_address, how.direction, how.role, std::move(upgraded.security),
                        std::move(upgraded.muxer), how.relayed, how.limit, scheduler.now()},
      std::move(upgraded.muxed), profile.multistream, profile.stream_negotiation_limit);
  add(connection);
  return connection;
}

bool Swarm::State::is_full() const {
  return inbound_upgrades >= profile.max_inbound_upgrades ||
         connections.size() + inbound_upgrades >= profile.max_connections;
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::upgrade_inbound(Ptr self, io::StreamPtr raw, Upgrade how) {
  const auto& profile = self->profile;
  if (self->is_full()) {
    raw->reset(Error::too_many_connections);
    co_return io::fail(Error::too_many_connections);
  }
  ++self->inbound_upgrades;
  auto connection = co_await upgrade(self, std::move(raw), std::move(how), profile.inbound_upgrade_limit);
  --self->inbound_upgrades;
  co_return connection;
}

}  // namespace flaresim::swarm
