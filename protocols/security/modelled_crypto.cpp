#include "protocols/security/modelled_crypto.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace flaresim::security::modelled {
namespace {

__extension__ using Wide = unsigned __int128;

// Odd numbers with as many ones as zeros: the first digits of pi behind the point, in hexadecimal, made odd.
constexpr std::uint64_t pi_1 = 0x243f6a8885a308d3, pi_2 = 0x13198a2e03707345, pi_3 = 0xa4093822299f31d1,
                        pi_4 = 0x082efa98ec4e6c89;

constexpr std::string_view mark = "no real key.";
constexpr std::uint8_t top_bit = 0x80;

enum Purpose : std::uint64_t { key_purpose = 1, agreement_purpose, signer_purpose, signature_purpose };

/// Both halves of the product, so that every bit of either factor reaches all of the result.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const std::uint8_t* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

struct Lanes {
  std::uint64_t a;
  std::uint64_t b;

  void take(const std::uint8_t* chunk) {
    const auto first = word(chunk), second = word(chunk + 8);
    a = fold(first ^ pi_1, second ^ a);
    b = fold(second ^ pi_2, first ^ b);
  }
};

/// 128 bits of `data` under `key`, 16 bytes a step.
Lanes checksum(const Block& key, io::BytesView data, std::uint64_t purpose) {
  constexpr std::size_t step = 16;
  Lanes lanes{word(key.data()) ^ pi_3, word(key.data() + 8) ^ pi_4};
  lanes.take(key.data() + step);
  lanes.a ^= fold(purpose ^ pi_2, data.size() ^ pi_3);
  lanes.b ^= fold(purpose ^ pi_4, data.size() ^ pi_1);
  std::size_t at = 0;
  for (; data.size() - at >= step; at += step) lanes.take(data.data() + at);
  if (at < data.size()) {
    std::array<std::uint8_t, step> rest{};
    std::copy(data.begin() + static_cast<std::ptrdiff_t>(at), data.end(), rest.begin());
    lanes.take(rest.data());
  }
  return {fold(lanes.a ^ pi_1, lanes.b ^ pi_3), fold(lanes.b ^ pi_2, lanes.a ^ pi_4)};
}

}  // namespace

Block digest(const Block& key, io::BytesView data, std::uint64_t purpose) {
  const auto [a, b] = checksum(key, data, purpose);
  const std::array<std::uint64_t, 4> words{a, b, fold(a ^ pi_3, b ^ pi_2), fold(a ^ pi_4, b ^ pi_1)};
  Block block;
  std::memcpy(block.data(), words.data(), block.size());
  return block;
}

Block public_key(const Block& secret) {
  auto key = digest({}, secret, key_purpose);
  std::copy(mark.begin(), mark.end(), key.end() - 1 - static_cast<std::ptrdiff_t>(mark.size()));
  key.back() = top_bit;
  return key;
}

bool is_public_key(io::BytesView key) {
  return key.size() == std::tuple_size_v<Block> && key.back() == top_bit &&
         std::ranges::equal(key.last(mark.size() + 1).first(mark.size()), io::as_bytes(mark));
}

Block agree(const Block& one, const Block& other) {
  const auto& [first, second] = std::minmax(one, other);
  return digest(first, second, agreement_purpose);
}

Signature sign(io::BytesView public_key_message, io::BytesView message) {
  const auto signer = digest({}, public_key_message, signer_purpose);
  const auto first = digest(signer, message, signature_purpose);
  const auto second = digest(first, message, signature_purpose);
  Signature signature;
  std::copy(first.begin(), first.end(), signature.begin());
  std::copy(second.begin(), second.end(), signature.begin() + first.size());
  return signature;
}

Tag tag(const Block& key, std::uint64_t nonce, io::BytesView associated, io::BytesView data) {
  const auto [a, b] =
      associated.empty() ? checksum(key, data, nonce) : checksum(digest(key, associated, nonce), data, nonce);
  const std::array words{a, b};
  Tag result;
  std::memcpy(result.data(), words.data(), result.size());
  return result;
}

}  // namespace flaresim::security::modelled
