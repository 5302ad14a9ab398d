#include <gtest/gtest.h>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, y{"10.0.0.3", 5000};
const Host a1{"203.0.113.1", 1000}, b1{"203.0.113.2", 1000}, router{"192.0.2.9", 0};
const Host outside{outside_address, 0};

// RFC 5508 §3: queries

TEST(NatIcmp, TranslatesTheIdentifierOfAnEchoBothWays) {
  Rig rig("EIM/APDF/random");
  Bytes request = echo_request(x, a1, 77);
  ASSERT_TRUE(rig.outbound(request).forward);
  const Host mapped = read(request).source;
  EXPECT_EQ(mapped.address, outside_address);
  EXPECT_NE(mapped.port, 77);
  Bytes reply = echo_reply(a1, outside, mapped.port);
  ASSERT_TRUE(rig.inbound(reply).forward);
  EXPECT_EQ(read(reply).destination, (Host{"10.0.0.2", 77}));
}

TEST(NatIcmp, KeepsTwoPingersApart) {
  Rig rig("EIM/APDF/preserve");
  Bytes first = echo_request(x, a1, 77), second = echo_request(y, a1, 77);
  rig.outbound(first);
  rig.outbound(second);
  EXPECT_EQ(read(first).source.port, 77);
  EXPECT_NE(read(second).source.port, 77);
  Bytes reply = echo_reply(a1, outside, read(second).source.port);
  ASSERT_TRUE(rig.inbound(reply).forward);
  EXPECT_EQ(read(reply).destination, (Host{"10.0.0.3", 77}));
}

TEST(NatIcmp, FiltersEchoRepliesByTheirAddress) {
  for (const auto* filtering : {"ADF", "APDF"}) {
    Rig rig(std::string("EIM/") + filtering);
    Bytes request = echo_request(x, a1, 77);
    rig.outbound(request);
    Bytes stranger = echo_reply(b1, outside, 77), right = echo_reply(a1, outside, 77);
    EXPECT_FALSE(rig.inbound(stranger).forward) << filtering;
    EXPECT_TRUE(rig.inbound(right).forward) << filtering;
  }
}

TEST(NatIcmp, LetsNoEchoRequestInAndNoReplyOut) {
  Rig rig("EIM/EIF,unsolicited=icmp");
  Bytes out = echo_request(x, a1, 77);
  rig.outbound(out);
  Bytes in = echo_request(a1, outside, 77);
  EXPECT_FALSE(rig.inbound(in).forward);
  EXPECT_TRUE(rig.last.answer.empty());
  Bytes reply = echo_reply(x, a1, 5);
  EXPECT_FALSE(rig.outbound(reply).forward);
}

TEST(NatIcmp, RepliesDoNotExtendAQuery) {
  Rig rig("EIM/APDF,udp_refresh=both");
  Bytes request = echo_request(x, a1, 77);
  rig.outbound(request);
  rig.wait(50s);
  Bytes reply = echo_reply(a1, outside, 77);
  EXPECT_TRUE(rig.inbound(reply).forward);
  rig.wait(10s);
  EXPECT_EQ(rig.size(), 0u);
}

// RFC 5508 §4: errors

struct Sent {
  const char* what;
  Bytes inside;
};
std::vector<Sent> sent_packets() {
  return {{"udp", udp(x, a1, Bytes(33, 9))},
          {"tcp", tcp(x, a1, SYN, {.payload = {5}})},
          {"echo", echo_request(x, a1, 77)}};
}

TEST(NatIcmp, TranslatesAnErrorBackWithThePacketItQuotes) {
  for (const auto& sent : sent_packets())
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{3, 11, 12}) {
      Rig rig("APDM/APDF/random");
      Bytes outer = sent.inside;
      ASSERT_TRUE(rig.outbound(outer).forward);
      Bytes error = icmp_error(router, outside, type, 1, outer);
      ASSERT_TRUE(rig.inbound(error).forward) << sent.what;
      EXPECT_EQ(read(error).source.address, router.address);
      EXPECT_EQ(read(error).destination.address, x.address);
      EXPECT_EQ(read(quoted(error)).source, read(sent.inside).source);
      EXPECT_EQ(read(quoted(error)).destination, read(sent.inside).destination);
      Bytes as_sent = sent.inside;
      --as_sent[8];  // the hop it took
      seal_ipv4(as_sent);
      EXPECT_EQ(quoted(error), as_sent) << sent.what;
    }
}

