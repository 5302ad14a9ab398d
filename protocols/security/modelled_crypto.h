#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "protocols/io/bytes.h"

/// What stands in for the cryptography of Noise between simulated peers that nobody studies.
///
/// 1. Nothing here keeps anything secret or proves anything to an adversary: whoever sees the messages can compute all
///    of it. It must never run on real sockets.
/// 2. Everything has the size of what it stands in for, and every accident shows as it would there: a changed, swapped,
///    repeated, or misdirected byte makes a tag or a signature wrong, but for a chance of 2⁻⁶⁴.
/// 3. It is a function of its input alone. No random bytes are drawn. Both ends must run on one kind of machine, for
///    words are read in its byte order.
namespace flaresim::security::modelled {

using Block = std::array<std::uint8_t, 32>;
using Tag = std::array<std::uint8_t, 16>;
using Signature = std::array<std::uint8_t, 64>;

/// A checksum of `data` under `key`; another one for every `purpose`. In place of SHA-256 and HMAC.
Block digest(const Block& key, io::BytesView data, std::uint64_t purpose);

/// A public key that no X25519 computation gives: the top bit of its last byte is set, which is always zero in a real
/// one (RFC 7748 §5: numbers below 2²⁵⁵ − 19).
Block public_key(const Block& secret);
bool is_public_key(io::BytesView key);
/// What both ends agree on: a function of both public keys, whichever is one's own.
Block agree(const Block& one, const Block& other);

/// In place of an Ed25519 signature; needs no private key.
Signature sign(io::BytesView public_key_message, io::BytesView message);

/// In place of Poly1305's tag over ChaCha20's output.
Tag tag(const Block& key, std::uint64_t nonce, io::BytesView associated, io::BytesView data);

}  // namespace flaresim::security::modelled
