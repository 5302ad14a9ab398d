#include "protocols/kademlia/routing_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace flaresim::kademlia {

using multiformats::PeerId;

namespace {

/// Blocks of IPv4 addresses with the first byte in common that one organisation has (go-libp2p-kbucket
/// peerdiversity/filter.go legacyClassA).
constexpr std::array<std::uint32_t, 8> single_owner_blocks{12, 17, 19, 38, 48, 53, 56, 73};

constexpr IpGroup ipv4_tag = IpGroup{1} << 32;
constexpr IpGroup ipv6_tag = IpGroup{2} << 32;

}  // namespace

IpGroup ip_group(const io::IpAddress& address) {
  if (address.is_v6() && !address.to_v6().is_v4_mapped()) {
    const auto bytes = address.to_v6().to_bytes();
    return ipv6_tag | IpGroup{bytes[0]} << 24 | IpGroup{bytes[1]} << 16 | IpGroup{bytes[2]} << 8 | bytes[3];
  }
  const auto v4 = address.is_v4()
                      ? address.to_v4()
                      : boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  const std::uint32_t number = v4.to_uint();
  const bool single_owner = std::ranges::find(single_owner_blocks, number >> 24) != single_owner_blocks.end();
  return ipv4_tag | (number & (single_owner ? 0xff000000u : 0xffff0000u));
}

std::vector<TableEntry>& RoutingTable::bucket_of(const Key& place) {
  return buckets_[std::min(common_prefix_length(self_, place), buckets_.size() - 1)];
}

const std::vector<TableEntry>& RoutingTable::bucket_of(const Key& place) const {
  return buckets_[std::min(common_prefix_length(self_, place), buckets_.size() - 1)];
}

const TableEntry* RoutingTable::find(const PeerId& peer) const {
  const auto& bucket = bucket_of(key_of(peer));
  const auto found = std::ranges::find(bucket, peer, &TableEntry::peer);
  return found == bucket.end() ? nullptr : &*found;
}

TableEntry* RoutingTable::entry(const PeerId& peer) { return const_cast<TableEntry*>(find(peer)); }

bool RoutingTable::is_diverse(const Key& place, const IpGroups& groups) const {
  if (!limits_.diverse) return true;
  const auto prefix = common_prefix_length(self_, place);
  bool seen = false;
  for (const auto group : groups) {
    if (group == 0) continue;
    seen = true;
    std::size_t all = 0;
    std::size_t with_prefix = 0;
    for (const auto& bucket : buckets_) {
      for (const auto& other : bucket) {
        if (std::ranges::find(other.groups, group) == other.groups.end()) continue;
        ++all;
        if (common_prefix_length(self_, other.place) == prefix) ++with_prefix;
      }
    }
    if (all >= limits_.max_per_group || with_prefix >= limits_.max_per_group_prefix) return false;
  }
  return seen;
}

std::size_t RoutingTable::weakest(const std::vector<TableEntry>& bucket, io::TimePoint now) const {
  auto out = bucket.size();
  for (std::size_t i = 0; i < bucket.size(); ++i) {
    const auto& each = bucket[i];
    if (!each.replaceable && now - each.useful_at <= limits_.usefulness_limit) continue;
    if (out == bucket.size() || each.useful_at < bucket[out].useful_at) out = i;
  }
  return out;
}

RoutingTable::Addition RoutingTable::add(const PeerId& peer, PackedAddresses addresses,
                                         const IpGroups& groups, io::TimePoint now, bool replaceable) {
  if (find(peer)) return {Outcome::known};
  const auto place = key_of(peer);
  if (place == self_) return {Outcome::full};
  if (!is_diverse(place, groups)) return {Outcome::not_diverse};

  if (bucket_of(place).size() >= limits_.k && &bucket_of(place) == &buckets_.back()) unfold();
  auto& bucket = bucket_of(place);
  TableEntry entry{peer, place, std::move(addresses), now, now, groups, replaceable};
  if (bucket.size() < limits_.k) {
    if (bucket.empty()) bucket.reserve(limits_.k);
    bucket.push_back(std::move(entry));
    fold();
    return {Outcome::added};
  }
  const auto goes = weakest(bucket, now);
  if (goes == bucket.size()) {
    fold();
    return {Outcome::full};
  }
  const auto evicted = bucket[goes].peer;
  bucket[goes] = std::move(entry);
  fold();
  return {Outcome::added, evicted};
}

