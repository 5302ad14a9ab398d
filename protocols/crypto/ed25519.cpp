#include <sodium.h>

#include <algorithm>
#include <array>

#include "protocols/crypto/algorithm.h"
#include "protocols/crypto/keys.h"

namespace flaresim::crypto {
namespace {

constexpr std::size_t seed_bytes = crypto_sign_SEEDBYTES;
constexpr std::size_t public_bytes = crypto_sign_PUBLICKEYBYTES;
constexpr std::size_t private_bytes = crypto_sign_SECRETKEYBYTES;  // seed and public key, as in the message
static_assert(private_bytes == seed_bytes + public_bytes);

io::Result<> check_public(io::BytesView data) {
  if (data.size() != public_bytes) return io::fail(KeyError::bad_length);
  return {};
}

bool verify(io::BytesView key, io::BytesView message, io::BytesView signature) {
  return signature.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.data()) == 0;
}

KeyPair generate(io::Random& random) { return ed25519_pair(random.seed_bytes()); }

io::Result<KeyPair> read_private(io::BytesView data) {
  if (data.size() != private_bytes && data.size() != private_bytes + public_bytes)
    return io::fail(KeyError::bad_length);
  auto pair = ed25519_pair(data.first<seed_bytes>());
  for (auto copy = data.subspan(seed_bytes); !copy.empty(); copy = copy.subspan(public_bytes))
    if (!std::ranges::equal(copy.first(public_bytes), pair.public_data))
      return io::fail(KeyError::inconsistent);
  return pair;
}

io::Bytes sign(io::BytesView key, io::BytesView message) {
  io::Bytes signature(crypto_sign_BYTES);
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), key.data());
  return signature;
}

}  // namespace

const Algorithm ed25519_keys{check_public, verify, generate, read_private, sign};

KeyPair ed25519_pair(std::span<const std::uint8_t, seed_bytes> seed) {
  KeyPair pair{io::Bytes(private_bytes), io::Bytes(public_bytes)};
  crypto_sign_seed_keypair(pair.public_data.data(), pair.private_data.data(), seed.data());
  return pair;
}

}  // namespace flaresim::crypto
