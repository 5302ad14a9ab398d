#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::crypto {

/// Numbers as on the wire. Source: libp2p/specs peer-ids/peer-ids.md, "Keys".
enum class KeyType { rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3 };

enum class KeyError {
  malformed = 1,         ///< not a key message, or one without type or data
  unknown_type,          ///< a type number that names no key type
  bad_length,            ///< data of a length that its type does not have
  inconsistent,          ///< a private key whose public half belongs to another one
  bad_signature,         ///< does not verify
  unsupported_key_type,  ///< a key type that this library names, but cannot compute with
};
std::error_code make_error_code(KeyError error);

/// A public key, of any type the network knows. Ed25519 verifies (RFC 8032 §5.1.7, with libsodium's stricter
/// rules: canonical S and points, no small-order key); the others are carried along, so that their peers have
/// names.
class PublicKey {
 public:
  /// Longest key data accepted: RSA of 8192 bits takes about 1 kB.
  static constexpr std::size_t max_data_bytes = 2048;

  static io::Result<PublicKey> from_data(KeyType type, io::BytesView data);
  /// Reads the `PublicKey` protobuf message.
  static io::Result<PublicKey> from_message(io::BytesView message);

  KeyType type() const { return type_; }
  /// Ed25519: 32 bytes. Secp256k1: compressed point. RSA, ECDSA: PKIX in DER.
  io::BytesView data() const { return io::BytesView(message_).last(data_size_); }
  /// The protobuf message in its one deterministic form; the peer id is made from it.
  const io::Bytes& to_message() const { return message_; }
  multiformats::PeerId peer_id() const { return multiformats::PeerId::from_public_key_message(message_); }

  /// `KeyError::bad_signature`, or `KeyError::unsupported_key_type`.
  io::Result<> verify(io::BytesView message, io::BytesView signature) const;

  friend bool operator==(const PublicKey&, const PublicKey&) = default;

 private:
  PublicKey(KeyType type, io::BytesView data);

  KeyType type_;
  std::size_t data_size_;
  io::Bytes message_;
};

/// A private key with its public half. Ed25519.
class PrivateKey {
 public:
  static constexpr std::size_t seed_bytes = 32;

  /// The Ed25519 key of this seed (RFC 8032 §5.1.5).
  static PrivateKey from_seed(std::span<const std::uint8_t, seed_bytes> seed);
  static PrivateKey generate(io::Random& random);
  /// Reads the `PrivateKey` protobuf message: Ed25519 data is seed and public key, in the old form with the
  /// public key once more behind it. Other types: `KeyError::unsupported_key_type`.
  static io::Result<PrivateKey> from_message(io::BytesView message);

  const PublicKey& public_key() const { return public_key_; }
  io::Bytes to_message() const;
  io::Bytes sign(io::BytesView message) const;

 private:
  using Secret = std::array<std::uint8_t, 64>;  // seed and public key, as libsodium and the message have it

  explicit PrivateKey(const Secret& secret);

  Secret secret_;
  PublicKey public_key_;
};

}  // namespace flaresim::crypto

template <>
struct std::is_error_code_enum<flaresim::crypto::KeyError> : std::true_type {};
