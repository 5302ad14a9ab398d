#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

/// What an observer with eyes on both sides of a box knows about UDP through it, in plain maps and scans.
class Observer {
 public:
  explicit Observer(const Behaviour& behaviour) : behaviour_(behaviour) {}

  /// Invariant 1, and the mapping rule: which remotes must see the same outside endpoint.
  void sent(const Host& inside, const Host& remote, const Host& outside, Time now) {
    const auto [tuple, fresh_tuple] = last_sender_.try_emplace({outside, remote}, inside, now);
    if (!fresh_tuple && tuple->second.second > now - timeout()) {
      EXPECT_EQ(tuple->second.first, inside) << outside << " towards " << remote << " is shared";
    }
    tuple->second = {inside, now};
    contacts_[outside][remote] = now;
    const auto [mapped, fresh_mapping] =
        last_mapped_.try_emplace({inside, mapping_key(remote)}, outside, now);
    if (!fresh_mapping && mapped->second.second > now - timeout()) {
      EXPECT_EQ(mapped->second.first, outside) << inside << " towards " << remote << " moved";
    }
    mapped->second = {outside, now};
  }

  /// A remote that the outside endpoint has sent to within the timeout must come in; one that only has the same filter
  /// key may; anyone else may not.
  bool must_let_in(const Host& outside, const Host& remote, Time now) const {
    const auto contacts = contacts_.find(outside);
    if (contacts == contacts_.end()) return false;
    const auto contact = contacts->second.find(remote);
    return contact != contacts->second.end() && contact->second > now - timeout();
  }
  bool may_let_in(const Host& outside, const Host& remote, Time now) const {
    const auto contacts = contacts_.find(outside);
    if (contacts == contacts_.end()) return false;
    for (const auto& [contacted, when] : contacts->second)
      if (when > now - timeout() && filter_key(contacted) == filter_key(remote)) return true;
    return false;
  }

 private:
  Host mapping_key(const Host& remote) const {
    if (behaviour_.udp.mapping == Mapping::endpoint_independent) return {};
    return behaviour_.udp.mapping == Mapping::address_dependent ? Host{remote.address, 0} : remote;
  }
  Host filter_key(const Host& remote) const {
    if (behaviour_.udp.filtering == Filtering::endpoint_independent) return {};
    return behaviour_.udp.filtering == Filtering::address_dependent ? Host{remote.address, 0} : remote;
  }
  Time timeout() const { return std::chrono::duration_cast<Time>(behaviour_.udp_timeout); }

  Behaviour behaviour_;
  std::map<std::pair<Host, Host>, std::pair<Host, Time>> last_sender_;
  std::map<std::pair<Host, Host>, std::pair<Host, Time>> last_mapped_;
  std::map<Host, std::map<Host, Time>> contacts_;
};

using Kind = std::tuple<const char*, const char*, const char*>;
class NatProperty : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Nat, NatProperty,
                         testing::Combine(testing::Values("EIM", "ADM", "APDM"),
                                          testing::Values("EIF", "ADF", "APDF"),
                                          testing::Values("preserve", "sequential", "random")));

TEST_P(NatProperty, HoldsOverRandomTraffic) {
  const auto [mapping, filtering, ports] = GetParam();
  // Only outbound packets refresh, so the observer knows every timer.
  Rig rig(std::string(mapping) + "/" + filtering + "/" + ports + ",udp_timeout=10s");
  Observer observer(rig.nat.behaviour());
  std::mt19937 random(7);
  const auto host = [&](const std::string& net, unsigned hosts, unsigned first, unsigned count) {
    return Host{net + std::to_string(1 + random() % hosts),
                static_cast<std::uint16_t>(first + random() % count)};
  };
  std::vector<Host> outsides;
  int strangers = 0, passed = 0;
  for (int i = 0; i < 8000; ++i) {
    rig.wait(Time(random() % 20'000'000));  // 10 ms in the middle, so a timeout is about 1 000 packets
    const Host remote = host("203.0.113.", 4, 1000, 3);
    if (i % 2 == 0) {
      const Host inside = host("10.0.0.", 5, 5000, 3);
      const auto outside = rig.out(inside, remote);
      ASSERT_TRUE(outside);
      observer.sent(inside, remote, *outside, rig.now);
      outsides.push_back(*outside);
      ASSERT_EQ(rig.in(remote, *outside), inside) << "a reply must return";
    } else {
      const Host target =
          outsides[outsides.size() - 1 - random() % std::min<std::size_t>(outsides.size(), 1500)];
      const bool in = rig.in(remote, target).has_value();
      ++(in ? passed : strangers);
      EXPECT_TRUE(in || !observer.must_let_in(target, remote, rig.now)) << remote << " to " << target;
      EXPECT_TRUE(!in || observer.may_let_in(target, remote, rig.now)) << remote << " to " << target;
    }
  }
  EXPECT_GT(passed, 100);
  EXPECT_TRUE(strangers > 50 || std::string(filtering) == "EIF");
  rig.wait(10s);
  EXPECT_EQ(rig.size(), 0u);
}

#ifdef __SANITIZE_ADDRESS__
constexpr bool counts_heap = false;  // the sanitizer's own malloc does not tell
#else
constexpr bool counts_heap = true;
#endif

std::size_t heap_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

TEST(NatMemory, IsGivenBackWhenEverythingHasExpired) {
  if (!counts_heap) GTEST_SKIP();
  for (const auto* kind : {"EIM/EIF/random", "EIM/ADF/random", "APDM/APDF/preserve,reply=session", "linux"}) {
    Rig rig(kind);
    rig.out({"10.0.0.2", 1}, {"203.0.113.1", 1});  // a table is made when it is needed
    rig.wait(400s);
    ASSERT_EQ(rig.size(), 0u);
    const std::size_t before = heap_bytes();
    for (std::uint16_t i = 1; i <= 20000; ++i) {
      rig.out({"10.0.0.2", i}, {"203.0.113.1", i});
      rig.in({"203.0.113.2", i}, {outside_address, i});
    }
    EXPECT_GT(heap_bytes(), before + 1000000);
    rig.wait(400s);
    EXPECT_EQ(rig.size(), 0u);
    rig.last = {};
    EXPECT_LE(heap_bytes(), before + 20000) << kind;  // of 4 MB; malloc keeps some small blocks
  }
}

TEST(NatMemory, IsAbout200BytesAMapping) {
  if (!counts_heap) GTEST_SKIP();
  for (const auto* kind :
       {"EIM/EIF/random", "EIM/ADF/random", "EIM/APDF/random", "APDM/APDF/preserve", "linux"}) {
    Rig rig(kind);
    const std::size_t before = heap_bytes();
    Bytes packet = udp({"10.0.0.2", 1}, {"203.0.113.1", 1});
    for (std::uint32_t i = 0; i < 30000; ++i) {
      const Bytes original = packet;
      write16(packet, 20, static_cast<std::uint16_t>(i + 1));
      write16(packet, 22, static_cast<std::uint16_t>(i + 1));
      ASSERT_TRUE(rig.nat.outbound(packet, rig.now).forward);
      packet = original;
    }
    EXPECT_EQ(rig.size(), 30000u);
    const std::size_t bytes = (heap_bytes() - before) / 30000;
    EXPECT_LE(bytes, 200u) << kind;
    RecordProperty(kind, static_cast<int>(bytes));
  }
}

}  // namespace
}  // namespace flaresim::nat::test
