#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocols/io/network.h"
#include "protocols/muxer/muxed_connection.h"
#include "protocols/security/security.h"
#include "protocols/security/tls_identity.h"
#include "protocols/transport/quic/profile.h"
#include "protocols/transport/quic/quic_error.h"

namespace flaresim::quic {

/// A connection that is up: both sides have proven who they are. Dropping `muxed` closes it.
struct QuicConnection {
  muxer::MuxedConnectionPtr muxed;
  crypto::PublicKey remote_key;
  io::Endpoint local;
  io::Endpoint remote;
  security::Role role;
};

class Connection;

/// A connection that is being opened. Dropping it, or the first `reset`, gives it up.
class QuicDial {
 public:
  QuicDial(std::shared_ptr<Connection> connection, io::Endpoint local, io::TimePoint deadline);
  ~QuicDial();
  QuicDial(const QuicDial&) = delete;
  QuicDial& operator=(const QuicDial&) = delete;

  /// To be awaited once. Fails with `errc::timed_out` at the time limit, the reason given to `reset`, a QuicError,
  /// a `security::TlsError` (`peer_mismatch` when another peer answers), or the socket's reason why nothing can be
  /// sent there.
  io::Task<io::Result<QuicConnection>> connected();
  /// No effect once `connected` has completed.
  void reset(std::error_code why);

 private:
  std::shared_ptr<Connection> connection_;  // none once handed over
  io::Endpoint local_;
  io::TimePoint deadline_;
};

/// What an endpoint did with datagrams that belong to no connection.
struct QuicCounters {
  std::uint64_t dropped = 0;  ///< those of a hole punch, noise, and what comes after a connection's end
  std::uint64_t version_negotiations = 0;
  std::uint64_t retries = 0;
  std::uint64_t stateless_resets = 0;
  std::uint64_t refused = 0;  ///< Initials answered by a refusal
};

/// QUIC version 1 over one UDP socket, which listens and dials at once, so that dials leave through the NAT mapping
/// that the listener is known by.
///
/// 1. Datagrams are told apart by connection id; the address they come from is only a path, and may change.
/// 2. Connections of either side carry the libp2p certificate both ways, and ALPN "libp2p".
/// 3. What belongs to no connection never changes the state of one.
/// 4. Closing, or dropping the endpoint, tells every remote, and leaves no timer behind.
/// Source: RFC 9000, 9001, 9002; libp2p/specs quic/README.md, tls/tls.md.
class QuicEndpoint {
 public:
  /// Port 0 asks for a free one. `errc::address_in_use`. The network must outlive the endpoint.
  static io::Result<std::unique_ptr<QuicEndpoint>> open(io::Network& network, const io::Endpoint& local,
                                                        security::TlsIdentityPtr identity,
                                                        QuicProfile profile, io::Random random);
  ~QuicEndpoint();
  QuicEndpoint(const QuicEndpoint&) = delete;
  QuicEndpoint& operator=(const QuicEndpoint&) = delete;

  io::Endpoint local() const;

  /// Starts a connection: the first datagram leaves before this returns. Fails with `errc::no_buffer_space` at the
  /// limit of connections, or `errc::address_family_not_supported`.
  io::Result<std::shared_ptr<QuicDial>> begin_dial(const io::Endpoint& remote,
                                                   std::optional<multiformats::PeerId> expected,
                                                   io::Duration limit);
  /// The same, to its end.
  io::Task<io::Result<QuicConnection>> dial(io::Endpoint remote, std::optional<multiformats::PeerId> expected,
                                            io::Duration limit);
  /// The next connection that came in; fails with `errc::operation_canceled` once closed.
  io::Task<io::Result<QuicConnection>> accept();

  /// Sends a datagram past QUIC, from the same socket: what a hole punch is made of.
  io::Result<> send_raw(const io::Endpoint& to, io::BytesView datagram);

  void close();

  /// Connections that have not ended, those in their handshake among them.
  std::size_t connections() const;
  /// Ended connections whose ids are still known, so that late datagrams of theirs do no harm (RFC 9000 §10.2).
  std::size_t lingering() const;
  const QuicCounters& counters() const;

 private:
  class Core;
  explicit QuicEndpoint(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;
};

}  // namespace flaresim::quic