TEST(NatIcmp, TranslatesAnErrorThatQuotesEightBytesOnly) {
  for (const auto& sent : sent_packets()) {
    Rig rig("APDM/APDF/random");
    Bytes outer = sent.inside;
    rig.outbound(outer);
    outer.resize(28);
    Bytes error = icmp_error(router, outside, 3, 1, outer);
    ASSERT_TRUE(rig.inbound(error).forward) << sent.what;
    Bytes header = quoted(error);
    EXPECT_EQ(header.size(), 28u);
    EXPECT_EQ(Bytes(header.begin() + 12, header.end() - 8), Bytes({10, 0, 0, 2, 203, 0, 113, 1}));
    EXPECT_TRUE(std::string(sent.what) == "echo" || read16(header, 20) == x.port);
  }
}

TEST(NatIcmp, DropsErrorsAboutPacketsThatAreNotOurs) {
  Rig rig("EIM/EIF");
  Bytes ours = udp(x, a1);
  rig.outbound(ours);
  Bytes other_port = icmp_error(router, outside, 3, 1, udp({outside_address, 6000}, a1));
  EXPECT_EQ(rig.inbound(other_port).rule, Rule::no_mapping);
  Bytes other_remote = icmp_error(router, outside, 3, 1, udp({outside_address, 5000}, b1));
  EXPECT_EQ(rig.inbound(other_remote).rule, Rule::no_mapping);
  Bytes other_transport = icmp_error(router, outside, 3, 1, tcp({outside_address, 5000}, a1, SYN));
  EXPECT_EQ(rig.inbound(other_transport).rule, Rule::no_mapping);
  Bytes other_host = icmp_error(router, outside, 3, 1, udp({"198.51.100.2", 5000}, a1));
  EXPECT_EQ(rig.inbound(other_host).rule, Rule::no_mapping);
}

TEST(NatIcmp, AnErrorNeitherRefreshesNorEndsAMapping) {
  Rig rig("EIM/APDF,udp_timeout=30s,udp_refresh=both");
  Bytes ours = udp(x, a1);
  rig.outbound(ours);
  rig.wait(20s);
  Bytes error = icmp_error(router, outside, 3, 1, ours);
  EXPECT_TRUE(rig.inbound(error).forward);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(10s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatIcmp, TranslatesAnErrorFromInsideAboutWhatCameIn) {
  Rig rig("EIM/APDF/random");
  const auto mapped = rig.out(x, a1);
  const Bytes before = udp(a1, *mapped, Bytes(21, 4));
  Bytes arrived = before;
  ASSERT_TRUE(rig.inbound(arrived).forward);
  Bytes error = icmp_error(x, a1, 3, 3, arrived);
  ASSERT_TRUE(rig.outbound(error).forward);
  EXPECT_EQ(read(error).source.address, outside_address);
  EXPECT_EQ(read(error).destination.address, a1.address);
  EXPECT_EQ(read(quoted(error)).destination, *mapped);
  EXPECT_EQ(read(quoted(error)).source, a1);
}

TEST(NatIcmp, DropsErrorsFromInsideAboutNothing) {
  Rig rig("EIM/APDF");
  Bytes error = icmp_error(x, a1, 3, 3, udp(a1, x));
  EXPECT_EQ(rig.outbound(error).rule, Rule::no_mapping);
  rig.out(x, b1);
  error = icmp_error(x, a1, 3, 3, udp(a1, x));
  EXPECT_EQ(rig.outbound(error).rule, Rule::filtered);
}

TEST(NatIcmp, TranslatesNoOtherMessages) {
  Rig rig("full-cone");
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{4, 5, 13, 17}) {
    Bytes packet = icmp_error(x, a1, type, 0, {});
    EXPECT_EQ(rig.outbound(packet).rule, Rule::unsupported) << int{type};
  }
}

// Checksums

TEST(NatChecksums, AnAbsentUdpChecksumStaysAbsent) {
  Rig rig("EIM/EIF/random");
  Bytes packet = udp(x, a1);
  write16(packet, 26, 0);
  ASSERT_TRUE(rig.outbound(packet).forward);
  EXPECT_EQ(read16(packet, 26), 0);
}

TEST(NatChecksums, HoldForEveryPayload) {
  Rig rig("EIM/EIF/random");
  for (std::uint32_t i = 0; i < 70000;
       ++i) {  // every value of the checksum, the one that is sent as all ones too
    const Bytes payload = {static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 1};
    Bytes packet = i % 2 ? udp(x, a1, payload) : tcp(x, a1, SYN, {.payload = payload});
    ASSERT_TRUE(rig.outbound(packet).forward);
    ASSERT_TRUE(checksums_valid(packet)) << i;
  }
}

TEST(NatChecksums, AWrongOneStaysWrong) {
  Rig rig("EIM/EIF/random");
  Bytes packet = udp(x, a1);
  packet.back() ^= 1;
  EXPECT_TRUE(rig.nat.outbound(packet, 0s).forward);
  EXPECT_FALSE(checksums_valid(packet));
}

}  // namespace
}  // namespace flaresim::nat::test
