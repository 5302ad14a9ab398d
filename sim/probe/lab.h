#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"
#include "protocols/io/time.h"

namespace flaresim::probe {

/// A wire at which packets can be put and taken: behind the box, in front of it, or behind a second box that has
/// the same outside wire in front of it.
enum class Side : std::uint8_t { outside, inside, other_inside };

/// A packet that came out of a wire: from its IP header on, and when.
struct Arrival {
  io::TimePoint at{};
  io::Bytes packet{};
};

/// The addresses that are at the ends of the wires; all of them belong to whoever holds the lab.
struct Layout {
  std::vector<io::IpAddress> inside{};        ///< IPv4, at least two; more find more
  std::vector<io::IpAddress> outside{};       ///< IPv4, at least two
  std::vector<io::IpAddress> inside_v6{};     ///< may be empty: then IPv6 is not looked at
  std::vector<io::IpAddress> outside_v6{};    ///< as many as needed for `inside_v6`, at least two
  std::vector<io::IpAddress> other_inside{};  ///< IPv4, behind the second box; mostly empty
};

/// A world with a box in it of which nothing is known but what comes out of its wires. Simulated, or a real kernel
/// between two TUN devices.
///
/// 1. What is sent goes on the wire at once and unchanged; packets on one wire keep their order.
/// 2. The way from a wire to the box takes the same time on every wire, so that the box sees the intervals between
///    packets of different wires as they were sent. At most `longest_crossing` passes between the two ends.
/// 3. Only `run_for` moves the time.
class Lab {
 public:
  virtual ~Lab() = default;

  virtual const Layout& layout() const = 0;
  virtual void send(Side side, io::BytesView packet) = 0;
  virtual void run_for(io::Duration duration) = 0;
  /// What came out of a wire since the last call, oldest first.
  virtual std::vector<Arrival> received(Side side) = 0;
  virtual io::TimePoint now() const = 0;
  /// So long after a packet was sent it has come out at the other end, if it ever does; also the answer to it, when
  /// that comes from the box itself.
  virtual io::Duration longest_crossing() const = 0;
};

/// What a test asks of its lab.
struct LabRequest {
  std::size_t outside_addresses = 1;  ///< of the box: how many IPv4 addresses it may translate to
};

/// Gives a lab in which the box has never seen a packet; null when it cannot be had as requested. The one before is
/// gone by then.
using MakeLab = std::function<std::unique_ptr<Lab>(const LabRequest& request)>;

}  // namespace flaresim::probe
