#include "protocols/io/network.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace flaresim::io {
namespace {

IpAddress address(const char* text) { return boost::asio::ip::make_address(text); }

// First and last address of each block that the IANA registries mark as not globally reachable.
TEST(IsPublic, SpecialPurposeIpv4BlocksAreNot) {
  for (const auto* text :
       {"0.0.0.0",         "0.255.255.255",  "10.0.0.0",        "10.255.255.255", "100.64.0.0",
        "100.127.255.255", "127.0.0.0",      "127.255.255.255", "169.254.0.0",    "169.254.255.255",
        "172.16.0.0",      "172.31.255.255", "192.0.0.0",       "192.0.0.255",    "192.0.2.0",
        "192.0.2.255",     "192.88.99.0",    "192.88.99.255",   "192.168.0.0",    "192.168.255.255",
        "198.18.0.0",      "198.19.255.255", "198.51.100.0",    "198.51.100.255", "203.0.113.0",
        "203.0.113.255",   "224.0.0.0",      "239.255.255.255", "240.0.0.0",      "255.255.255.255"})
    EXPECT_FALSE(is_public(address(text))) << text;
}

TEST(IsPublic, TheirIpv4NeighboursAre) {
  for (const auto* text :
       {"1.0.0.0",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0",       "169.253.255.255", "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",      "191.255.255.255", "192.0.1.0",       "192.0.3.0",      "192.88.98.255",
        "192.88.100.0",    "192.167.255.255", "192.169.0.0",     "198.17.255.255", "198.20.0.0",
        "198.51.99.255",   "198.51.101.0",    "203.0.112.255",   "203.0.114.0",    "223.255.255.255",
        "8.8.8.8"})
    EXPECT_TRUE(is_public(address(text))) << text;
}

TEST(IsPublic, SpecialPurposeIpv6BlocksAreNot) {
  for (const auto* text : {"::", "::1", "::ffff:8.8.8.8", "100::1", "2001::1",
                           "2001:1ff:ffff::", "2001:db8::1", "2001:db8:ffff:ffff::", "2002:808:808::1",
                           "fc00::1", "fdff::1", "fe80::1", "febf::1", "ff02::1", "1fff:ffff::", "4000::"})
    EXPECT_FALSE(is_public(address(text))) << text;
}

TEST(IsPublic, TheirIpv6NeighboursAre) {
  for (const auto* text : {"2000::1", "2001:200::1", "2001:db7:ffff::", "2001:db9::", "2003::1",
                           "2606:4700::1111", "3fff:ffff::"})
    EXPECT_TRUE(is_public(address(text))) << text;
}

TEST(Endpoint, IsWrittenAsInUrls) {
  EXPECT_EQ(to_string(Endpoint{address("192.0.2.1"), 4001}), "192.0.2.1:4001");
  EXPECT_EQ(to_string(Endpoint{address("2001:db8::1"), 4001}), "[2001:db8::1]:4001");
}

TEST(Endpoint, IsOrderedByAddressThenPort) {
  const Endpoint low{address("192.0.2.1"), 9};
  const Endpoint middle{address("192.0.2.2"), 1};
  const Endpoint high{address("192.0.2.2"), 2};
  EXPECT_TRUE(low < middle && middle < high && !(high < middle) && !(low < low));
}

}  // namespace
}  // namespace flaresim::io
