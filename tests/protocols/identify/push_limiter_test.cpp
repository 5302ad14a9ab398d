#include "protocols/identify/push_limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace flaresim::identify {
namespace {

using namespace std::chrono_literals;

// The numbers are those of go-libp2p p2p/protocol/identify/id.go.
struct PushLimiterTest : testing::Test {
  bool takes(const std::string& from, io::Duration at = 0s) {
    return limiter.take(boost::asio::ip::make_address(from), io::TimePoint(at));
  }
  /// How many of these pushes are taken.
  int taken(int count, const std::string& from, io::Duration at = 0s) {
    int out = 0;
    for (int i = 0; i < count; ++i) out += takes(from, at) ? 1 : 0;
    return out;
  }
  /// Pushes from as many /24, all at once.
  int taken_of_subnets(int count, io::Duration at) {
    int out = 0;
    for (int i = 0; i < count; ++i) {
      out += takes("20." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".1", at) ? 1 : 0;
    }
    return out;
  }

  PushLimiter limiter{PushLimits()};
};

TEST_F(PushLimiterTest, TakesTenAtOnceFromAnIpv4Subnet) {
  EXPECT_EQ(taken(5, "8.8.8.1"), 5);
  EXPECT_EQ(taken(6, "8.8.8.255"), 5);
  EXPECT_EQ(taken(1, "8.8.9.1"), 1);
}

TEST_F(PushLimiterTest, TakesOneMoreEveryFiveSeconds) {
  EXPECT_EQ(taken(11, "8.8.8.8"), 10);
  EXPECT_FALSE(takes("8.8.8.8", 5s - 1ns));
  EXPECT_EQ(taken(2, "8.8.8.8", 5s), 1);
  EXPECT_FALSE(takes("8.8.8.8", 10s - 1ns));
  EXPECT_EQ(taken(4, "8.8.8.8", 20s), 3);
}

TEST_F(PushLimiterTest, SavesNoMoreThanTen) {
  EXPECT_EQ(taken(1, "8.8.8.8"), 1);
  EXPECT_EQ(taken(11, "8.8.8.8", 1h), 10);
}

TEST_F(PushLimiterTest, CountsAnIpv6SiteByItsSlash56AndSlash48) {
  EXPECT_EQ(taken(11, "2a00:0:0:0100::1"), 10);
  EXPECT_FALSE(takes("2a00:0:0:01ff::1"));
  EXPECT_EQ(taken(11, "2a00:0:0:0200::1"), 10);
  EXPECT_FALSE(takes("2a00:0:0:0300::1"));  // the twenty of the /48 are gone
  EXPECT_EQ(taken(11, "2a00:0:1:0100::1"), 10);
}

TEST_F(PushLimiterTest, TakesOneMoreOfASlash48EveryTwoSeconds) {
  EXPECT_EQ(taken(10, "2a00:0:0:0100::1"), 10);
  EXPECT_EQ(taken(10, "2a00:0:0:0200::1"), 10);
  EXPECT_FALSE(takes("2a00:0:0:0300::1", 2s - 1ns));
  EXPECT_EQ(taken(2, "2a00:0:0:0400::1", 2s), 1);
}

TEST_F(PushLimiterTest, TakesThreeThousandOfAllAtOnceAndTwoThousandASecond) {
  EXPECT_EQ(taken_of_subnets(3001, 0s), 3000);
  EXPECT_FALSE(takes("8.8.8.8", 500us - 1ns));
  EXPECT_EQ(taken(2, "8.8.8.8", 500us), 1);
  EXPECT_EQ(taken_of_subnets(3000, 500us + 1s), 2000);
}

TEST_F(PushLimiterTest, WhatASubnetIsRefusedCostsTheOthersNothing) {
  EXPECT_EQ(taken(5000, "8.8.8.8"), 10);
  EXPECT_EQ(taken_of_subnets(2990, 0s), 2990);
}

TEST_F(PushLimiterTest, TakesAllOverLoopback) {
  EXPECT_EQ(taken(5000, "127.0.0.1"), 5000);
  EXPECT_EQ(taken(5000, "::1"), 5000);
  EXPECT_EQ(limiter.size(), 0u);
}

TEST_F(PushLimiterTest, WithoutAnIntervalThereIsNoLimit) {
  limiter = PushLimiter({.of_ipv4_24 = {0s, 0}, .of_all = {0s, 0}});
  EXPECT_EQ(taken(5000, "8.8.8.8"), 5000);
}

TEST_F(PushLimiterTest, ForgetsSubnetsWhoseBucketIsFull) {
  taken_of_subnets(2000, 0s);
  EXPECT_EQ(limiter.size(), 2000u);
  taken_of_subnets(3000, 5s);  // of which the first 2000 push for the second time
  EXPECT_LE(limiter.size(), 2 * 3000u);
  for (int minute = 1; minute <= 100; ++minute) {
    for (int i = 0; i < 100; ++i) {
      takes("30." + std::to_string(minute) + "." + std::to_string(i) + ".1", minute * 1min);
    }
  }
  EXPECT_LE(limiter.size(), 3000u);
}

}  // namespace
}  // namespace flaresim::identify
