#include <secp256k1.h>
#include <sodium.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "protocols/crypto/algorithm.h"
#include "protocols/crypto/keys.h"
#include "protocols/multiformats/multihash.h"

namespace flaresim::crypto {
namespace {

using multiformats::sha256;

constexpr std::size_t private_bytes = 32;
constexpr std::size_t public_bytes = 33;
constexpr std::size_t max_signature_bytes = 72;  // two numbers of 33 bytes in DER

struct Destroy {
  void operator()(secp256k1_context* context) const { secp256k1_context_destroy(context); }
};

/// Blinded against timing by fresh randomness, which changes no result.
std::unique_ptr<secp256k1_context, Destroy> make_context() {
  std::unique_ptr<secp256k1_context, Destroy> made(
      secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY));
  std::array<std::uint8_t, 32> blind;
  randombytes_buf(blind.data(), blind.size());
  if (secp256k1_context_randomize(made.get(), blind.data()) != 1) throw std::logic_error("secp256k1 context");
  return made;
}

const secp256k1_context* context() {
  static const auto shared = make_context();
  return shared.get();
}

bool parse(io::BytesView data, secp256k1_pubkey& key) {
  return secp256k1_ec_pubkey_parse(context(), &key, data.data(), data.size()) == 1;
}

io::Result<> check_public(io::BytesView data) {
  if (data.size() != public_bytes) return io::fail(KeyError::bad_length);
  if (data[0] != 0x02 && data[0] != 0x03) return io::fail(KeyError::bad_encoding);
  secp256k1_pubkey key;
  if (!parse(data, key)) return io::fail(KeyError::not_on_curve);
  return {};
}

bool verify(io::BytesView data, io::BytesView message, io::BytesView der) {
  if (der.empty()) return false;  // the library ends the program when a pointer is null
  secp256k1_pubkey key;
  secp256k1_ecdsa_signature signature;
  return parse(data, key) &&
         secp256k1_ecdsa_signature_parse_der(context(), &signature, der.data(), der.size()) == 1 &&
         secp256k1_ecdsa_verify(context(), &signature, sha256(message).data(), &key) == 1;  // lower S only
}

io::Result<KeyPair> read_private(io::BytesView data) {
  if (data.size() != private_bytes) return io::fail(KeyError::bad_length);
  secp256k1_pubkey key;
  if (secp256k1_ec_pubkey_create(context(), &key, data.data()) != 1) return io::fail(KeyError::out_of_range);
  KeyPair pair{io::to_bytes(data), io::Bytes(public_bytes)};
  auto size = public_bytes;
  secp256k1_ec_pubkey_serialize(context(), pair.public_data.data(), &size, &key, SECP256K1_EC_COMPRESSED);
  return pair;
}

KeyPair generate(io::Random& random) {
  for (;;)
    if (auto pair = read_private(random.seed_bytes())) return std::move(*pair);
}

io::Bytes sign(io::BytesView key, io::BytesView message) {
  secp256k1_ecdsa_signature signature;
  secp256k1_ecdsa_sign(context(), &signature, sha256(message).data(), key.data(),
                       secp256k1_nonce_function_rfc6979, nullptr);
  io::Bytes der(max_signature_bytes);
  auto size = der.size();
  secp256k1_ecdsa_signature_serialize_der(context(), der.data(), &size, &signature);
  der.resize(size);
  return der;
}

}  // namespace

const Algorithm secp256k1_keys{check_public, verify, generate, read_private, sign};

}  // namespace flaresim::crypto
