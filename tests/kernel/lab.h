#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

/// One router, real or modelled, as those see it who hold both of its wires.
namespace flaresim::kernel {

using Bytes = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

enum class Side { inside, outside };

constexpr Side other(Side side) { return side == Side::inside ? Side::outside : Side::inside; }

/// A packet that the router has put on a wire.
struct Emitted {
  Side side;
  Bytes packet;
};

/// A router with the addresses of `addresses.h`, and two wires.
class Lab {
 public:
  virtual ~Lab() = default;
  /// Puts an IP packet on a wire: all that the router sends on account of it.
  virtual std::vector<Emitted> send(Side from, const Bytes& packet) = 0;
  virtual void wait(std::chrono::milliseconds time) = 0;
};

}  // namespace flaresim::kernel
