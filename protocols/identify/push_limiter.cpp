#include "protocols/identify/push_limiter.h"

#include <algorithm>

namespace flaresim::identify {
namespace {

/// A bucket is known by the instant at which it will be full: every token that is taken puts it off by an interval.
bool take_token(io::TimePoint& full_at, const RateLimit& limit, io::TimePoint now) {
  const auto then = std::max(full_at, now) + limit.interval;
  if (then - now > limit.burst * limit.interval) return false;
  full_at = then;
  return true;
}

}  // namespace

bool PushLimiter::take(const io::IpAddress& from, io::TimePoint now) {
  if (from.is_loopback()) return true;
  sweep(now);
  if (from.is_v4()) {
    const auto bytes = from.to_v4().to_bytes();
    if (!take_of({bytes.begin(), bytes.begin() + 3}, limits_.of_ipv4_24, now)) return false;
  } else {
    const auto bytes = from.to_v6().to_bytes();
    if (!take_of({bytes.begin(), bytes.begin() + 7}, limits_.of_ipv6_56, now)) return false;
    if (!take_of({bytes.begin(), bytes.begin() + 6}, limits_.of_ipv6_48, now)) return false;
  }
  return take_token(all_full_at_, limits_.of_all, now);
}

bool PushLimiter::take_of(const Subnet& subnet, const RateLimit& limit, io::TimePoint now) {
  const auto bucket = full_at_.try_emplace(subnet, now).first;
  return take_token(bucket->second, limit, now);
}

/// A full bucket is as good as none.
void PushLimiter::sweep(io::TimePoint now) {
  if (full_at_.size() < sweep_at_size_) return;
  std::erase_if(full_at_, [&](const auto& bucket) { return bucket.second <= now; });
  sweep_at_size_ = std::max<std::size_t>(64, 2 * full_at_.size());
}

}  // namespace flaresim::identify
