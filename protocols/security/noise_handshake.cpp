#include "protocols/security/noise_handshake.h"

#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "protocols/security/modelled_crypto.h"
#include "protocols/security/noise.h"

namespace flaresim::security {
namespace {

constexpr std::string_view protocol_name = "Noise_XX_25519_ChaChaPoly_SHA256";

// Never used for a message; reserved for rekeying (§5.1).
constexpr auto last_nonce = std::numeric_limits<std::uint64_t>::max();

using NonceBytes = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

/// 32 zero bits, then the counter little-endian (§12.3).
NonceBytes nonce_bytes(std::uint64_t counter) {
  NonceBytes bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return bytes;
}

Block hmac(const Block& key, io::BytesView data, std::uint8_t suffix = 0) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  crypto_auth_hmacsha256_update(&state, data.data(), data.size());
  if (suffix != 0) crypto_auth_hmacsha256_update(&state, &suffix, 1);
  Block out;
  crypto_auth_hmacsha256_final(&state, out.data());
  return out;
}

enum Purpose : std::uint64_t { first_output = 16, second_output, transcript };  // of a modelled digest

/// The secret of two keys; false when there is none.
bool agree(const KeyPair& ours, const Block& theirs, Crypto crypto, Block& secret) {
  if (crypto == Crypto::modelled) {
    secret = modelled::agree(ours.shared, theirs);
    return theirs != Block{};
  }
  // Refuses the all-zero secret that a point of small order gives (RFC 7748 §6.1).
  return crypto_scalarmult(secret.data(), ours.secret.data(), theirs.data()) == 0;
}

}  // namespace

KeyPair KeyPair::from_secret(const Block& secret, Crypto crypto) {
  if (crypto == Crypto::modelled) return {secret, modelled::public_key(secret)};
  KeyPair pair{secret, {}};
  crypto_scalarmult_base(pair.shared.data(), pair.secret.data());
  return pair;
}

KeyPair KeyPair::generate(io::Random& random, Crypto crypto) {
  Block secret;
  random.fill(secret);
  return from_secret(secret, crypto);
}

io::Result<> CipherState::encrypt(io::BytesView associated, io::BytesView plain,
                                  std::span<std::uint8_t> into) {
  assert(into.size() == plain.size() + tag_bytes);
  if (nonce_ == last_nonce) return io::fail(NoiseError::nonce_exhausted);
  if (crypto_ == Crypto::modelled) {
    if (!plain.empty()) std::memmove(into.data(), plain.data(), plain.size());
    const auto tag = modelled::tag(key_, nonce_++, associated, into.first(plain.size()));
    std::copy(tag.begin(), tag.end(), into.end() - tag_bytes);
    return {};
  }
  crypto_aead_chacha20poly1305_ietf_encrypt(into.data(), nullptr, plain.data(), plain.size(),
                                            associated.data(), associated.size(), nullptr,
                                            nonce_bytes(nonce_++).data(), key_.data());
  return {};
}

io::Result<> CipherState::decrypt(io::BytesView associated, io::BytesView cipher,
                                  std::span<std::uint8_t> into) {
  assert(cipher.size() < tag_bytes || into.size() == cipher.size() - tag_bytes);
  if (nonce_ == last_nonce) return io::fail(NoiseError::nonce_exhausted);
  if (crypto_ == Crypto::modelled) {
    if (cipher.size() < tag_bytes) return io::fail(NoiseError::decryption_failed);
    const auto body = cipher.first(cipher.size() - tag_bytes);
    if (!std::ranges::equal(modelled::tag(key_, nonce_++, associated, body), cipher.last(tag_bytes)))
      return io::fail(NoiseError::decryption_failed);
    if (!body.empty()) std::memmove(into.data(), body.data(), body.size());
    return {};
  }
  if (crypto_aead_chacha20poly1305_ietf_decrypt(into.data(), nullptr, nullptr, cipher.data(), cipher.size(),
                                                associated.data(), associated.size(),
                                                nonce_bytes(nonce_++).data(), key_.data()) != 0) {
    return io::fail(NoiseError::decryption_failed);
  }
  return {};
}

SymmetricState::SymmetricState(std::string_view name, Crypto crypto) : crypto_(crypto) {
  // A name that fits is padded; only longer ones are hashed (§5.2 InitializeSymmetric).
  static_assert(protocol_name.size() == std::tuple_size_v<Block>);
  assert(name.size() == hash_.size());
  std::copy(name.begin(), name.end(), hash_.begin());
  chaining_key_ = hash_;
}

/// HKDF with two outputs (§4.3).
std::pair<Block, Block> SymmetricState::derive_two(io::BytesView secret) const {
  if (crypto_ == Crypto::modelled) {
    return {modelled::digest(chaining_key_, secret, first_output),
            modelled::digest(chaining_key_, secret, second_output)};
  }
  const auto temporary = hmac(chaining_key_, secret);
  const auto first = hmac(temporary, {}, 1);
  return {first, hmac(temporary, first, 2)};
}

void SymmetricState::mix_key(const Block& secret) {
  const auto [chaining_key, key] = derive_two(secret);
  chaining_key_ = chaining_key;
  cipher_.emplace(key, 0, crypto_);
}

