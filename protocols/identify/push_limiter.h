#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "protocols/identify/identify.h"
#include "protocols/io/network.h"

namespace flaresim::identify {

/// Lets as many pushes in as `PushLimits` says: a bucket of tokens for every subnet, and one for all.
///
/// 1. A push takes a token of each bucket that it belongs to, from the narrowest subnet to all; where the first one has
///    none the push is refused, and what the narrower ones gave is lost.
/// 2. Subnets whose bucket is full again are forgotten, whenever as many have come again as were left the last time.
///
/// `now` never runs backwards. Source: go-libp2p x/rate/limiter.go, Limiter.Allow and SubnetLimiter.Allow.
class PushLimiter {
 public:
  explicit PushLimiter(const PushLimits& limits) : limits_(limits) {}

  /// Counts a push from there.
  bool take(const io::IpAddress& from, io::TimePoint now);
  /// Subnets that are remembered.
  std::size_t size() const { return full_at_.size(); }

 private:
  using Subnet = std::vector<std::uint8_t>;  // the bytes of the prefix

  bool take_of(const Subnet& subnet, const RateLimit& limit, io::TimePoint now);
  void sweep(io::TimePoint now);

  PushLimits limits_;
  std::map<Subnet, io::TimePoint> full_at_;
  io::TimePoint all_full_at_{};
  std::size_t sweep_at_size_ = 64;
};

}  // namespace flaresim::identify
