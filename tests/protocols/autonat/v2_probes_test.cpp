#include "protocols/autonat/v2_probes.h"

#include <gmock/gmock.h>

#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using swarm::Reachability;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr io::TimePoint start{};

/// In the order of their bytes.
Multiaddr address(int number) { return parsed("/ip4/8.8.8.8/tcp/" + std::to_string(4000 + number)); }

struct V2ProbesTest : testing::Test {
  void track(int count) {
    std::vector<Multiaddr> addresses;
    for (int i = count; i > 0; --i) addresses.push_back(address(i));
    probes.track(addresses);
  }
  /// Runs the next probe, whose first address turns out to be reachable or not; false when there is none.
  bool probe(bool reachable, io::TimePoint at = start) {
    const auto next = probes.next(at);
    if (next.empty()) return false;
    probes.begin(next);
    probes.end(next, {next.front(), reachable}, at);
    return true;
  }
  /// The outcomes in turn; how many of them were wanted.
  int run(std::initializer_list<bool> outcomes, io::TimePoint at = start) {
    int ran = 0;
    for (const bool reachable : outcomes) ran += probe(reachable, at) ? 1 : 0;
    return ran;
  }
  Reachability verdict(io::TimePoint at = start) { return probes.verdicts(at).at(address(1)); }

  V2Probes probes{V2ClientProfile()};
};

TEST_F(V2ProbesTest, ThreeSuccessesAreEnough) {
  track(1);
  EXPECT_EQ(verdict(), Reachability::unknown);
  EXPECT_EQ(run({true}), 1);
  EXPECT_EQ(verdict(), Reachability::unknown);
  EXPECT_EQ(run({true}), 1);
  EXPECT_EQ(verdict(), Reachability::reachable);
  EXPECT_EQ(run({true, true}), 1);
}

TEST_F(V2ProbesTest, ThreeFailuresAreEnough) {
  track(1);
  EXPECT_EQ(run({false, false, false, false}), 3);
  EXPECT_EQ(verdict(), Reachability::unreachable);
}

TEST_F(V2ProbesTest, SuccessesAndFailuresCancelOut) {
  track(1);
  EXPECT_EQ(run({true, false, true, false}), 4);
  EXPECT_EQ(verdict(), Reachability::unknown);
  EXPECT_EQ(run({true, true, true, true}), 3);  // of the last five: T F T T T
  EXPECT_EQ(verdict(), Reachability::reachable);
}

TEST_F(V2ProbesTest, OnlyTheLastFiveOutcomesCount) {
  track(1);
  EXPECT_EQ(run({true, true, true}), 3);
  EXPECT_EQ(run({false}, start + 61min), 1);
  EXPECT_EQ(verdict(start + 61min), Reachability::reachable);
  EXPECT_EQ(run({false}, start + 61min), 1);
  EXPECT_EQ(verdict(start + 61min), Reachability::unknown);
  EXPECT_EQ(run({false, false, false, false}, start + 61min), 2);  // T F F F F, with confidence 3
  EXPECT_EQ(verdict(start + 61min), Reachability::unreachable);
}

TEST_F(V2ProbesTest, AsksAgainAfterAnHour) {
  track(1);
  EXPECT_EQ(run({true, true, true}), 3);
  EXPECT_THAT(probes.next(start + 1h), IsEmpty());
  EXPECT_THAT(probes.next(start + 1h + 1ns), SizeIs(1));
}

TEST_F(V2ProbesTest, AsksOnceMoreWhenTheLastOutcomeSurprises) {
  track(1);
  EXPECT_EQ(run({true, true, true}), 3);
  EXPECT_EQ(run({true}, start + 61min), 1);
  EXPECT_EQ(run({false}, start + 122min), 1);  // T T T T F: confidence 3, and yet
  EXPECT_THAT(probes.next(start + 122min), SizeIs(1));
  EXPECT_EQ(run({true}, start + 122min), 1);
  EXPECT_THAT(probes.next(start + 122min), IsEmpty());
}

