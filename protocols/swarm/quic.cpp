#include <algorithm>
#include <array>

#include "protocols/swarm/dial.h"

namespace flaresim::swarm {
namespace {

using multiformats::Multiaddr;
using multiformats::Transport;

/// What a punch is made of: too short for anything in QUIC that would be answered. go-libp2p
/// p2p/transport/quic/transport.go; rust-libp2p transports/quic/src/hole_punching.rs.
constexpr std::size_t punch_bytes = 64;

io::IpAddress any_address(const io::IpAddress& like) {
  if (like.is_v4()) return boost::asio::ip::address_v4::any();
  return boost::asio::ip::address_v6::any();
}

}  // namespace

const security::TlsIdentityPtr& Swarm::State::tls_identity() {
  if (!tls) {
    io::Random certificate = random.derive("tls certificate");
    tls = std::make_shared<security::TlsIdentity>(identity, certificate, scheduler.calendar(), profile.tls);
  }
  return tls;
}

io::Result<io::Endpoint> Swarm::State::listen_quic(const io::Endpoint& local) {
  auto endpoint =
      quic::QuicEndpoint::open(network, local, tls_identity(), profile.quic, io::Random(random.seed_bytes()));
  if (!endpoint) return tl::unexpected(endpoint.error());
  quic_endpoints.push_back(std::move(*endpoint));
  io::spawn(scheduler.executor(), accept_quic(shared_from_this(), quic_endpoints.back()));
  return quic_endpoints.back()->local();
}

std::shared_ptr<quic::QuicEndpoint> Swarm::State::quic_endpoint(const io::IpAddress& remote) {
  const auto serves = [&](const io::IpAddress& local) {
    return local.is_v4() == remote.is_v4() &&
           (local.is_unspecified() || local.is_loopback() == remote.is_loopback());
  };
  for (const auto& endpoint : quic_endpoints) {
    if (serves(endpoint->local().address)) return endpoint;
  }
  if (!listen_quic({any_address(remote), 0})) return nullptr;
  return quic_endpoints.back();
}

io::Task<> Swarm::State::accept_quic(Ptr self, std::shared_ptr<quic::QuicEndpoint> endpoint) {
  for (;;) {
    auto connection = co_await endpoint->accept();
    if (!connection) co_return;
    ++self->counters.handshakes;
    self->say("accepted", io::to_string(connection->remote));
    if (self->is_full()) {
      connection->muxed->close(Error::too_many_connections);
      continue;
    }
    self->admit_quic(std::move(*connection), Direction::inbound);
  }
}

io::Result<ConnectionPtr> Swarm::State::admit_quic(quic::QuicConnection connection, Direction direction) {
  // A socket that is bound to all addresses does not say which one a connection came to.
  auto local = Multiaddr::from_endpoint(connection.local, Transport::quic_v1);
  for (const auto& address : addresses.listening()) {
    const auto listening = address.endpoint();
    if (address.transport() == Transport::quic_v1 && listening->port == connection.local.port &&
        listening->address.is_v4() == connection.remote.address.is_v4()) {
      local = address;
      break;
    }
  }
  Upgrade how{direction,
              connection.role,
              std::move(local),
              Multiaddr::from_endpoint(connection.remote, Transport::quic_v1),
              std::nullopt,
              false,
              {}};
  const auto remote = connection.remote_key.peer_id();
  Upgraded upgraded{remote, std::move(connection.remote_key), "tls", "quic", std::move(connection.muxed)};
  return admit(std::move(how), std::move(upgraded));
}

io::Task<io::Result<ConnectionPtr>> Swarm::State::dial_quic(Ptr self, std::shared_ptr<Dial> dial,
                                                            Try& tried) {
  const auto remote = *tried.address.endpoint();
  const auto endpoint = self->quic_endpoint(remote.address);
  if (!endpoint) co_return io::fail(Error::no_transport);
  self->say("dial", tried.address.to_string());
  if (dial->request.punch_role == security::Role::server) {
    co_return co_await punch_quic(self, dial, endpoint, remote);
  }

  ++self->counters.handshakes;
  const auto begun = endpoint->begin_dial(remote, dial->request.peer, self->limit_of(tried.address));
  if (!begun) co_return tl::unexpected(begun.error());
  const auto handshake = *begun;
  const Abort abort = [handshake](std::error_code why) { handshake->reset(why); };
  const Pending known(dial->aborts, abort);
  const Pending known_to_all(self->pending, abort);
  auto connected = co_await handshake->connected();
  if (!connected) {
    ++self->counters.failed_upgrades;
    co_return tl::unexpected(connected.error());
  }
  co_return self->admit_quic(std::move(*connected), Direction::outbound);
}

/// The server's part of a punch: noise that opens our own gateway for the client's Initial, at random intervals,
/// until that has come or it is no use. libp2p/specs relay/DCUtR.md, "The Protocol".
io::Task<io::Result<ConnectionPtr>> Swarm::State::punch_quic(Ptr self, std::shared_ptr<Dial> dial,
                                                             std::shared_ptr<quic::QuicEndpoint> endpoint,
                                                             io::Endpoint remote) {
  const auto& profile = self->profile;
  const auto until = self->scheduler.now() + profile.quic_punch_limit;
  auto next = self->scheduler.now();
  while (!dial->over && !self->down && self->scheduler.now() < until) {
    if (self->scheduler.now() >= next) {
      std::array<std::uint8_t, punch_bytes> noise;
      self->random.fill(noise);
      if (const auto sent = endpoint->send_raw(remote, noise); !sent) co_return tl::unexpected(sent.error());
      next += self->random.between(profile.quic_punch_gap_min, profile.quic_punch_gap_max);
    }
    co_await dial->news.wait_until(std::min(next, until));
    if (auto connection = self->satisfying(dial->request)) co_return connection;
  }
  co_return io::fail(std::errc::timed_out);
}

}  // namespace flaresim::swarm
