#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::crypto {

struct KeyPair;

/// Numbers as on the wire. Source: libp2p/specs peer-ids/peer-ids.md, "Keys".
enum class KeyType { rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3 };

/// What is wrong with a key or a signature.
enum class KeyError {
  malformed = 1,         ///< not a key message, or one without type or data
  unknown_type,          ///< a type number that names no key type
  bad_length,            ///< data of a length that its type does not have
  inconsistent,          ///< a private key whose parts do not belong to one key
  bad_signature,         ///< does not verify
  unsupported_key_type,  ///< an ECDSA public key on another curve than P-256
  bad_encoding,          ///< data that is not the one encoding of a key of its type
  not_on_curve,          ///< coordinates of no point of the curve
  out_of_range,          ///< a secret, a modulus or an exponent that no key of its type has
  rsa_too_short,         ///< a modulus of less than 2048 bits
  rsa_too_long,          ///< a modulus of more than 8192 bits
};
std::error_code make_error_code(KeyError error);

/// A public key, of any type the network knows: good data in its one encoding, so that a key has one peer id.
/// Which encodings and signatures each type has: protocols/crypto/algorithm.h.
class PublicKey {
 public:
  /// Longest key data accepted: RSA of 8192 bits takes about 1 kB.
  static constexpr std::size_t max_data_bytes = 2048;

  /// Fails with what is wrong with the key, which takes microseconds to find out.
  static io::Result<PublicKey> from_data(KeyType type, io::BytesView data);
  /// Reads the `PublicKey` protobuf message.
  static io::Result<PublicKey> from_message(io::BytesView message);

  KeyType type() const { return type_; }
  /// Ed25519: 32 bytes. Secp256k1: compressed point. RSA, ECDSA on P-256: PKIX in DER.
  io::BytesView data() const { return io::BytesView(message_).last(data_size_); }
  /// The protobuf message in its one deterministic form; the peer id is made from it.
  const io::Bytes& to_message() const { return message_; }
  multiformats::PeerId peer_id() const { return multiformats::PeerId::from_public_key_message(message_); }

  /// Fails with `KeyError::bad_signature` only.
  io::Result<> verify(io::BytesView message, io::BytesView signature) const;

  friend bool operator==(const PublicKey&, const PublicKey&) = default;

 private:
  friend class PrivateKey;  // whose public half is good

  PublicKey(KeyType type, io::BytesView data);

  KeyType type_;
  std::size_t data_size_;
  io::Bytes message_;
};

/// A private key with its public half.
class PrivateKey {
 public:
  static constexpr std::size_t seed_bytes = 32;
  /// Longest key data accepted: RSA of 8192 bits takes less.
  static constexpr std::size_t max_data_bytes = 5 * 1024;

  /// The Ed25519 key of this seed (RFC 8032 §5.1.5).
  static PrivateKey from_seed(std::span<const std::uint8_t, seed_bytes> seed);
  /// The same key from the same stream, which moves on by 32 bytes. RSA has 2048 bits and takes tens of
  /// milliseconds to find, by Nettle's method: another version of Nettle may find another key.
  static PrivateKey generate(io::Random& random, KeyType type = KeyType::ed25519);
  /// Reads the `PrivateKey` protobuf message. An RSA key is checked for primality, which takes milliseconds.
  static io::Result<PrivateKey> from_message(io::BytesView message);

  const PublicKey& public_key() const { return public_key_; }
  io::Bytes to_message() const;
  /// The same signature whenever asked, whatever the type.
  io::Bytes sign(io::BytesView message) const;

 private:
  explicit PrivateKey(KeyType type, KeyPair pair);

  io::Bytes data_;
  PublicKey public_key_;
};

}  // namespace flaresim::crypto

template <>
struct std::is_error_code_enum<flaresim::crypto::KeyError> : std::true_type {};
