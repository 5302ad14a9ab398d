#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/io/time.h"

namespace flaresim::io {

/// Random numbers from a ChaCha20 key stream (RFC 8439 §2.4): reproducible from its seed in a simulation,
/// good enough for keys when the seed comes from the operating system.
///
/// Streams are derived by name, never by order of creation, so adding a consumer changes nobody else's
/// numbers.
class Random {
 public:
  using Seed = std::array<std::uint8_t, 32>;

  explicit Random(const Seed& seed) : seed_(seed) {}
  /// A stream for studies: the seed number is the key.
  explicit Random(std::uint64_t seed);
  /// Seeded by the operating system.
  static Random from_entropy();

  /// An independent stream. Does not advance this one.
  Random derive(std::string_view purpose) const;

  void fill(std::span<std::uint8_t> into);
  std::uint64_t next();
  /// Uniform in [0, bound), without modulo bias; `bound` > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [low, high].
  Duration between(Duration low, Duration high);
  Seed seed_bytes();

 private:
  void refill();

  Seed seed_;
  std::array<std::uint8_t, 64> block_{};
  std::size_t used_ = 64;
  std::uint32_t counter_ = 0;
};

}  // namespace flaresim::io
