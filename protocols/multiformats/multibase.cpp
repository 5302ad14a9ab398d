#include "protocols/multiformats/multibase.h"

#include <algorithm>
#include <cstdint>

namespace flaresim::multiformats {
namespace {

constexpr std::string_view base32_alphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view base36_alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view base58_alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::string_view base64url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// `digits` is one number, least significant digit first, in base `base`: multiplied by `factor`, plus
// `carry`.
void multiply_add(io::Bytes& digits, unsigned base, unsigned factor, unsigned carry) {
  for (auto& digit : digits) {
    carry += digit * factor;
    digit = static_cast<std::uint8_t>(carry % base);
    carry /= base;
  }
  for (; carry > 0; carry /= base) digits.push_back(static_cast<std::uint8_t>(carry % base));
}

// Bases that are no power of two read the bytes as one big-endian number, and each leading zero byte as a
// leading zero digit.
std::string encode_number(io::BytesView bytes, std::string_view alphabet) {
  const auto zeros = static_cast<std::size_t>(
      std::find_if(bytes.begin(), bytes.end(), [](auto byte) { return byte != 0; }) - bytes.begin());
  io::Bytes digits;
  digits.reserve(bytes.size() * 8 / 5 + 1);
  const auto base = static_cast<unsigned>(alphabet.size());
  for (const auto byte : bytes.subspan(zeros)) multiply_add(digits, base, 256, byte);
  std::string text(zeros, alphabet[0]);
  text.reserve(zeros + digits.size());
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) text.push_back(alphabet[*digit]);
  return text;
}

std::optional<io::Bytes> decode_number(std::string_view text, std::string_view alphabet) {
  const auto zeros = std::min(text.find_first_not_of(alphabet[0]), text.size());
  io::Bytes bytes;
  bytes.reserve(text.size());
  const auto base = static_cast<unsigned>(alphabet.size());
  for (const char c : text.substr(zeros)) {
    const auto digit = alphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    multiply_add(bytes, 256, base, static_cast<unsigned>(digit));
  }
  bytes.resize(bytes.size() + zeros, 0);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// Bases that are a power of two take `width` bits a character, the most significant first.
std::string encode_bits(io::BytesView bytes, std::string_view alphabet, unsigned width) {
  std::string text;
  text.reserve((bytes.size() * 8 + width - 1) / width);
  const unsigned mask = (1u << width) - 1;
  unsigned held = 0, held_bits = 0;
  for (const auto byte : bytes) {
    held = held << 8 | byte;
    for (held_bits += 8; held_bits >= width; held_bits -= width)
      text.push_back(alphabet[held >> (held_bits - width) & mask]);
  }
  if (held_bits > 0) text.push_back(alphabet[held << (width - held_bits) & mask]);
  return text;
}

std::optional<io::Bytes> decode_bits(std::string_view text, std::string_view alphabet, unsigned width) {
  io::Bytes bytes;
  bytes.reserve(text.size() * width / 8);
  unsigned held = 0, held_bits = 0;
  for (const char c : text) {
    const auto digit = alphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    held = held << width | static_cast<unsigned>(digit);
    held_bits += width;
    if (held_bits >= 8) {
      held_bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(held >> held_bits));
    }
  }
  // What is left pads the last byte: less than a character, and zeros, or two texts would mean the same
  // bytes.
  if (held_bits >= width || (held & ((1u << held_bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

std::string encode_base58(io::BytesView bytes) { return encode_number(bytes, base58_alphabet); }
std::optional<io::Bytes> decode_base58(std::string_view text) { return decode_number(text, base58_alphabet); }

std::string encode_base32(io::BytesView bytes) { return encode_bits(bytes, base32_alphabet, 5); }
std::optional<io::Bytes> decode_base32(std::string_view text) {
  return decode_bits(text, base32_alphabet, 5);
}

std::string encode_base64url(io::BytesView bytes) { return encode_bits(bytes, base64url_alphabet, 6); }
std::optional<io::Bytes> decode_base64url(std::string_view text) {
  return decode_bits(text, base64url_alphabet, 6);
}

std::optional<io::Bytes> decode_multibase(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto digits = text.substr(1);
  switch (text.front()) {
    case 'b':
      return decode_base32(digits);
    case 'k':
      return decode_number(digits, base36_alphabet);
    case 'u':
      return decode_base64url(digits);
    case 'z':
      return decode_base58(digits);
    default:
      return std::nullopt;
  }
}

}  // namespace flaresim::multiformats
