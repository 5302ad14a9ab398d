#include "protocols/swarm/dial_backoff.h"

#include <algorithm>

namespace flaresim::swarm {
namespace {

constexpr std::int64_t most_times = 1'000'000;  // beyond, the square of it would overflow

}  // namespace

io::Duration DialBackoff::after(std::int64_t failures) const {
  // Not by the sum alone: the product overflows long before the count does.
  if (profile_.step > io::Duration::zero() && failures * failures > profile_.longest / profile_.step) {
    return profile_.longest;
  }
  return std::min(profile_.base + profile_.step * (failures * failures), profile_.longest);
}

void DialBackoff::add_failure(const multiformats::PeerId& peer, const multiformats::Multiaddr& address,
                              io::TimePoint now) {
  if (now - swept_ >= profile_.longest) sweep(now);
  auto& failed = failed_[peer][address];
  failed.until = now + after(failed.times);
  failed.times = std::min(failed.times + 1, most_times);
}

bool DialBackoff::is_backed_off(const multiformats::PeerId& peer, const multiformats::Multiaddr& address,
                                io::TimePoint now) const {
  const auto known = failed_.find(peer);
  if (known == failed_.end()) return false;
  const auto failed = known->second.find(address);
  return failed != known->second.end() && now < failed->second.until;
}

void DialBackoff::sweep(io::TimePoint now) {
  swept_ = now;
  std::erase_if(failed_, [&](const auto& peer) {
    return std::ranges::all_of(peer.second, [&](const auto& address) {
      return now >= address.second.until + after(address.second.times);
    });
  });
}

}  // namespace flaresim::swarm
