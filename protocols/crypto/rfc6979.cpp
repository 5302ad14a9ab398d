#include "protocols/crypto/rfc6979.h"

#include <sodium.h>

namespace flaresim::crypto {

static_assert(Rfc6979::bytes == crypto_auth_hmacsha256_BYTES &&
              Rfc6979::bytes == crypto_auth_hmacsha256_KEYBYTES);

Rfc6979::Rfc6979(std::span<const std::uint8_t, bytes> secret, std::span<const std::uint8_t, bytes> digest) {
  value_.fill(1);
  auto seed = io::to_bytes(secret);
  io::append(seed, digest);
  mix(0, seed);
  mix(1, seed);
}

std::array<std::uint8_t, Rfc6979::bytes> Rfc6979::next() {
  if (!fresh_) mix(0, {});
  fresh_ = false;
  crypto_auth_hmacsha256(value_.data(), value_.data(), bytes, key_.data());
  return value_;
}

/// Steps d to g, and h.3.
void Rfc6979::mix(std::uint8_t separator, io::BytesView seed) {
  auto input = io::to_bytes(value_);
  input.push_back(separator);
  io::append(input, seed);
  crypto_auth_hmacsha256(key_.data(), input.data(), input.size(), key_.data());
  crypto_auth_hmacsha256(value_.data(), value_.data(), bytes, key_.data());
}

}  // namespace flaresim::crypto
