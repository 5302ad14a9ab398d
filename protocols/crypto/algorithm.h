#pragma once

#include <span>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"

namespace flaresim::crypto {

/// A private key and its public half, each as the data of its message.
struct KeyPair {
  io::Bytes private_data;
  io::Bytes public_data;
};

/// What a type of key can do. `PublicKey` and `PrivateKey` hold data that `check_public` or `read_private` has
/// passed, so that `verify` and `sign` need not doubt it. Errors are `KeyError`s.
struct Algorithm {
  /// Good data is the only encoding of its key, or one peer would have many names.
  io::Result<> (*check_public)(io::BytesView public_data);
  bool (*verify)(io::BytesView public_data, io::BytesView message, io::BytesView signature);
  /// The same key from the same stream, of which it takes 32 bytes (but for one elliptic key in 2^32: more).
  KeyPair (*generate)(io::Random& random);
  io::Result<KeyPair> (*read_private)(io::BytesView private_data);
  /// The same signature whenever asked.
  io::Bytes (*sign)(io::BytesView private_data, io::BytesView message);
};

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2). Public: PKIX (RFC 8017 §A.1.1 inside RFC 5280 §4.1);
/// private: two-prime RSAPrivateKey (§A.1.2). Moduli of `min_rsa_bits` to `max_rsa_bits`, and exponents below
/// 2^31, as Go's crypto/x509 has it: the time of a verification is bounded.
extern const Algorithm rsa_keys;

/// RFC 8032 with libsodium's stricter rules: canonical S and points, no small-order key. Private: seed and
/// public key; in the old form, which is read but not written, the public key once more behind it.
extern const Algorithm ed25519_keys;

/// ECDSA with SHA-256 and nonces by RFC 6979; public: a compressed point (SEC 1 §2.3.3); private: 32 bytes.
/// Signatures are DER and have the lower of the two S that verify. The upper one is refused: the specification
/// names BIP 62, whose rule 5 that is; js-libp2p refuses it too, go-libp2p and rust-libp2p never make it.
extern const Algorithm secp256k1_keys;

/// ECDSA with SHA-256 on NIST P-256, nonces by RFC 6979, signatures in DER; either S is good (FIPS 186-5
/// §6.4.2). Public: PKIX with an uncompressed point (RFC 5480); private: ECPrivateKey with curve and public key
/// (RFC 5915), as go-libp2p writes it. Other curves: `KeyError::unsupported_key_type`.
extern const Algorithm ecdsa_keys;

/// The key of this seed (RFC 8032 §5.1.5).
KeyPair ed25519_pair(std::span<const std::uint8_t, 32> seed);

/// go-libp2p core/crypto/rsa_common.go
inline constexpr std::size_t min_rsa_bits = 2048;
inline constexpr std::size_t max_rsa_bits = 8192;

}  // namespace flaresim::crypto
