#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/io/result.h"
#include "protocols/security/security.h"

/// Noise_XX_25519_ChaChaPoly_SHA256: bytes in, bytes out; no stream, no clock, no libp2p. The same with modelled
/// primitives, message for message of the same size.
/// Source: The Noise Protocol Framework, revision 34; section numbers refer to it.
namespace flaresim::security {

/// A 32-byte key, secret, or hash: all have the same size in this suite.
using Block = std::array<std::uint8_t, 32>;

/// With which primitives: the suite's own, or those of modelled_crypto.h.
enum class Crypto { real, modelled };

/// An X25519 key pair, or what stands in for one.
struct KeyPair {
  Block secret;
  Block shared;  // the public half

  static KeyPair from_secret(const Block& secret, Crypto crypto = Crypto::real);
  static KeyPair generate(io::Random& random, Crypto crypto = Crypto::real);
};

/// Encryption under one key, with a counter for the nonce (§5.1).
class CipherState {
 public:
  static constexpr std::size_t tag_bytes = 16;

  explicit CipherState(const Block& key, std::uint64_t nonce = 0, Crypto crypto = Crypto::real)
      : key_(key), nonce_(nonce), crypto_(crypto) {}

  /// `into` takes `plain.size() + tag_bytes`; it may begin where `plain` does. `NoiseError::nonce_exhausted`.
  io::Result<> encrypt(io::BytesView associated, io::BytesView plain, std::span<std::uint8_t> into);
  /// `into` takes `cipher.size() - tag_bytes`; it may begin where `cipher` does.
  /// `NoiseError::decryption_failed` (nothing can be decrypted after that), `NoiseError::nonce_exhausted`.
  io::Result<> decrypt(io::BytesView associated, io::BytesView cipher, std::span<std::uint8_t> into);

 private:
  Block key_;
  std::uint64_t nonce_;
  Crypto crypto_;
};

/// The chaining key and the transcript hash of a handshake (§5.2).
class SymmetricState {
 public:
  explicit SymmetricState(std::string_view protocol_name, Crypto crypto = Crypto::real);

  void mix_key(const Block& secret);
  void mix_hash(io::BytesView data);
  /// Appends to `message`; plain text goes through as it is before the first key.
  io::Result<> encrypt_and_hash(io::BytesView plain, io::Bytes& message);
  io::Result<io::Bytes> decrypt_and_hash(io::BytesView cipher);
  /// What `plain_bytes` become in a message.
  std::size_t sealed_bytes(std::size_t plain_bytes) const {
    return plain_bytes + (cipher_ ? CipherState::tag_bytes : 0);
  }

  struct Pair {
    CipherState from_initiator;
    CipherState from_responder;
  };
  Pair split() const;
  const Block& hash() const { return hash_; }

 private:
  std::pair<Block, Block> derive_two(io::BytesView secret) const;

  Crypto crypto_;
  Block chaining_key_;
  Block hash_;
  std::optional<CipherState> cipher_;
};

/// One side of the XX handshake (§5.3, §7.5):
///
///     -> e
///     <- e, ee, s, es
///     -> s, se
///
/// The client is the initiator. Messages are written and read in turn; after the third `split` gives the
/// ciphers.
class XxHandshake {
 public:
  /// Both key pairs are given, so that published vectors can be run; `ephemeral` must be fresh.
  XxHandshake(Role role, io::BytesView prologue, const KeyPair& fixed, const KeyPair& ephemeral,
              Crypto crypto = Crypto::real);

  /// What the client who sent this first message uses: modelled primitives show in its ephemeral key.
  static Crypto crypto_of(io::BytesView first_message);

  /// The next message, with `payload` in it.
  io::Result<io::Bytes> write_message(io::BytesView payload);
  /// The payload of the remote's next message. `NoiseError::handshake_truncated`, `decryption_failed`,
  /// `weak_key`.
  io::Result<io::Bytes> read_message(io::BytesView message);

  bool finished() const { return next_message_ == 3; }
  /// The remote's static key: for the client after the second message, for the server after the third.
  const Block& remote_static() const { return remote_static_; }
  /// Names this session (§11.2), once finished.
  const Block& hash() const { return symmetric_.hash(); }

  struct Ciphers {
    CipherState send;
    CipherState receive;
  };
  Ciphers split() const;

 private:
  enum class Token;
  static std::span<const Token> tokens(int message);

  io::Result<> write_token(Token token, io::Bytes& message);
  io::Result<> read_token(Token token, io::BytesView& message);
  io::Result<> mix_agreed(Token token);

  Role role_;
  Crypto crypto_;
  SymmetricState symmetric_;
  KeyPair static_;
  KeyPair ephemeral_;
  Block remote_static_{};
  Block remote_ephemeral_{};
  int next_message_ = 0;
};

}  // namespace flaresim::security
