#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/io/time.h"
#include "protocols/kademlia/key.h"
#include "protocols/kademlia/packed_addresses.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::kademlia {

/// Addresses that somebody might have many of at once: an IPv4 /16, or a /8 that one organisation was given; an IPv6
/// /32. Zero is none. Source: go-libp2p-kbucket peerdiversity/filter.go, which knows the ASNs of IPv6 addresses, too,
/// and falls back on the /32.
using IpGroup = std::uint64_t;
IpGroup ip_group(const io::IpAddress& address);

/// Where a peer is seen, over IPv4 and IPv6.
using IpGroups = std::array<IpGroup, 2>;

/// Of the routing table; the defaults' sources stand beside them.
struct TableLimits {
  std::size_t k = 20;             // libp2p/specs kad-dht/README.md
  bool diverse = true;            // whether the next two hold; a peer that was seen nowhere is then not taken
  std::size_t max_per_group = 3;  // go-libp2p-kad-dht amino/defaults.go DefaultMaxPeersPerIPGroup
  std::size_t max_per_group_prefix = 2;  // ... DefaultMaxPeersPerIPGroupPerCpl
  /// Whoever was of no use for longer than that may be replaced; go-libp2p-kad-dht dht.go, from its other defaults.
  io::Duration usefulness_limit = std::chrono::minutes(86);
};

struct TableEntry {
  multiformats::PeerId peer;
  Key place;
  PackedAddresses addresses;
  io::TimePoint useful_at;
  io::TimePoint answered_at;
  IpGroups groups;
  bool replaceable;
};

/// The peers we know in the key space, many of those near to us, few of those far away.
///
/// 1. A peer's bucket is the number of leading bits that its place shares with ours. The last bucket holds all that
///    share more; when it is full, it is split in two.
/// 2. In a full bucket, a newcomer takes the place of whoever was of no use for longest, if that one is `replaceable`,
///    or was of no use for longer than `usefulness_limit`; otherwise it is turned away.
/// 3. No more than `max_per_group` peers of one group of addresses are taken, and `max_per_group_prefix` of them that
///    share the same number of bits with us.
/// 4. Our own place is never in it.
///
/// Source: go-libp2p-kbucket table.go.
class RoutingTable {
 public:
  RoutingTable(const Key& self, TableLimits limits) : self_(self), limits_(limits), buckets_(1) {}

  enum class Outcome { added, known, full, not_diverse };
  struct Addition {
    Outcome outcome;
    std::optional<multiformats::PeerId> evicted{};
  };
  /// The peer has answered us just now.
  Addition add(const multiformats::PeerId& peer, PackedAddresses addresses, const IpGroups& groups,
               io::TimePoint now, bool replaceable);
  /// Whether there would be room for this peer, which is not in the table. Says nothing about diversity.
  bool has_room_for(const multiformats::PeerId& peer, io::TimePoint now) const;
  /// False when it was not there.
  bool remove(const multiformats::PeerId& peer);
  /// From now on nobody is replaceable.
  void settle();

  /// No effect on peers that are not there.
  void note_answer(const multiformats::PeerId& peer, io::TimePoint now);
  void note_use(const multiformats::PeerId& peer, io::TimePoint now);
  void set_addresses(const multiformats::PeerId& peer, PackedAddresses addresses);

  /// Null when it is not there. Valid until the next change.
  const TableEntry* find(const multiformats::PeerId& peer) const;
  /// At most `count`, the closest to `target` first. Valid until the next change.
  std::vector<const TableEntry*> nearest(const Key& target, std::size_t count) const;
  const std::vector<std::vector<TableEntry>>& buckets() const { return buckets_; }
  std::size_t size() const;
  /// How many share exactly so many bits with us.
  std::size_t size_at(std::size_t prefix) const;
  /// The most bits that any of them shares with us; 0 when there are none.
  std::size_t longest_prefix() const;

 private:
  std::vector<TableEntry>& bucket_of(const Key& place);
  const std::vector<TableEntry>& bucket_of(const Key& place) const;
  TableEntry* entry(const multiformats::PeerId& peer);
  bool is_diverse(const Key& place, const IpGroups& groups) const;
  /// Number in its bucket of who may go, or the bucket's size.
  std::size_t weakest(const std::vector<TableEntry>& bucket, io::TimePoint now) const;
  void unfold();
  void fold();

  Key self_;
  TableLimits limits_;
  std::vector<std::vector<TableEntry>> buckets_;
};

}  // namespace flaresim::kademlia
