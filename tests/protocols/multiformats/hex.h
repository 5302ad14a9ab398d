#pragma once

#include <charconv>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocols/io/bytes.h"

namespace flaresim {

/// Bytes as published vectors print them. Blanks are skipped.
inline io::Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits.push_back(c);
  if (digits.size() % 2 != 0) throw std::invalid_argument("odd number of hex digits");
  io::Bytes bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(&digits[i], &digits[i] + 2, value, 16);
    if (error != std::errc{} || end != &digits[i] + 2) throw std::invalid_argument("no hex digit");
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

}  // namespace flaresim
