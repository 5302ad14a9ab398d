#pragma once

#include <span>
#include <string_view>
#include <system_error>

#include "protocols/crypto/keys.h"
#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::crypto {

/// A payload signed for one purpose. Source: libp2p RFC 0002 (libp2p/specs RFC/0002-signed-envelopes.md).
enum class EnvelopeError {
  malformed = 1,       ///< not an envelope message, or one without a key or a signature
  too_long,            ///< more than `max_envelope_bytes`
  bad_public_key,      ///< the key inside is malformed
  unsupported_key,     ///< the key is of a type that cannot be verified here
  wrong_payload_type,  ///< well-formed, but none of the purposes asked for
  bad_signature,
};
std::error_code make_error_code(EnvelopeError error);

inline constexpr std::size_t max_envelope_bytes = std::size_t{16} * 1024;

/// What an envelope is for. The domain is signed but not sent, so that a signature made for one purpose is
/// worth nothing for another.
struct EnvelopePurpose {
  std::string_view domain;
  io::BytesView payload_type;
};

struct Envelope {
  PublicKey signer;
  std::size_t purpose;  ///< which of the accepted ones
  io::Bytes payload;
};

io::Bytes seal_envelope(const PrivateKey& key, const EnvelopePurpose& purpose, io::BytesView payload);

/// Opens an envelope made for one of the accepted purposes and checks its signature. Who the signer must be
/// is the caller's question.
io::Result<Envelope> open_envelope(io::BytesView sealed, std::span<const EnvelopePurpose> accepted);

}  // namespace flaresim::crypto

template <>
struct std::is_error_code_enum<flaresim::crypto::EnvelopeError> : std::true_type {};
