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

/// Which peers of a simulated network spend time on the primitives of Noise. In a modelled handshake and on the
/// stream that it leaves behind, the protocol code, the sizes of all messages, who writes when, the random bytes taken,
/// and what is noticed of wrong bytes and wrong peers are those of a real one; X25519, ChaCha20-Poly1305, SHA-256 and
/// Ed25519 are replaced by checksums without any secrecy (modelled_crypto.h).
///
/// 1. Who dials decides. A peer that is modelled dials modelled; what any other dials is real, whoever answers.
/// 2. A server that answers modelled diallers knows them by their ephemeral key, which no real one can have.
/// 3. A server that does not fails: to it that key is one like any other, so the dialler finds that the second
///    message does not verify.
/// 4. Signatures are modelled for Ed25519 identities; other kinds sign, and are verified, for real.
/// 5. There is no modelled TLS and no modelled QUIC: connections that use them are real.
/// 6. Not for real sockets: a swarm takes these modes only on a network that says that it is simulated.
enum class NoiseMode {
  real,             ///< dials and answers with the real primitives alone
  answer_modelled,  ///< dials with the real ones, answers a modelled dialler in kind
  modelled,         ///< dials modelled, answers either dialler in kind
};

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
                                    Handshake handshake, NoiseMode mode = NoiseMode::real);

}  // namespace flaresim::security

template <>
struct std::is_error_code_enum<flaresim::security::NoiseError> : std::true_type {};
