#include "protocols/crypto/der.h"

#include <algorithm>
#include <stdexcept>

namespace flaresim::crypto {

void append_der(io::Bytes& to, DerTag tag, io::BytesView content) {
  const auto size = content.size();
  if (size > 0xffff) throw std::length_error("DER content of 64 KiB");
  to.push_back(static_cast<std::uint8_t>(tag));
  if (size > 0xff) {
    to.insert(to.end(), {0x82, static_cast<std::uint8_t>(size >> 8)});
  } else if (size > 0x7f) {
    to.push_back(0x81);
  }
  to.push_back(static_cast<std::uint8_t>(size));
  io::append(to, content);
}

void append_der_number(io::Bytes& to, io::BytesView magnitude) {
  const auto first = std::ranges::find_if(magnitude, [](std::uint8_t byte) { return byte != 0; });
  // X.690 §8.3: two's complement, so a zero goes before a set top bit, and stands for zero.
  io::Bytes content;
  if (first == magnitude.end() || (*first & 0x80) != 0) content.push_back(0);
  content.insert(content.end(), first, magnitude.end());
  append_der(to, DerTag::integer, content);
}

std::optional<io::BytesView> take_der(io::BytesView& from, DerTag tag) {
  if (from.size() < 2 || from[0] != static_cast<std::uint8_t>(tag)) return std::nullopt;
  std::size_t header = 2;
  std::size_t length = from[1];
  if (length > 0x7f) {
    const std::size_t digits = length & 0x7f;
    if (digits < 1 || digits > 2 || from.size() < header + digits) return std::nullopt;
    length = 0;
    while (header < 2 + digits) length = length << 8 | from[header++];
    if (length < 0x80 || (digits == 2 && length < 0x100)) return std::nullopt;  // not the shortest form
  }
  if (from.size() - header < length) return std::nullopt;
  const auto content = from.subspan(header, length);
  from = from.subspan(header + length);
  return content;
}

std::optional<io::BytesView> take_der_number(io::BytesView& from) {
  auto rest = from;
  const auto content = take_der(rest, DerTag::integer);
  if (!content || content->empty()) return std::nullopt;
  const bool negative = ((*content)[0] & 0x80) != 0;
  const bool padded = content->size() > 1 && (*content)[0] == 0 && ((*content)[1] & 0x80) == 0;
  if (negative || padded) return std::nullopt;
  from = rest;
  return content->subspan((*content)[0] == 0 ? 1 : 0);
}

std::optional<io::BytesView> only_der(io::BytesView whole, DerTag tag) {
  const auto content = take_der(whole, tag);
  return whole.empty() ? content : std::nullopt;
}

}  // namespace flaresim::crypto
