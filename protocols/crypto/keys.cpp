#include "protocols/crypto/keys.h"

#include <algorithm>

#include "protocols/crypto/algorithm.h"
#include "protocols/crypto/keys.pb.h"
#include "protocols/io/error_table.h"

namespace flaresim::crypto {
namespace {

constexpr std::size_t max_overhead_bytes = 8;  // of a message around its data

const Algorithm& algorithm_of(KeyType type) {
  static constexpr const Algorithm* by_number[] = {&rsa_keys, &ed25519_keys, &secp256k1_keys, &ecdsa_keys};
  return *by_number[static_cast<std::size_t>(type)];
}

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
io::Result<Message> decode(io::BytesView bytes, std::size_t max_data_bytes) {
  if (bytes.size() > max_data_bytes + max_overhead_bytes) return io::fail(KeyError::bad_length);
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
      "key is malformed",
      "key is of an unknown type",
      "key is of a wrong length",
      "parts of the private key do not belong together",
      "signature does not verify",
      "ECDSA key is on another curve than P-256",
      "data is no encoding of a key of its type",
      "key is no point of its curve",
      "key has a number out of range",
      "RSA key is too short",
      "RSA key is too long",
  };
  static const io::ErrorTable category("key", messages);
  return {static_cast<int>(error), category};
}

PublicKey::PublicKey(KeyType type, io::BytesView data)
    : type_(type), data_size_(data.size()), message_(encode<pb::PublicKey>(type, data)) {}

io::Result<PublicKey> PublicKey::from_data(KeyType type, io::BytesView data) {
  if (data.empty() || data.size() > max_data_bytes) return io::fail(KeyError::bad_length);
  if (const auto good = algorithm_of(type).check_public(data); !good) return tl::unexpected(good.error());
  return PublicKey(type, data);
}

io::Result<PublicKey> PublicKey::from_message(io::BytesView message) {
  const auto fields = decode<pb::PublicKey>(message, max_data_bytes);
  if (!fields) return tl::unexpected(fields.error());
  auto key = from_data(static_cast<KeyType>(fields->type()), io::as_bytes(fields->data()));
  if (key && !std::ranges::equal(key->message_, message)) return io::fail(KeyError::malformed);
  return key;
}

io::Result<> PublicKey::verify(io::BytesView message, io::BytesView signature) const {
  if (!algorithm_of(type_).verify(data(), message, signature)) return io::fail(KeyError::bad_signature);
  return {};
}

PrivateKey::PrivateKey(KeyType type, KeyPair pair)
    : data_(std::move(pair.private_data)), public_key_(type, pair.public_data) {}

PrivateKey PrivateKey::from_seed(std::span<const std::uint8_t, seed_bytes> seed) {
  return PrivateKey(KeyType::ed25519, ed25519_pair(seed));
}

PrivateKey PrivateKey::generate(io::Random& random, KeyType type) {
  return PrivateKey(type, algorithm_of(type).generate(random));
}

io::Result<PrivateKey> PrivateKey::from_message(io::BytesView message) {
  const auto fields = decode<pb::PrivateKey>(message, max_data_bytes);
  if (!fields) return tl::unexpected(fields.error());
  const auto type = static_cast<KeyType>(fields->type());
  const auto data = io::as_bytes(fields->data());
  if (!std::ranges::equal(encode<pb::PrivateKey>(type, data), message)) return io::fail(KeyError::malformed);
  if (data.empty()) return io::fail(KeyError::bad_length);
  auto pair = algorithm_of(type).read_private(data);
  if (!pair) return tl::unexpected(pair.error());
  return PrivateKey(type, std::move(*pair));
}

io::Bytes PrivateKey::to_message() const { return encode<pb::PrivateKey>(public_key_.type(), data_); }

io::Bytes PrivateKey::sign(io::BytesView message) const {
  return algorithm_of(public_key_.type()).sign(data_, message);
}

}  // namespace flaresim::crypto
