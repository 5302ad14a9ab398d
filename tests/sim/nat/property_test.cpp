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
      EXPECT_TRUE(mapped->second.first == outside || behaviour_.udp.reply == Reply::session)
          << inside << " towards " << remote << " moved";
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

struct Seen {
  int passed = 0, strangers = 0;
};

/// Random traffic both ways, in which only outbound packets refresh, so that the observer knows every timer.
/// `steps` packets go out or come in unasked, and every one that goes out is answered.
void observe(const std::string& kind, unsigned seed, int steps, Seen& seen) {
  SCOPED_TRACE(kind);
  Rig rig(kind + ",udp_timeout=10s", seed);
  Observer observer(rig.nat.behaviour());
  std::mt19937 random(seed);
  const auto host = [&](const std::string& net, unsigned hosts, unsigned first, unsigned count) {
    return Host{net + std::to_string(1 + random() % hosts),
                static_cast<std::uint16_t>(first + random() % count)};
  };
  std::vector<Host> outsides;
  for (int i = 0; i < steps; ++i) {
    rig.wait(Time(random() % 20'000'000));  // 10 ms in the middle, so a timeout is about 1 000 packets
    const Host remote = host("203.0.113.", 4, 1000, 3);
    if (i % 2 == 0) {
      const Host inside = host("10.0.0.", 5, 5000, 3);
      const auto outside = rig.out(inside, remote);
      if (!outside) {
        ASSERT_EQ(rig.last.rule, Rule::no_port);
        ASSERT_EQ(rig.nat.behaviour().udp.contention, Contention::drop);
        continue;
      }
      observer.sent(inside, remote, *outside, rig.now);
      outsides.push_back(*outside);
      ASSERT_EQ(rig.in(remote, *outside), inside) << "a reply must return";
    } else if (!outsides.empty()) {
      const Host target =
          outsides[outsides.size() - 1 - random() % std::min<std::size_t>(outsides.size(), 1500)];
      const bool in = rig.in(remote, target).has_value();
      ++(in ? seen.passed : seen.strangers);
      EXPECT_TRUE(in || !observer.must_let_in(target, remote, rig.now)) << remote << " to " << target;
      EXPECT_TRUE(!in || observer.may_let_in(target, remote, rig.now)) << remote << " to " << target;
    }
    if (testing::Test::HasFailure()) return;
  }
  rig.wait(10s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST_P(NatProperty, HoldsOverRandomTraffic) {
  const auto [mapping, filtering, ports] = GetParam();
  Seen seen;
  observe(std::string(mapping) + "/" + filtering + "/" + ports, 7, 8000, seen);
  EXPECT_GT(seen.passed, 100);
  EXPECT_TRUE(seen.strangers > 50 || std::string(filtering) == "EIF");
}

/// One word of every axis that says which port a mapping gets and who comes in.
std::string random_behaviour(std::mt19937& random) {
  const std::vector<std::vector<std::string>> axes = {
      {"EIM", "ADM", "APDM"},
      {"/EIF", "/ADF", "/APDF"},
      {"/preserve", "/sequential", "/random"},
      {"", ",contention=sequential", ",contention=drop"},
      {"", ",step=2", ",step=17"},
      {"", ",parity=on"},
      {"", ",contiguity=on"},
      {"", ",port_range=4990-6000", ",port_block=16,port_blocks=8"},
      {"", ",reply=session"},
      {"", ",reuse=on", ",port_classes=on"},
      {"", ",hairpin=external", ",echo=answer"},
      {"", ",unsolicited=icmp", ",unsolicited=delayed-icmp", ",unsolicited=reset"},
      {"", ",max_mappings=1000,when_full=evict-oldest",
       ",max_mappings_per_host=1000,when_full=evict-oldest"}};
  std::string text;
  for (const auto& words : axes) text += words[random() % words.size()];
  return text;
}

void observe_random_behaviours(int count, int steps) {
  std::mt19937 random(20);
  Seen seen;
  for (int i = 0; i < count && !testing::Test::HasFailure(); ++i)
    observe(random_behaviour(random), static_cast<unsigned>(i), steps, seen);
  EXPECT_GT(seen.passed, 20 * count);
  EXPECT_GT(seen.strangers, 20 * count);
}

TEST(NatRandomBehaviours, HoldOverRandomTraffic) { observe_random_behaviours(60, 2000); }

TEST(NatRandomBehavioursLong, HoldOverAMillionPackets) { observe_random_behaviours(250, 4000); }

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
    EXPECT_LE(heap_bytes(), before + 40000) << kind;  // of 4 MB; malloc keeps some small blocks
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
