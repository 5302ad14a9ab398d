#include "protocols/io/random.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace flaresim::io {
namespace {

/// libsodium looks at the processor once and picks its fast implementations, here before `main`: every program
/// that uses it draws random numbers, so this file is in all of them.
[[maybe_unused]] const bool sodium_is_ready = [] {
  if (sodium_init() < 0) throw std::runtime_error("libsodium finds no randomness");
  return true;
}();

Random::Seed hashed(std::span<const std::uint8_t> bytes, const Random::Seed* key) {
  Random::Seed out;
  crypto_generichash(out.data(), out.size(), bytes.data(), bytes.size(), key ? key->data() : nullptr,
                     key ? key->size() : 0);
  return out;
}

Random::Seed seed_from(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return hashed(bytes, nullptr);
}

}  // namespace

Random::Random(std::uint64_t seed) : seed_(seed_from(seed)) {}

Random Random::from_entropy() {
  Seed seed;
  randombytes_buf(seed.data(), seed.size());
  return Random(seed);
}

Random Random::derive(std::string_view purpose) const {
  return Random(hashed({reinterpret_cast<const std::uint8_t*>(purpose.data()), purpose.size()}, &seed_));
}

void Random::refill() {
  static constexpr std::array<std::uint8_t, crypto_stream_chacha20_ietf_NONCEBYTES> nonce{};
  block_.fill(0);
  crypto_stream_chacha20_ietf_xor_ic(block_.data(), block_.data(), block_.size(), nonce.data(), counter_++,
                                     seed_.data());
  used_ = 0;
}

void Random::fill(std::span<std::uint8_t> into) {
  while (!into.empty()) {
    if (used_ == block_.size()) refill();
    const auto n = std::min(into.size(), block_.size() - used_);
    std::memcpy(into.data(), block_.data() + used_, n);
    used_ += n;
    into = into.subspan(n);
  }
}

std::uint64_t Random::next() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) number |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return number;
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Numbers under 2^64 mod bound would be over-represented.
  const std::uint64_t rejected = (0 - bound) % bound;
  for (;;) {
    const auto number = next();
    if (number >= rejected) return number % bound;
  }
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

Duration Random::between(Duration low, Duration high) {
  return low +
         Duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

Random::Seed Random::seed_bytes() {
  Seed seed;
  fill(seed);
  return seed;
}

}  // namespace flaresim::io
