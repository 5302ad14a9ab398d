#include "protocols/autonat/v2_limits.h"

#include <gtest/gtest.h>

#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using multiformats::PeerId;

constexpr io::TimePoint start{};

PeerId peer_number(int number) {
  const auto key = std::to_string(number);
  return PeerId::from_public_key_message(io::as_bytes(key));
}

struct V2LimitsTest : testing::Test {
  /// How many of these requests are taken; each ends at once.
  int taken(int count, int peer, io::TimePoint at) {
    int out = 0;
    for (int i = 0; i < count; ++i) {
      if (!limits.begin(peer_number(peer), at)) continue;
      ++out;
      limits.end(peer_number(peer));
    }
    return out;
  }
  V2Limits limits{V2ServerProfile()};
};

TEST_F(V2LimitsTest, APeerHasTwelveRequestsAMinute) {
  EXPECT_EQ(taken(13, 1, start), 12);
  EXPECT_EQ(taken(1, 1, start + 59s), 0);
  EXPECT_EQ(taken(13, 1, start + 60s), 12);
}

TEST_F(V2LimitsTest, TheMinuteSlides) {
  EXPECT_EQ(taken(6, 1, start), 6);
  EXPECT_EQ(taken(7, 1, start + 30s), 6);
  EXPECT_EQ(taken(7, 1, start + 60s), 6);
  EXPECT_EQ(taken(1, 1, start + 89s), 0);
}

TEST_F(V2LimitsTest, AllTogetherHaveSixtyRequestsAMinute) {
  int sum = 0;
  for (int peer = 1; peer <= 6; ++peer) sum += taken(11, peer, start);
  EXPECT_EQ(sum, 60);
  EXPECT_EQ(taken(1, 7, start + 60s), 1);
}

TEST_F(V2LimitsTest, APeerHasTwoRequestsAtATime) {
  EXPECT_TRUE(limits.begin(peer_number(1), start));
  EXPECT_TRUE(limits.begin(peer_number(1), start));
  EXPECT_FALSE(limits.begin(peer_number(1), start));
  EXPECT_TRUE(limits.begin(peer_number(2), start));
  limits.end(peer_number(1));
  EXPECT_TRUE(limits.begin(peer_number(1), start + 2min));
  EXPECT_FALSE(limits.begin(peer_number(1), start + 2min));
}

TEST_F(V2LimitsTest, DialDataIsAskedForTwelveTimesAMinute) {
  for (int i = 0; i < 12; ++i) EXPECT_TRUE(limits.take_dial_data(start));
  EXPECT_FALSE(limits.take_dial_data(start + 59s));
  EXPECT_TRUE(limits.take_dial_data(start + 60s));
}

}  // namespace
}  // namespace flaresim::autonat
