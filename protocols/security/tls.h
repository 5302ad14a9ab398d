#pragma once

#include <string_view>

#include "protocols/security/security.h"
#include "protocols/security/tls_identity.h"

namespace flaresim::security {

inline constexpr std::string_view tls_protocol = "/tls/1.0.0";

/// Runs a TLS 1.3 handshake with libp2p certificates over `stream` and returns the secured stream, which owns
/// it.
///
/// 1. Both sides show a certificate; times are the scheduler's calendar.
/// 2. The muxers are offered by ALPN, and "libp2p" last: when that is agreed on, `Secured::muxer` is empty.
/// 3. A client is through before the server has judged its certificate: a refusal then fails its first read
/// with
///    `TlsError::alert_received`.
/// 4. On failure the remote is sent an alert and the stream is reset. The error is a TlsError,
///    `crypto::KeyError::unsupported_key_type`, or the stream's own (`errc::connection_aborted` when it
///    ended).
/// 5. A time limit is the caller's (io::Deadline on `stream`).
/// 6. The secured stream ends with a close_notify each way; one that ends without is cut off:
///    `errc::connection_aborted` (RFC 8446 §6.1).
/// Source: libp2p/specs tls/tls.md, connections/inlined-muxer-negotiation.md.
io::Task<io::Result<Secured>> tls(io::Scheduler& scheduler, io::StreamPtr stream, TlsIdentityPtr identity,
                                  Handshake handshake);

/// The same with a certificate made for this connection only.
io::Task<io::Result<Secured>> tls(io::Scheduler& scheduler, io::StreamPtr stream,
                                  const crypto::PrivateKey& identity, io::Random random, Handshake handshake);

}  // namespace flaresim::security
