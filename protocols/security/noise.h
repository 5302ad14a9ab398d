#pragma once

#include <string_view>
#include <system_error>

#include "protocols/security/security.h"

namespace flaresim::security {

inline constexpr std::string_view noise_protocol = "/noise";

enum class NoiseError {
  handshake_truncated = 1,  ///< a handshake message shorter than its tokens
  decryption_failed,        ///< an authentication tag does not verify
  malformed_payload,        ///< the handshake payload is no NoiseHandshakePayload, or lacks a field
  bad_identity_key,
  bad_signature,    ///< the identity key did not sign this static key
  peer_mismatch,    ///< somebody else than the expected peer answered
  no_common_muxer,  ///< both sides offered muxers, and none is common
  nonce_exhausted,
  weak_key,  ///< a Diffie-Hellman key of small order, with which there is no secret
};
std::error_code make_error_code(NoiseError error);

/// Runs Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's payload over `stream` and returns the secured stream,
/// which owns it.
///
/// 1. Nothing that the remote says is looked at before its signature has been verified; then comes who it is,
///    then the muxer.
/// 2. On failure the stream is reset, and the error is a NoiseError, `crypto::KeyError::unsupported_key_type`
///    for an identity that cannot be verified, or the stream's own (`errc::connection_aborted` when it ended).
/// 3. A time limit is the caller's (io::Deadline on `stream`); two servers wait for each other until then.
/// 4. The static key and the ephemeral one are both drawn from `random`, which must be another stream for every
///    handshake. `identity` must outlive the task.
/// Source: libp2p/specs noise/README.md; The Noise Protocol Framework, revision 34.
io::Task<io::Result<Secured>> noise(io::Scheduler& scheduler, io::StreamPtr stream,
                                    const crypto::PrivateKey& identity, io::Random random,
                                    Handshake handshake);

}  // namespace flaresim::security

template <>
struct std::is_error_code_enum<flaresim::security::NoiseError> : std::true_type {};
