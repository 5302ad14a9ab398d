#pragma once

#include <array>
#include <cstdint>

#include "protocols/io/bytes.h"

namespace flaresim::crypto {

/// The nonces of a deterministic ECDSA signature with HMAC-SHA-256 on a curve whose order has 256 bits: the
/// first one that is good is the one to sign with. Source: RFC 6979 §3.2.
class Rfc6979 {
 public:
  static constexpr std::size_t bytes = 32;

  /// `digest` is already reduced modulo the order (§2.3.4).
  Rfc6979(std::span<const std::uint8_t, bytes> secret, std::span<const std::uint8_t, bytes> digest);

  std::array<std::uint8_t, bytes> next();

 private:
  void mix(std::uint8_t separator, io::BytesView seed);

  std::array<std::uint8_t, bytes> key_{};
  std::array<std::uint8_t, bytes> value_;
  bool fresh_ = true;
};

}  // namespace flaresim::crypto
