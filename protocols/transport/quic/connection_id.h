#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <compare>
#include <cstdint>
#include <span>

#include "protocols/io/bytes.h"

namespace flaresim::quic {

/// RFC 9000 §5.1: up to 20 bytes.
class ConnectionId {
 public:
  static constexpr std::size_t max_bytes = 20;
  /// Of those that we issue: short headers do not carry the length.
  static constexpr std::size_t own_bytes = 8;

  ConnectionId() = default;
  explicit ConnectionId(io::BytesView bytes) : size_(static_cast<std::uint8_t>(bytes.size())) {
    assert(bytes.size() <= max_bytes);
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }

  io::BytesView bytes() const { return {bytes_.data(), size_}; }

  friend auto operator<=>(const ConnectionId&, const ConnectionId&) = default;
  friend bool operator==(const ConnectionId&, const ConnectionId&) = default;

 private:
  std::array<std::uint8_t, max_bytes> bytes_{};  // zeros behind `size_`
  std::uint8_t size_ = 0;
};

/// RFC 9000 §10.3
using ResetToken = std::array<std::uint8_t, 16>;

}  // namespace flaresim::quic
