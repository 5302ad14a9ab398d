#include "protocols/crypto/keys.h"

#include <sodium.h>

#include <algorithm>

#include "protocols/crypto/keys.pb.h"
#include "protocols/multiformats/error_table.h"

namespace flaresim::crypto {
namespace {

constexpr std::size_t ed25519_bytes = crypto_sign_PUBLICKEYBYTES;
constexpr std::size_t secp256k1_bytes = 33;  // compressed point, SEC 1 §2.3.3
constexpr std::size_t max_message_bytes = PublicKey::max_data_bytes + 8;

template <class Message>
io::Bytes encode(KeyType type, io::BytesView data) {
  Message message;
  message.set_type(static_cast<std::uint64_t>(type));
  message.set_data(data.data(), data.size());
  io::Bytes bytes(message.ByteSizeLong());
  message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

/// Takes any encoding of the fields. A key has one encoding only, or one peer would have many names: the
/// caller compares with its own.
template <class Message>
io::Result<Message> decode(io::BytesView bytes) {
  if (bytes.size() > max_message_bytes) return io::fail(KeyError::bad_length);
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !message.has_type() ||
      !message.has_data())
    return io::fail(KeyError::malformed);
  if (message.type() > static_cast<std::uint64_t>(KeyType::ecdsa)) return io::fail(KeyError::unknown_type);
  return message;
}

}  // namespace

std::error_code make_error_code(KeyError error) {
  static constexpr std::string_view messages[] = {
      "key is malformed",          "key is of an unknown type",
      "key is of a wrong length",  "private and public key do not belong together",
      "signature does not verify", "key is of a type that is not supported",
  };
  static const multiformats::ErrorTable category("key", messages);
  return {static_cast<int>(error), category};
}

PublicKey::PublicKey(KeyType type, io::BytesView data)
    : type_(type), data_size_(data.size()), message_(encode<pb::PublicKey>(type, data)) {}

io::Result<PublicKey> PublicKey::from_data(KeyType type, io::BytesView data) {
  const bool fits = type == KeyType::ed25519     ? data.size() == ed25519_bytes
                    : type == KeyType::secp256k1 ? data.size() == secp256k1_bytes
                                                 : !data.empty() && data.size() <= max_data_bytes;
  if (!fits) return io::fail(KeyError::bad_length);
  return PublicKey(type, data);
}

io::Result<PublicKey> PublicKey::from_message(io::BytesView message) {
  const auto fields = decode<pb::PublicKey>(message);
  if (!fields) return tl::unexpected(fields.error());
  auto key = from_data(static_cast<KeyType>(fields->type()), io::as_bytes(fields->data()));
  if (key && !std::ranges::equal(key->message_, message)) return io::fail(KeyError::malformed);
  return key;
}

io::Result<> PublicKey::verify(io::BytesView message, io::BytesView signature) const {
  if (type_ != KeyType::ed25519) return io::fail(KeyError::unsupported_key_type);
  if (signature.size() != crypto_sign_BYTES ||
      crypto_sign_verify_detached(signature.data(), message.data(), message.size(), data().data()) != 0)
    return io::fail(KeyError::bad_signature);
  return {};
}

PrivateKey::PrivateKey(const Secret& secret)
    : secret_(secret),
      public_key_(PublicKey::from_data(KeyType::ed25519, io::BytesView(secret).last(ed25519_bytes)).value()) {
}

PrivateKey PrivateKey::from_seed(std::span<const std::uint8_t, seed_bytes> seed) {
  Secret secret;
  std::array<std::uint8_t, ed25519_bytes> public_half;
  crypto_sign_seed_keypair(public_half.data(), secret.data(), seed.data());
  return PrivateKey(secret);
}

PrivateKey PrivateKey::generate(io::Random& random) { return from_seed(random.seed_bytes()); }

io::Result<PrivateKey> PrivateKey::from_message(io::BytesView message) {
  const auto fields = decode<pb::PrivateKey>(message);
  if (!fields) return tl::unexpected(fields.error());
  const auto type = static_cast<KeyType>(fields->type());
  const auto data = io::as_bytes(fields->data());
  if (!std::ranges::equal(encode<pb::PrivateKey>(type, data), message)) return io::fail(KeyError::malformed);
  if (type != KeyType::ed25519) return io::fail(KeyError::unsupported_key_type);
  constexpr auto short_form = seed_bytes + ed25519_bytes;
  constexpr auto long_form = short_form + ed25519_bytes;
  if (data.size() != short_form && data.size() != long_form) return io::fail(KeyError::bad_length);

  auto key = from_seed(data.first<seed_bytes>());
  for (auto copy = data.subspan(seed_bytes); !copy.empty(); copy = copy.subspan(ed25519_bytes))
    if (!std::ranges::equal(copy.first(ed25519_bytes), key.public_key().data()))
      return io::fail(KeyError::inconsistent);
  return key;
}

io::Bytes PrivateKey::to_message() const { return encode<pb::PrivateKey>(KeyType::ed25519, secret_); }

io::Bytes PrivateKey::sign(io::BytesView message) const {
  io::Bytes signature(crypto_sign_BYTES);
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
  return signature;
}

}  // namespace flaresim::crypto