bool RoutingTable::has_room_for(const PeerId& peer, io::TimePoint now) const {
  const auto place = key_of(peer);
  const auto& bucket = bucket_of(place);
  if (bucket.size() < limits_.k || weakest(bucket, now) < bucket.size()) return true;
  if (&bucket != &buckets_.back()) return false;
  const auto prefix = common_prefix_length(self_, place);
  return std::ranges::any_of(
      bucket, [&](const auto& each) { return common_prefix_length(self_, each.place) != prefix; });
}

/// Splits the last bucket until it has room, or all that is in it shares the same number of bits.
void RoutingTable::unfold() {
  while (buckets_.back().size() >= limits_.k && buckets_.size() < 256) {
    const auto prefix = buckets_.size() - 1;
    auto& last = buckets_.back();
    const auto closer = std::stable_partition(last.begin(), last.end(), [&](const auto& each) {
      return common_prefix_length(self_, each.place) <= prefix;
    });
    std::vector<TableEntry> split;
    split.reserve(limits_.k);
    std::move(closer, last.end(), std::back_inserter(split));
    last.erase(closer, last.end());
    buckets_.push_back(std::move(split));
  }
}

/// Takes back buckets at the end that are empty, and those that the last one can stand for.
void RoutingTable::fold() {
  while (buckets_.size() > 1) {
    const auto last = buckets_.size() - 1;
    if (!buckets_[last].empty() && !buckets_[last - 1].empty()) return;
    if (buckets_[last - 1].empty()) std::swap(buckets_[last - 1], buckets_[last]);
    buckets_.pop_back();
  }
}

bool RoutingTable::remove(const PeerId& peer) {
  auto& bucket = bucket_of(key_of(peer));
  const auto found = std::ranges::find(bucket, peer, &TableEntry::peer);
  if (found == bucket.end()) return false;
  bucket.erase(found);
  fold();
  return true;
}

void RoutingTable::settle() {
  for (auto& bucket : buckets_) {
    for (auto& each : bucket) each.replaceable = false;
  }
}

void RoutingTable::note_answer(const PeerId& peer, io::TimePoint now) {
  if (auto* found = entry(peer)) found->answered_at = now;
}

void RoutingTable::note_use(const PeerId& peer, io::TimePoint now) {
  if (auto* found = entry(peer)) found->useful_at = now;
}

void RoutingTable::set_addresses(const PeerId& peer, PackedAddresses addresses) {
  if (auto* found = entry(peer)) found->addresses = std::move(addresses);
}

std::vector<const TableEntry*> RoutingTable::nearest(const Key& target, std::size_t count) const {
  std::vector<const TableEntry*> out;
  const auto take = [&](const std::vector<TableEntry>& bucket) {
    for (const auto& each : bucket) out.push_back(&each);
  };
  // Who is in the target's own bucket shares more bits with it than anybody else. All of the buckets beyond share as
  // many with it as we do, and each bucket before shares one bit less than the next.
  const auto own = std::min(common_prefix_length(self_, target), buckets_.size() - 1);
  take(buckets_[own]);
  if (out.size() < count) {
    for (auto i = own + 1; i < buckets_.size(); ++i) take(buckets_[i]);
  }
  for (auto i = own; i-- > 0 && out.size() < count;) take(buckets_[i]);

  std::vector<std::pair<Key, const TableEntry*>> by_distance;
  by_distance.reserve(out.size());
  for (const auto* each : out) by_distance.emplace_back(distance(each->place, target), each);
  std::ranges::sort(by_distance, {}, [](const auto& pair) -> const Key& { return pair.first; });
  out.clear();
  for (const auto& [far, each] : by_distance) {
    if (out.size() == count) break;
    out.push_back(each);
  }
  return out;
}

std::size_t RoutingTable::size() const {
  std::size_t out = 0;
  for (const auto& bucket : buckets_) out += bucket.size();
  return out;
}

std::size_t RoutingTable::size_at(std::size_t prefix) const {
  const auto& bucket = buckets_[std::min(prefix, buckets_.size() - 1)];
  return static_cast<std::size_t>(std::ranges::count_if(
      bucket, [&](const auto& each) { return common_prefix_length(self_, each.place) == prefix; }));
}

std::size_t RoutingTable::longest_prefix() const {
  std::size_t out = 0;
  for (const auto& each : buckets_.back()) out = std::max(out, common_prefix_length(self_, each.place));
  return out;
}

}  // namespace flaresim::kademlia
