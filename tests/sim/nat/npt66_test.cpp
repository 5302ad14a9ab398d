#include "sim/nat/npt66.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat {
namespace {

using test::Bytes;

Npt66 npt(const std::string& inside, const std::string& outside, unsigned bits) {
  return Npt66::make(test::address(inside), test::address(outside), bits).value();
}

// RFC 6296 §3.1-3.4 and appendix B.
TEST(Npt66, MapsThePublishedExample) {
  const auto translation = npt("fd01:203:405::", "2001:db8:1::", 48);
  EXPECT_EQ(translation.outside_of(test::address("fd01:203:405:1::1234")),
            test::address("2001:db8:1:d550::1234"));
  EXPECT_EQ(translation.inside_of(test::address("2001:db8:1:d550::1234")),
            test::address("fd01:203:405:1::1234"));
}

TEST(Npt66, LongerPrefixesAreMadeNeutralInTheInterfaceIdentifier) {
  const auto translation = npt("fd01:203:405:1::", "2001:db8:1:2::", 64);
  const auto outside = translation.outside_of(test::address("fd01:203:405:1::1234")).value();
  EXPECT_EQ(ones_sum(outside), ones_sum(test::address("fd01:203:405:1::1234")));
  EXPECT_EQ(translation.inside_of(outside), test::address("fd01:203:405:1::1234"));
  // The first word that is not all ones takes the difference.
  const auto skipped = translation.outside_of(test::address("fd01:203:405:1:ffff:2::1")).value();
  EXPECT_EQ(load16(skipped, 8), 0xffff);
  EXPECT_EQ(translation.inside_of(skipped), test::address("fd01:203:405:1:ffff:2::1"));
}

TEST(Npt66, WhatCannotBeUndoneIsNotDone) {
  EXPECT_FALSE(npt("fd01:203:405::", "2001:db8:1::", 48).outside_of(test::address("fd01:203:405:ffff::1")));
  const auto longer = npt("fd01:203:405:1::", "2001:db8:1:2::", 64);
  EXPECT_FALSE(longer.outside_of(test::address("fd01:203:405:1::")));
  EXPECT_FALSE(longer.outside_of(test::address("fd01:203:405:1:ffff:ffff:ffff:ffff")));
  EXPECT_FALSE(Npt66::make({}, {}, 65));
  EXPECT_FALSE(Npt66::make({}, {}, 0));
}

TEST(Npt66, EveryAddressComesBackAndNoSumChanges) {
  std::mt19937 random(1);
  for (const unsigned bits : {20u, 32u, 44u, 48u, 52u, 56u, 60u, 64u}) {
    const auto translation = npt("fd01:203:405:670::", "2001:db8:1:9ab0::", bits);
    for (int i = 0; i < 2000; ++i) {
      Address inside = test::address("fd01:203:405:670::");
      for (auto at = (bits + 7) / 8; at < 16; ++at)
        inside[at] = static_cast<std::uint8_t>(random() % 8 ? random() : 0xff);
      const auto outside = translation.outside_of(inside);
      if (!outside) continue;
      EXPECT_EQ(ones_sum(*outside), ones_sum(inside));
      // The one's complement zero has two forms: a word of all ones is taken for zero (§3.4).
      auto same = inside;
      const auto back = translation.inside_of(*outside);
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, same) << bits;
    }
  }
}

TEST(Npt66, PacketsKeepValidChecksumsAndErrorsAreAboutThePacketThatWasSent) {
  auto translation = npt("fd01:203:405::", "2001:db8:1::", 48);
  const test::Host inside{"fd01:203:405:1::1234", 1000}, outside{"2001:db8:1:d550::1234", 1000};
  const test::Host remote{"2001:db8:99::1", 53};
  const auto sent = translation.outbound(test::udp(inside, remote)).packets.at(0);
  EXPECT_EQ(sent, test::udp(outside, remote));
  EXPECT_EQ(translation.inbound(test::udp(remote, outside)).packets.at(0), test::udp(remote, inside));
  EXPECT_EQ(translation.inbound(test::icmp_error({"2001:db8:77::1", 0}, outside, 3, 0, sent)).packets.at(0),
            test::icmp_error({"2001:db8:77::1", 0}, inside, 3, 0, test::udp(inside, remote)));
  EXPECT_EQ(
      translation.outbound(test::icmp_error(inside, remote, 1, 4, test::udp(remote, inside))).packets.at(0),
      test::icmp_error(outside, remote, 1, 4, test::udp(remote, outside)));
  EXPECT_EQ(translation.outbound(test::udp(remote, inside)).outcome, Translated::Outcome::untouched);
  EXPECT_EQ(translation.outbound(test::udp({"10.0.0.1", 1}, {"10.0.0.2", 2})).outcome,
            Translated::Outcome::untouched);
}

TEST(Npt66, TakesAnyBytes) {
  auto translation = npt("fd01:203:405::", "2001:db8:1::", 48);
  const auto seed = test::icmp_error({"fd01:203:405:1::1", 0}, {"2001:db8:1:d550::1", 0}, 1, 4,
                                     test::udp({"2001:db8:99::1", 1}, {"fd01:203:405:1::1", 2}));
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = seed;
    for (int changes = 0; changes < 3; ++changes)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    bytes.resize(random() % (bytes.size() + 1));
    translation.outbound(bytes);
    translation.inbound(bytes);
  }
}

}  // namespace
}  // namespace flaresim::nat
