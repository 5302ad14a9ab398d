#pragma once

#include <system_error>

namespace flaresim::security {

/// Why a libp2p TLS handshake or a connection secured by it failed, in QUIC as over TCP.
enum class TlsError {
  // The remote's certificate. libp2p/specs tls/tls.md, "Peer Authentication".
  certificate_missing = 1,
  several_certificates,
  malformed_certificate,
  bad_self_signature,
  not_yet_valid,
  expired,
  unknown_critical_extension,
  missing_extension,    ///< not the libp2p Public Key Extension
  malformed_extension,  ///< it does not hold a SignedKey, or is there twice
  bad_host_key,         ///< the key in it is malformed
  bad_host_signature,   ///< the host key did not sign this certificate's key
  // The handshake.
  peer_mismatch,        ///< somebody else than the expected peer answered
  no_common_protocol,   ///< ALPN: none offered, or none in common
  unsupported_version,  ///< no TLS version or cipher suite in common
  decryption_failed,    ///< a record or message does not verify
  malformed_message,
  handshake_failed,  ///< any other local reason
  alert_received,    ///< the remote gave up
};
std::error_code make_error_code(TlsError error);

}  // namespace flaresim::security

template <>
struct std::is_error_code_enum<flaresim::security::TlsError> : std::true_type {};