void SymmetricState::mix_hash(io::BytesView data) {
  if (crypto_ == Crypto::modelled) {
    hash_ = modelled::digest(hash_, data, transcript);
    return;
  }
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, hash_.data(), hash_.size());
  crypto_hash_sha256_update(&state, data.data(), data.size());
  crypto_hash_sha256_final(&state, hash_.data());
}

io::Result<> SymmetricState::encrypt_and_hash(io::BytesView plain, io::Bytes& message) {
  const auto start = message.size();
  message.resize(start + sealed_bytes(plain.size()));
  const auto sealed = std::span(message).subspan(start);
  if (!cipher_) {
    std::copy(plain.begin(), plain.end(), sealed.begin());
  } else if (auto done = cipher_->encrypt(hash_, plain, sealed); !done) {
    return done;
  }
  mix_hash(sealed);
  return {};
}

io::Result<io::Bytes> SymmetricState::decrypt_and_hash(io::BytesView cipher) {
  if (cipher.size() < sealed_bytes(0)) return io::fail(NoiseError::handshake_truncated);
  io::Bytes plain(cipher.size() - sealed_bytes(0));
  if (!cipher_) {
    std::copy(cipher.begin(), cipher.end(), plain.begin());
  } else if (auto done = cipher_->decrypt(hash_, cipher, plain); !done) {
    return tl::unexpected(done.error());
  }
  mix_hash(cipher);
  return plain;
}

SymmetricState::Pair SymmetricState::split() const {
  const auto [from_initiator, from_responder] = derive_two({});
  return {CipherState(from_initiator, 0, crypto_), CipherState(from_responder, 0, crypto_)};
}

enum class XxHandshake::Token { e, s, ee, es, se };

std::span<const XxHandshake::Token> XxHandshake::tokens(int message) {
  using enum Token;
  static constexpr std::array first{e};
  static constexpr std::array second{e, ee, s, es};
  static constexpr std::array third{s, se};
  assert(message >= 0 && message < 3);
  if (message == 0) return first;
  if (message == 1) return second;
  return third;
}

XxHandshake::XxHandshake(Role role, io::BytesView prologue, const KeyPair& fixed, const KeyPair& ephemeral,
                         Crypto crypto)
    : role_(role), crypto_(crypto), symmetric_(protocol_name, crypto), static_(fixed), ephemeral_(ephemeral) {
  symmetric_.mix_hash(prologue);
}

Crypto XxHandshake::crypto_of(io::BytesView first_message) {
  const auto key = first_message.first(std::min(first_message.size(), std::tuple_size_v<Block>));
  return modelled::is_public_key(key) ? Crypto::modelled : Crypto::real;
}

io::Result<io::Bytes> XxHandshake::write_message(io::BytesView payload) {
  assert((next_message_ % 2 == 0) == (role_ == Role::client));
  io::Bytes message;
  for (const auto token : tokens(next_message_++)) {
    if (auto written = write_token(token, message); !written) return tl::unexpected(written.error());
  }
  if (auto sealed = symmetric_.encrypt_and_hash(payload, message); !sealed)
    return tl::unexpected(sealed.error());
  return message;
}

io::Result<io::Bytes> XxHandshake::read_message(io::BytesView message) {
  assert((next_message_ % 2 == 0) == (role_ == Role::server));
  for (const auto token : tokens(next_message_++)) {
    if (auto read = read_token(token, message); !read) return tl::unexpected(read.error());
  }
  return symmetric_.decrypt_and_hash(message);
}

io::Result<> XxHandshake::write_token(Token token, io::Bytes& message) {
  if (token == Token::e) {
    io::append(message, ephemeral_.shared);
    symmetric_.mix_hash(ephemeral_.shared);
    return {};
  }
  if (token == Token::s) return symmetric_.encrypt_and_hash(static_.shared, message);
  return mix_agreed(token);
}

io::Result<> XxHandshake::read_token(Token token, io::BytesView& message) {
  if (token != Token::e && token != Token::s) return mix_agreed(token);
  const auto length =
      token == Token::e ? remote_ephemeral_.size() : symmetric_.sealed_bytes(remote_static_.size());
  if (message.size() < length) return io::fail(NoiseError::handshake_truncated);
  const auto field = message.first(length);
  message = message.subspan(length);

  if (token == Token::e) {
    std::copy(field.begin(), field.end(), remote_ephemeral_.begin());
    symmetric_.mix_hash(field);
    return {};
  }
  const auto key = symmetric_.decrypt_and_hash(field);
  if (!key) return tl::unexpected(key.error());
  std::copy(key->begin(), key->end(), remote_static_.begin());
  return {};
}

io::Result<> XxHandshake::mix_agreed(Token token) {
  // In `es` and `se` the first letter is the initiator's key.
  const bool ours_is_static = token != Token::ee && (token == Token::se) == (role_ == Role::client);
  const bool theirs_is_static = token != Token::ee && !ours_is_static;
  const auto& ours = ours_is_static ? static_ : ephemeral_;
  const auto& theirs = theirs_is_static ? remote_static_ : remote_ephemeral_;
  Block secret;
  if (!agree(ours, theirs, crypto_, secret)) return io::fail(NoiseError::weak_key);
  symmetric_.mix_key(secret);
  return {};
}

XxHandshake::Ciphers XxHandshake::split() const {
  assert(finished());
  const auto pair = symmetric_.split();
  if (role_ == Role::client) return {pair.from_initiator, pair.from_responder};
  return {pair.from_responder, pair.from_initiator};
}

}  // namespace flaresim::security
