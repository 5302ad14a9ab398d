#include "sim/net/link.h"

#include <algorithm>

namespace flaresim::net {
namespace {

constexpr std::uint64_t bits_per_byte = 8;
constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;

/// Rounded up, so that no packet leaves before its last bit. 128 bits hold 64 KiB at a bit per second.
io::Duration serialisation(std::uint64_t bytes, std::uint64_t bits_per_second) {
  __extension__ using Wide = unsigned __int128;
  const Wide bit_nanoseconds = static_cast<Wide>(bytes * bits_per_byte) * nanoseconds_per_second;
  return io::Duration(static_cast<std::int64_t>((bit_nanoseconds + bits_per_second - 1) / bits_per_second));
}

std::uint64_t bytes_sent_in(io::Duration time, std::uint64_t bits_per_second) {
  __extension__ using Wide = unsigned __int128;
  const Wide bit_nanoseconds = static_cast<Wide>(time.count()) * bits_per_second;
  return static_cast<std::uint64_t>(bit_nanoseconds / nanoseconds_per_second / bits_per_byte);
}

}  // namespace

LinkProfile tunnel(LinkProfile access, io::Duration there, io::Duration back) {
  access.up.delay += there;
  access.down.delay += back;
  return access;
}

LinkState::LinkState(const LinkDirection& direction, io::Random random)
    : direction_(direction), random_(std::move(random)) {}

io::Duration LinkState::propagation() {
  const auto jitter = std::min(direction_.jitter, direction_.delay);
  if (jitter <= io::Duration::zero()) return direction_.delay;
  return random_.between(direction_.delay - jitter, direction_.delay + jitter);
}

LinkState::Crossing LinkState::cross(std::uint64_t bytes, io::TimePoint now) {
  if (direction_.loss > 0 && random_.uniform() < direction_.loss)
    return {.after = {}, .drop = LinkDrop::loss};
  if (direction_.bits_per_second == 0) return {.after = propagation(), .drop = {}};

  const auto begins = std::max(now, free_at_);
  const auto backlog_bytes = bytes_sent_in(begins - now, direction_.bits_per_second);
  if (direction_.queue_bytes != 0 && backlog_bytes + bytes > direction_.queue_bytes) {
    return {.after = {}, .drop = LinkDrop::queue_full};
  }
  free_at_ = begins + serialisation(bytes, direction_.bits_per_second);
  return {.after = free_at_ - now + propagation(), .drop = {}};
}

}  // namespace flaresim::net