TEST_F(V2ProbesTest, OutcomesLastFiveHours) {
  track(1);
  EXPECT_EQ(run({true, true, true}), 3);
  EXPECT_EQ(verdict(start + 5h), Reachability::reachable);
  EXPECT_EQ(verdict(start + 5h + 1ns), Reachability::unknown);
}

TEST_F(V2ProbesTest, AsManyProbesRunAtOnceAsAreNeeded) {
  track(1);
  for (int i = 0; i < 3; ++i) {
    const auto next = probes.next(start);
    ASSERT_THAT(next, ElementsAre(address(1)));
    probes.begin(next);
  }
  EXPECT_THAT(probes.next(start), IsEmpty());
  probes.end({address(1)});
  EXPECT_THAT(probes.next(start), SizeIs(1));
}

TEST_F(V2ProbesTest, TheFirstAddressComesFirstAndAtMostTenAreNamed) {
  track(12);
  const auto next = probes.next(start);
  ASSERT_THAT(next, SizeIs(10));
  EXPECT_EQ(next[0], address(1));
  EXPECT_EQ(next[9], address(10));
}

TEST_F(V2ProbesTest, TheNextAddressLeadsWhenEnoughProbesOfTheFirstRun) {
  track(3);
  for (int i = 0; i < 3; ++i) probes.begin(probes.next(start));
  EXPECT_THAT(probes.next(start), ElementsAre(address(2), address(3), address(1)));
}

TEST_F(V2ProbesTest, AtMostFiftyAddressesAreTracked) {
  track(60);
  EXPECT_THAT(probes.verdicts(start), SizeIs(50));
}

TEST_F(V2ProbesTest, AnAddressThatComesBackIsNew) {
  track(2);
  EXPECT_EQ(run({true, true, true}), 3);
  EXPECT_TRUE(probes.tracks({address(1), address(2)}));
  EXPECT_FALSE(probes.tracks({address(2)}));
  EXPECT_FALSE(probes.tracks({address(2), address(3)}));
  probes.track({address(2)});
  EXPECT_THAT(probes.verdicts(start), SizeIs(1));
  track(2);
  EXPECT_EQ(verdict(), Reachability::unknown);
}

TEST_F(V2ProbesTest, AnotherAddressThanTheFirstMayBeTheOneThatIsDialled) {
  track(2);
  const auto next = probes.next(start);
  probes.begin(next);
  probes.end(next, {address(2), true}, start);
  EXPECT_EQ(run({true, true, true}), 3);  // all three for the first, which none had dialled
  EXPECT_EQ(verdict(), Reachability::reachable);
  EXPECT_THAT(probes.next(start), ElementsAre(address(2)));
}

TEST_F(V2ProbesTest, AnAddressThatNobodyDialsRestsForTenMinutes) {
  track(1);
  for (int i = 0; i < 5; ++i) {
    const auto next = probes.next(start);
    ASSERT_THAT(next, SizeIs(1));
    probes.begin(next);
    probes.end_refused(next, start);
  }
  EXPECT_THAT(probes.next(start + 10min - 1ns), IsEmpty());
  EXPECT_THAT(probes.next(start + 10min), SizeIs(1));
}

TEST_F(V2ProbesTest, AnAddressThatStaysUnclearRestsAfterTenDials) {
  track(1);
  int dials = 0;
  while (dials < 20 && probe(dials % 2 == 0)) ++dials;
  EXPECT_EQ(dials, 10);
  EXPECT_EQ(verdict(), Reachability::unknown);
  EXPECT_THAT(probes.next(start + 10min), IsEmpty());
  EXPECT_THAT(probes.next(start + 10min + 1ns), SizeIs(1));
}

TEST_F(V2ProbesTest, AResultForAnAddressThatIsGoneIsForgotten) {
  track(1);
  const auto next = probes.next(start);
  probes.begin(next);
  probes.track({});
  probes.end(next, {address(1), true}, start);
  EXPECT_THAT(probes.verdicts(start), IsEmpty());
}

}  // namespace
}  // namespace flaresim::autonat
