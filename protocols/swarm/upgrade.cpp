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

io::Task<io::Result<ConnectionPtr>> Swarm::State::upgrade(io::StreamPtr raw, Upgrade how,
                                                          io::Duration limit) {
  const auto self = shared_from_this();
  const PendingStream known(pending, raw);
  const io::Deadline deadline(scheduler, raw, limit);
  ++counters.handshakes;
  const auto failed = [&](std::error_code why) {
    ++counters.failed_upgrades;
    raw->reset(why);
    return tl::unexpected(why);
  };

  const auto security =
      co_await agree(raw, how.role, std::string(security::noise_protocol), profile.multistream);
  if (!security) co_return failed(security.error());

  security::Handshake handshake{how.role, how.expected, {std::string(muxer::yamux_protocol)}};
  auto secured =
      co_await security::noise(scheduler, raw, identity, io::Random(random.seed_bytes()), handshake);
  if (!secured) co_return failed(secured.error());

  auto muxer = secured->muxer;
  if (muxer.empty()) {
    auto agreed =
        co_await agree(secured->stream, how.role, std::string(muxer::yamux_protocol), profile.multistream);
    if (!agreed) co_return failed(agreed.error());
    muxer = *agreed;
  }
  if (down) co_return failed(Error::shut_down);

  auto muxed = muxer::yamux(scheduler, secured->stream, how.role, profile.yamux);
  auto connection = std::make_shared<Connection>(
      scheduler,
      Connection::Facts{next_connection++, secured->remote, secured->remote_key, how.local_address,
                        how.remote_address, how.direction, how.role, *security, muxer, how.relayed, how.limit,
                        scheduler.now()},
      std::move(muxed), profile.multistream, profile.stream_negotiation_limit);
  add(connection);
  co_return connection;
}

}  // namespace flaresim::swarm
