#pragma once

#include <system_error>

namespace flaresim::quic {

/// Why a QUIC connection ended. What its TLS handshake found wrong is a `security::TlsError`.
enum class QuicError {
  idle_timeout = 1,       ///< nothing heard for so long that the connection was forgotten (RFC 9000 §10.1)
  handshake_timeout,      ///< a remote began a handshake and did not finish it
  closed_by_peer,         ///< ended by the application there
  refused_by_peer,        ///< CONNECTION_REFUSED
  rejected_by_peer,       ///< its TLS gave up the handshake (CRYPTO_ERROR)
  failed_by_peer,         ///< any other transport error over there
  stateless_reset,        ///< the remote has forgotten the connection
  version_negotiation,    ///< the remote does not speak version 1
  protocol_violation,     ///< the remote broke RFC 9000
  backlog_full,           ///< nobody accepts the connections that come in
  undecryptable_initial,  ///< a first datagram that no client can have made
  invalid_token,          ///< an address validation token that is not ours, not of that address, or too old
};
std::error_code make_error_code(QuicError error);

}  // namespace flaresim::quic

template <>
struct std::is_error_code_enum<flaresim::quic::QuicError> : std::true_type {};
