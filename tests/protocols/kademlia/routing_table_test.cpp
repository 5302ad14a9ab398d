#include "protocols/kademlia/routing_table.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "protocols/kademlia/candidates.h"

namespace flaresim::kademlia {
namespace {

using namespace std::chrono_literals;
using multiformats::PeerId;
using testing::ElementsAre;
using testing::IsEmpty;

/// Peers of keys that nobody has.
PeerId peer(std::uint64_t number) {
  io::Bytes id{0x12, 0x20};
  id.resize(34);
  io::Random(number).fill(std::span(id).subspan(2));
  return PeerId::from_bytes(id).value();
}

const Key self = key_of(peer(0));
const TableLimits anybody{.k = 20, .diverse = false};

std::vector<std::uint64_t> numbers_with_prefix(std::size_t prefix, std::size_t count,
                                               std::uint64_t from = 1) {
  std::vector<std::uint64_t> out;
  for (auto i = from; out.size() < count; ++i) {
    if (common_prefix_length(key_of(peer(i)), self) == prefix) out.push_back(i);
  }
  return out;
}

io::TimePoint at(io::Duration after) { return io::TimePoint(after); }

struct TableTest : testing::Test {
  RoutingTable::Outcome add(std::uint64_t number, io::Duration when = 0s, bool replaceable = false,
                            IpGroups groups = {}) {
    const auto addition = table.add(peer(number), {}, groups, at(when), replaceable);
    evicted = addition.evicted;
    return addition.outcome;
  }
  RoutingTable table{self, anybody};
  std::optional<PeerId> evicted;
};

TEST(Key, DistanceIsXorOfHashes) {
  // SHA-256 of nothing, and of "abc" (FIPS 180-4 examples).
  const auto nothing = key_of(io::BytesView());
  const auto abc = key_of(io::as_bytes("abc"));
  EXPECT_EQ(nothing[0], 0xe3);
  EXPECT_EQ(abc[0], 0xba);
  EXPECT_EQ(distance(nothing, abc)[0], 0xe3 ^ 0xba);
  EXPECT_EQ(common_prefix_length(nothing, abc), 1u);
  EXPECT_EQ(common_prefix_length(abc, abc), 256u);
}

TEST(Key, RandomIdsShareAsManyBitsAsWanted) {
  io::Random random(7);
  for (std::size_t prefix = 0; prefix <= 10; ++prefix) {
    const auto id = random_id_at(self, prefix, random);
    EXPECT_EQ(common_prefix_length(key_of(id), self), prefix);
    EXPECT_TRUE(PeerId::from_bytes(id));
    EXPECT_NE(id, random_id_at(self, prefix, random));
  }
}

TEST_F(TableTest, NearestAreThoseThatSortingEverybodyPutsFirst) {
  std::set<std::uint64_t> in;
  io::Random random(1);
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    if (add(i) == RoutingTable::Outcome::added) in.insert(i);
    if (random.below(4) == 0 && !in.empty()) {  // some leave again
      const auto goes = *std::next(in.begin(), static_cast<std::ptrdiff_t>(random.below(in.size())));
      EXPECT_TRUE(table.remove(peer(goes)));
      in.erase(goes);
    }
    if (i % 20 != 0) continue;
    ASSERT_EQ(table.size(), in.size());
    const auto target = key_of(peer(random.next()));
    std::vector<std::pair<Key, PeerId>> all;
    for (const auto number : in) all.emplace_back(distance(key_of(peer(number)), target), peer(number));
    std::ranges::sort(all);
    const auto count = 1 + random.below(40);
    const auto nearest = table.nearest(target, count);
    ASSERT_EQ(nearest.size(), std::min<std::size_t>(count, all.size()));
    for (std::size_t n = 0; n < nearest.size(); ++n) EXPECT_EQ(nearest[n]->peer, all[n].second);
  }
}

TEST_F(TableTest, EachBucketHoldsWhoSharesAsManyBitsAndTheLastTheRest) {
  for (std::uint64_t i = 1; i <= 2000; ++i) add(i);
  const auto& buckets = table.buckets();
  EXPECT_GE(buckets.size(), 6u);
  for (std::size_t n = 0; n < buckets.size(); ++n) {
    EXPECT_LE(buckets[n].size(), 20u);
    for (const auto& each : buckets[n]) {
      const auto prefix = common_prefix_length(each.place, self);
      EXPECT_GE(prefix, n);
      if (n + 1 < buckets.size()) {
        EXPECT_EQ(prefix, n);
      }
    }
  }
}

TEST_F(TableTest, TheLastBucketUnfoldsWhenItIsFull) {
  for (const auto i : numbers_with_prefix(3, 19)) add(i);
  EXPECT_EQ(table.buckets().size(), 1u);
  add(numbers_with_prefix(0, 1).front());
  EXPECT_EQ(table.buckets().size(), 1u);
  add(numbers_with_prefix(1, 1).front());
  EXPECT_GT(table.buckets().size(), 1u);
  EXPECT_EQ(table.size(), 21u);
  EXPECT_EQ(table.size_at(3), 19u);
  EXPECT_EQ(table.longest_prefix(), 3u);
}

TEST_F(TableTest, AFullBucketTurnsNewcomersAway) {
  const auto numbers = numbers_with_prefix(0, 22);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(add(numbers[i]), RoutingTable::Outcome::added);
  EXPECT_FALSE(table.has_room_for(peer(numbers[20]), at(1s)));
  EXPECT_EQ(add(numbers[20], 1s), RoutingTable::Outcome::full);
  EXPECT_EQ(add(numbers[0], 1s), RoutingTable::Outcome::known);
  EXPECT_TRUE(table.has_room_for(peer(numbers_with_prefix(2, 1).front()), at(1s)));
  EXPECT_EQ(table.size(), 20u);
}

TEST_F(TableTest, ReplaceablePeersMakeRoomUntilTheTableSettles) {
  const auto numbers = numbers_with_prefix(0, 24);
  for (std::size_t i = 0; i < 20; ++i) add(numbers[i], 0s, i == 7);
  EXPECT_EQ(add(numbers[20], 1s), RoutingTable::Outcome::added);
  EXPECT_EQ(evicted, peer(numbers[7]));
  EXPECT_EQ(add(numbers[21], 1s), RoutingTable::Outcome::full);
  table.remove(peer(numbers[0]));
  add(numbers[22], 1s, true);
  table.settle();
  EXPECT_EQ(add(numbers[23], 1s), RoutingTable::Outcome::full);
}

TEST_F(TableTest, WhoWasOfNoUseForLongestMakesRoom) {
  const auto numbers = numbers_with_prefix(0, 22);
  for (std::size_t i = 0; i < 20; ++i) add(numbers[i], 0s);
  for (std::size_t i = 0; i < 20; ++i) table.note_use(peer(numbers[i]), at(i == 4 ? 1s : 10s));
  EXPECT_EQ(add(numbers[20], 86min), RoutingTable::Outcome::full);
  EXPECT_EQ(add(numbers[20], 86min + 2s), RoutingTable::Outcome::added);
  EXPECT_EQ(evicted, peer(numbers[4]));
  EXPECT_EQ(add(numbers[21], 86min + 2s), RoutingTable::Outcome::full);
}

TEST_F(TableTest, OurselvesAreNotTaken) {
  EXPECT_NE(add(0), RoutingTable::Outcome::added);
  EXPECT_EQ(table.size(), 0u);
}

IpGroup group(std::string_view address) { return ip_group(boost::asio::ip::make_address(address)); }

// go-libp2p-kbucket peerdiversity/filter.go IPGroupKey.
TEST(IpGroups, AreThe16OrTheSingleOwners8OrTheV6Prefix) {
  EXPECT_EQ(group("1.2.3.4"), group("1.2.200.1"));
  EXPECT_NE(group("1.2.3.4"), group("1.3.3.4"));
  EXPECT_EQ(group("17.2.3.4"), group("17.99.3.4"));
  EXPECT_EQ(group("2001:db8:1::1"), group("2001:db8:2::1"));
  EXPECT_NE(group("2001:db8::1"), group("2001:db9::1"));
  EXPECT_EQ(group("::ffff:1.2.3.4"), group("1.2.9.9"));
  EXPECT_NE(group("0.1.0.0"), group("1::"));
}

struct DiversityTest : TableTest {
  DiversityTest() { table = RoutingTable(self, {.k = 20}); }
};

TEST_F(DiversityTest, TwoOfAGroupInABucketAndThreeInTheTable) {
  const IpGroups groups{group("1.2.3.4"), 0};
  const auto far = numbers_with_prefix(0, 3);
  const auto near = numbers_with_prefix(1, 3);
  EXPECT_EQ(add(far[0], 0s, false, groups), RoutingTable::Outcome::added);
  EXPECT_EQ(add(far[1], 0s, false, groups), RoutingTable::Outcome::added);
  EXPECT_EQ(add(far[2], 0s, false, groups), RoutingTable::Outcome::not_diverse);
  EXPECT_EQ(add(near[0], 0s, false, groups), RoutingTable::Outcome::added);
  EXPECT_EQ(add(near[1], 0s, false, groups), RoutingTable::Outcome::not_diverse);
  EXPECT_EQ(add(near[1], 0s, false, {group("1.3.3.4"), 0}), RoutingTable::Outcome::added);
  table.remove(peer(far[0]));
  EXPECT_EQ(add(near[2], 0s, false, groups), RoutingTable::Outcome::added);
}

TEST_F(DiversityTest, WhoWasSeenNowhereIsNotTaken) {
  EXPECT_EQ(add(1, 0s, false, {}), RoutingTable::Outcome::not_diverse);
}

TEST(Candidates, AreSortedAndBoundedAndKeepTheirFirstHops) {
  const auto target = key_of(peer(0));
  Candidates candidates(target, 50);
  for (std::uint64_t i = 1; i <= 200; ++i) candidates.add(peer(i), {}, i);
  std::vector<Key> distances;
  for (std::uint64_t i = 1; i <= 200; ++i) distances.push_back(distance(key_of(peer(i)), target));
  std::ranges::sort(distances);
  ASSERT_EQ(candidates.all().size(), 50u);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(candidates.all()[i].far, distances[i]);
  const auto closest = candidates.all().front();
  candidates.add(closest.peer, {}, 1000);
  EXPECT_EQ(candidates.all().front().hops, closest.hops);
}

TEST(Candidates, FailedOnesDoNotCountAmongTheClosest) {
  Candidates candidates(key_of(peer(0)), 50);
  for (std::uint64_t i = 1; i <= 5; ++i) candidates.add(peer(i), {}, 0);
  std::vector<PeerId> order;
  for (const auto& each : candidates.all()) order.push_back(each.peer);
  candidates.find(order[0])->stage = Candidate::Stage::failed;
  candidates.find(order[1])->stage = Candidate::Stage::answered;
  EXPECT_THAT(candidates.among_closest(2, Candidate::Stage::heard), ElementsAre(order[2]));
  EXPECT_THAT(candidates.among_closest(1, Candidate::Stage::heard), IsEmpty());
  EXPECT_THAT(candidates.closest(Candidate::Stage::heard, 2), ElementsAre(order[2], order[3]));
}

}  // namespace
}  // namespace flaresim::kademlia
