#include "sim/nat/fragments.h"

#include <utility>

namespace flaresim::nat {

namespace {

constexpr Time life = std::chrono::seconds(15);
constexpr std::size_t most_datagrams = 256, most_waiting_bytes = 256 * 1024;

}  // namespace

void FragmentStore::advance(Time now) {
  while (!due_.empty() && due_.front().first <= now) {
    const auto gone = datagrams_.extract(due_.front().second);
    for (const auto& fragment : gone.mapped().waiting) waiting_bytes_ -= fragment.size();
    due_.pop_front();
  }
}

const FragmentStore::Fate* FragmentStore::find(const Key& key) const {
  const auto found = datagrams_.find(key);
  return found == datagrams_.end() || !found->second.fate ? nullptr : &*found->second.fate;
}

/// A known datagram, or a new one while there is room.
FragmentStore::Datagram* FragmentStore::open(const Key& key, Time now) {
  const auto found = datagrams_.find(key);
  if (found != datagrams_.end()) return &found->second;
  if (datagrams_.size() >= most_datagrams) return nullptr;
  due_.emplace_back(now + life, key);
  return &datagrams_[key];
}

std::vector<std::vector<std::uint8_t>> FragmentStore::settle(const Key& key, const Fate& fate, Time now) {
  Datagram* const datagram = open(key, now);
  if (datagram == nullptr) return {};
  datagram->fate = fate;
  for (const auto& fragment : datagram->waiting) waiting_bytes_ -= fragment.size();
  return std::exchange(datagram->waiting, {});
}

bool FragmentStore::keep(const Key& key, std::span<const std::uint8_t> bytes, Time now) {
  if (waiting_bytes_ + bytes.size() > most_waiting_bytes) return false;
  Datagram* const datagram = open(key, now);
  if (datagram == nullptr) return false;
  datagram->waiting.emplace_back(bytes.begin(), bytes.end());
  waiting_bytes_ += bytes.size();
  return true;
}

}  // namespace flaresim::nat
