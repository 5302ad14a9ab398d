#include "sim/nat/translate46.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

#include "sim/nat/softwire.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::nat {
namespace {

using test::Bytes;
using test::Host;

Prefix64 prefix(const std::string& text, unsigned bits) {
  return Prefix64::make(test::address(text), bits).value();
}

// RFC 6052 §2.4, table 1 and §2.1.
TEST(Prefix64, WritesAddressesAsThePublishedTableDoes) {
  const auto v4 = test::address("192.0.2.33");
  const struct {
    const char* prefix;
    unsigned bits;
    const char* address;
  } table[] = {{"2001:db8::", 32, "2001:db8:c000:221::"},
               {"2001:db8:100::", 40, "2001:db8:1c0:2:21::"},
               {"2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"},
               {"2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"},
               {"2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"},
               {"2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"},
               {"64:ff9b::", 96, "64:ff9b::192.0.2.33"}};
  for (const auto& row : table) {
    const auto under = prefix(row.prefix, row.bits);
    EXPECT_EQ(under.embed(v4), test::address(row.address)) << row.address;
    EXPECT_EQ(under.extract(test::address(row.address)), v4) << row.address;
    EXPECT_EQ(under.extract(test::address("2001:db9::1")), std::nullopt);
  }
  EXPECT_EQ(Prefix64::well_known(), prefix("64:ff9b::", 96));
}

TEST(Prefix64, HasOneOfSixLengthsAndAZeroOctet) {
  for (const unsigned bits : {0u, 31u, 33u, 72u, 95u, 97u, 128u})
    EXPECT_FALSE(Prefix64::make(test::address("2001:db8::"), bits)) << bits;
  EXPECT_FALSE(Prefix64::make(test::address("2001:db8:0:0:ff00::"), 96));
}

/// Without what an IPv6 packet does not have.
Bytes without_identification(Bytes packet) {
  test::write16(packet, 4, 0);
  test::write16(packet, 6, 0);
  test::seal_ipv4(packet);
  return packet;
}

/// Every address under one prefix, as RFC 7915 appendix A has it.
struct Stateless : AddressMap {
  std::optional<Address> to_v4(const Address& v6) override { return under.extract(v6); }
  std::optional<Address> to_v6(const Address& v4) override { return under.embed(v4); }
  Prefix64 under = prefix("2001:db8:100::", 40);
};

/// H6 and H4 of RFC 7915 appendix A, by both of their addresses.
Host h6(std::uint16_t port = 0) { return {"2001:db8:1c0:2:21::", port}; }
Host h6_as_v4(std::uint16_t port = 0) { return {"192.0.2.33", port}; }
Host h4(std::uint16_t port = 0) { return {"198.51.100.2", port}; }
Host h4_as_v6(std::uint16_t port = 0) { return {"2001:db8:1c6:3364:2::", port}; }

struct Translation : testing::Test {
  Bytes to_v4(const Bytes& packet) { return only(translator.v6_to_v4(packet)); }
  Bytes to_v6(const Bytes& packet) { return only(translator.v4_to_v6(packet)); }
  static Bytes only(Translated result) {
    EXPECT_EQ(result.outcome, Translated::Outcome::translated) << to_string(result.rule);
    EXPECT_EQ(result.packets.size(), 1u);
    if (result.packets.size() != 1) return {};
    EXPECT_TRUE(test::checksums_valid(result.packets[0]));
    return result.packets[0];
  }
  static Rule rule_of(const Translated& result) {
    EXPECT_EQ(result.outcome, Translated::Outcome::dropped);
    EXPECT_TRUE(result.packets.empty());
    return result.rule;
  }

  Stateless addresses;
  Translator46 translator{addresses, {}};
};

TEST_F(Translation, UdpAndTcpAreTheSamePacketsInTheOtherVersion) {
  const Bytes payload(333, 7);
  EXPECT_EQ(without_identification(to_v4(test::udp(h6(1), h4_as_v6(2), payload, 9))),
            without_identification(test::udp(h6_as_v4(1), h4(2), payload, 9)));
  EXPECT_EQ(to_v6(test::udp(h4(2), h6_as_v4(1), payload, 9)), test::udp(h4_as_v6(2), h6(1), payload, 9));
  const test::TcpFields fields{.sequence = 7, .acknowledgement = 8, .payload = payload};
  EXPECT_EQ(without_identification(to_v4(test::tcp(h6(1), h4_as_v6(2), test::SYN, fields))),
            without_identification(test::tcp(h6_as_v4(1), h4(2), test::SYN, fields)));
  EXPECT_EQ(to_v6(test::tcp(h4(2), h6_as_v4(1), test::SYN | test::ACK, fields)),
            test::tcp(h4_as_v6(2), h6(1), test::SYN | test::ACK, fields));
}

TEST_F(Translation, PingsKeepTheirIdentifier) {
  EXPECT_EQ(without_identification(to_v4(test::echo_request(h6(), h4_as_v6(), 77))),
            without_identification(test::echo_request(h6_as_v4(), h4(), 77)));
  EXPECT_EQ(without_identification(to_v4(test::echo_reply(h6(), h4_as_v6(), 77))),
            without_identification(test::echo_reply(h6_as_v4(), h4(), 77)));
  EXPECT_EQ(to_v6(test::echo_request(h4(), h6_as_v4(), 77)), test::echo_request(h4_as_v6(), h6(), 77));
  EXPECT_EQ(to_v6(test::echo_reply(h4(), h6_as_v4(), 77)), test::echo_reply(h4_as_v6(), h6(), 77));
}

TEST_F(Translation, TrafficClassAndTypeOfServiceAreOne) {
  auto packet = test::udp(h4(2), h6_as_v4(1));
  packet[1] = 0xb8;
  test::seal_ipv4(packet);
  const auto v6 = to_v6(packet);
  EXPECT_EQ(v6[0], 0x6b);
  EXPECT_EQ(v6[1], 0x80);
  auto back = test::udp(h6(1), h4_as_v6(2));
  back[0] = 0x6b;
  back[1] = 0x80;
  EXPECT_EQ(to_v4(back)[1], 0xb8);
}

TEST_F(Translation, SmallPacketsMayBeFragmentedAndHaveIdentifiersLargeOnesMayNot) {
  const auto first = to_v4(test::udp(h6(1), h4_as_v6(2), Bytes(1260 - 28)));
  const auto second = to_v4(test::udp(h6(1), h4_as_v6(2), Bytes(1260 - 28)));
  EXPECT_EQ(test::read16(first, 6), 0);
  EXPECT_NE(test::read16(first, 4), test::read16(second, 4));
  EXPECT_EQ(test::read16(to_v4(test::udp(h6(1), h4_as_v6(2), Bytes(1261 - 28))), 6), 0x4000);
}

// RFC 7915 §4.2 and §5.2, message by message.
TEST_F(Translation, ErrorsAreTranslatedWithThePacketsInThem) {
  const auto about6 = test::udp(h4_as_v6(2), h6(1)), about4 = test::udp(h4(2), h6_as_v4(1));
  const auto said4 = test::udp(h6_as_v4(1), h4(2)), said6 = test::udp(h6(1), h4_as_v6(2));
  struct Pair {
    int type6, code6, type4, code4;
  };
  for (const auto& [type6, code6, type4, code4] : {Pair{1, 0, 3, 1},
                                                   {1, 1, 3, 10},
                                                   {1, 2, 3, 1},
                                                   {1, 3, 3, 1},
                                                   {1, 4, 3, 3},
                                                   {3, 0, 11, 0},
                                                   {3, 1, 11, 1},
                                                   {4, 1, 3, 2}}) {
    const auto from6 = static_cast<std::uint8_t>(type6), into4 = static_cast<std::uint8_t>(type4);
    const auto got =
        to_v4(test::icmp_error(h6(), h4_as_v6(), from6, static_cast<std::uint8_t>(code6), about6));
    const auto want = test::icmp_error(h6_as_v4(), h4(), into4, static_cast<std::uint8_t>(code4), about4);
    ASSERT_EQ(got.size(), want.size());
    EXPECT_EQ(std::pair(got[20], got[21]), std::pair(want[20], want[21])) << type6 << '/' << code6;
    EXPECT_EQ(without_identification(test::quoted(got)), without_identification(test::quoted(want)));
  }
  for (const auto& [type6, code6, type4, code4] : {Pair{1, 0, 3, 0},
                                                   {1, 0, 3, 1},
                                                   {1, 4, 3, 3},
                                                   {1, 0, 3, 5},
                                                   {1, 1, 3, 9},
                                                   {1, 1, 3, 10},
                                                   {1, 0, 3, 11},
                                                   {1, 1, 3, 13},
                                                   {1, 1, 3, 15},
                                                   {3, 0, 11, 0}}) {
    const auto got = to_v6(test::icmp_error(h4(), h6_as_v4(), static_cast<std::uint8_t>(type4),
                                            static_cast<std::uint8_t>(code4), said4));
    EXPECT_EQ(got, test::icmp_error(h4_as_v6(), h6(), static_cast<std::uint8_t>(type6),
                                    static_cast<std::uint8_t>(code6), said6))
        << type4 << '/' << code4;
  }
}

TEST_F(Translation, AProtocolUnreachablePointsAtTheNextHeaderField) {
  const auto got = to_v6(test::icmp_error(h4(), h6_as_v4(), 3, 2, test::udp(h6_as_v4(1), h4(2))));
  EXPECT_EQ(got[40], 4);
  EXPECT_EQ(got[41], 1);
  EXPECT_EQ(test::read32(got, 44), 6u);
}

TEST_F(Translation, TooBigGrowsAndShrinksByTheHeadersDifference) {
  auto needed = test::icmp_error(h4(), h6_as_v4(), 3, 4, test::udp(h6_as_v4(1), h4(2)));
  const auto with_mtu = [&](std::uint16_t mtu) {
    test::write16(needed, 26, mtu);
    test::write16(needed, 22, 0);
    test::write16(needed, 22, static_cast<std::uint16_t>(~ones_sum(std::span(needed).subspan(20))));
    return test::read32(to_v6(needed), 44);
  };
  EXPECT_EQ(with_mtu(1400), 1420u);
  EXPECT_EQ(with_mtu(1492), 1500u);  // no more than the link
  EXPECT_EQ(with_mtu(500), 1280u);   // no less than IPv6 promises
  EXPECT_EQ(with_mtu(0), 1280u);     // the plateau below a small packet
  auto big = test::icmp_error(h6(), h4_as_v6(), 2, 0, test::udp(h4_as_v6(2), h6(1)));
  big[47] = 0x14;  // 1300
  big[46] = 0x05;
  test::write16(big, 42, static_cast<std::uint16_t>(test::read16(big, 42) - 1300));
  const auto got = to_v4(big);
  EXPECT_EQ(got[20], 3);
  EXPECT_EQ(got[21], 4);
  EXPECT_EQ(test::read16(got, 26), 1280);
}

TEST_F(Translation, MessagesWithoutACounterpartAreDropped) {
  const auto said4 = test::udp(h6_as_v4(1), h4(2)), said6 = test::udp(h4_as_v6(2), h6(1));
  for (const auto& [type, code] :
       {std::pair<std::uint8_t, std::uint8_t>{3, 14}, {3, 16}, {11, 2}, {12, 1}, {5, 0}, {13, 0}, {4, 0}})
    EXPECT_EQ(rule_of(translator.v4_to_v6(test::icmp_error(h4(), h6_as_v4(), type, code, said4))),
              Rule::unsupported);
  for (const auto& [type, code] :
       {std::pair<std::uint8_t, std::uint8_t>{1, 5}, {3, 2}, {4, 2}, {130, 0}, {135, 0}})
    EXPECT_EQ(rule_of(translator.v6_to_v4(test::icmp_error(h6(), h4_as_v6(), type, code, said6))),
              Rule::unsupported);
  // An error about an error.
  const auto error = test::icmp_error(h6_as_v4(), h4(), 3, 3, test::udp(h4(2), h6_as_v4(1)));
  EXPECT_EQ(rule_of(translator.v4_to_v6(test::icmp_error(h4(), h6_as_v4(), 3, 3, error))), Rule::unsupported);
}

TEST_F(Translation, WhatIsTooLongForIpv6IsRefusedOrCut) {
  auto packet = test::udp(h4(2), h6_as_v4(1), Bytes(1472, 5));  // 1500 bytes
  ASSERT_EQ(packet.size(), 1500u);
  test::write16(packet, 6, 0x4000);
  test::seal_ipv4(packet);
  const auto refused = translator.v4_to_v6(packet);
  EXPECT_EQ(refused.outcome, Translated::Outcome::dropped);
  const auto answer = test::read(refused.answer);
  EXPECT_EQ(answer.source.address, "192.0.2.33");
  EXPECT_EQ(answer.destination.address, "198.51.100.2");
  EXPECT_EQ(refused.answer[20], 3);
  EXPECT_EQ(refused.answer[21], 4);
  EXPECT_EQ(test::read16(refused.answer, 26), 1480);
  EXPECT_TRUE(test::checksums_valid(refused.answer));

  test::write16(packet, 4, 0xbeef);
  test::write16(packet, 6, 0);
  test::seal_ipv4(packet);
  const auto cut = translator.v4_to_v6(packet);
  ASSERT_EQ(cut.packets.size(), 2u);
  const auto whole = test::udp(h4_as_v6(2), h6(1), Bytes(1472, 5));
  Bytes joined;
  std::size_t offset = 0;
  for (const auto& piece : cut.packets) {
    EXPECT_LE(piece.size(), 1500u);
    EXPECT_EQ(piece[6], 44);
    EXPECT_EQ(test::read16(piece, 42), offset | (&piece == &cut.packets[0]));
    EXPECT_EQ(test::read32(piece, 44), 0xbeefu);
    offset += piece.size() - 48;
    joined.insert(joined.end(), piece.begin() + 48, piece.end());
  }
  EXPECT_EQ(joined, Bytes(whole.begin() + 40, whole.end()));
}

TEST_F(Translation, FragmentsStayFragments) {
  const auto datagram = test::udp(h4(2), h6_as_v4(1), Bytes(1000, 9));
  Bytes later(datagram.begin(), datagram.begin() + 20);
  later.insert(later.end(), 104, 9);
  test::write16(later, 2, static_cast<std::uint16_t>(later.size()));
  test::write16(later, 4, 0x1234);
  test::write16(later, 6, 0x2000 | 25);
  test::seal_ipv4(later);
  const auto v6 = translator.v4_to_v6(later).packets.at(0);
  EXPECT_EQ(v6[6], 44);
  EXPECT_EQ(v6[40], 17);
  EXPECT_EQ(test::read16(v6, 42), 200 | 1);
  EXPECT_EQ(test::read32(v6, 44), 0x1234u);

  auto reversed = v6;  // the same on its way back
  std::swap_ranges(reversed.begin() + 8, reversed.begin() + 24, reversed.begin() + 24);
  const auto v4 = translator.v6_to_v4(reversed).packets.at(0);
  EXPECT_EQ(test::read16(v4, 4), 0x1234);
  EXPECT_EQ(test::read16(v4, 6), 0x2000 | 25);
  EXPECT_EQ(Bytes(v4.begin() + 20, v4.end()), Bytes(104, 9));
}

TEST_F(Translation, ADatagramWithoutAChecksumGetsOneWhereThatIsAskedFor) {
  auto packet = test::udp(h4(2), h6_as_v4(1));
  test::write16(packet, 26, 0);
  EXPECT_EQ(test::read16(translator.v4_to_v6(packet).packets.at(0), 46), 0);
  Translator46 sealing(addresses, {.mtu_v6_bytes = 1500, .seals_udp = true});
  EXPECT_EQ(sealing.v4_to_v6(packet).packets.at(0), test::udp(h4_as_v6(2), h6(1)));
}

TEST_F(Translation, SourceRoutesAndForeignAddressesAreDropped) {
  auto packet = test::udp(h4(2), h6_as_v4(1));
  packet.insert(packet.begin() + 20, {131, 7, 4, 1, 2, 3, 4, 0});
  packet[0] = 0x47;
  test::write16(packet, 2, static_cast<std::uint16_t>(packet.size()));
  EXPECT_EQ(rule_of(translator.v4_to_v6(packet)), Rule::unsupported);
  EXPECT_EQ(rule_of(translator.v6_to_v4(test::udp({"2001:db9::1", 1}, h4_as_v6(2)))), Rule::no_mapping);
}

TEST_F(Translation, ATimeExceededFromARouterWithoutAnIpv4AddressComesFromTheDummy) {
  const auto got =
      to_v4(test::icmp_error({"2001:db9::1", 0}, h4_as_v6(), 3, 0, test::udp(h4_as_v6(2), h6(1))));
  EXPECT_EQ(test::read(got).source.address, "192.0.0.8");
}

// 464XLAT and NAT64, end to end without the NAT between

TEST(Xlat464, AnIpv4PacketCrossesAnIpv6NetworkAndIsItselfAgain) {
  Clat clat({.own = prefix("2001:db8:a:b::", 96),
             .provider = Prefix64::well_known(),
             .local_v4 = test::address("192.0.0.4")},
            {});
  Nat64Edge edge(Prefix64::well_known(), {});
  const auto out = clat.outbound(test::udp({"192.0.0.4", 5000}, {"203.0.113.1", 53})).packets.at(0);
  EXPECT_EQ(out, test::udp({"2001:db8:a:b::192.0.0.4", 5000}, {"64:ff9b::203.0.113.1", 53}));
  const auto at_nat = edge.outbound(out).packets.at(0);
  const auto stand_in = test::read(at_nat).source;
  EXPECT_EQ(test::read(at_nat).destination, (Host{"203.0.113.1", 53}));
  EXPECT_EQ(stand_in.address.substr(0, 7), "198.18.");
  const auto back = edge.inbound(test::udp({"203.0.113.1", 53}, stand_in)).packets.at(0);
  EXPECT_EQ(without_identification(clat.inbound(back).packets.at(0)),
            without_identification(test::udp({"203.0.113.1", 53}, {"192.0.0.4", 5000})));
}

TEST(Nat64, LetsOtherIpv6PassAndRefusesSpoofedSources) {
  Nat64Edge edge(Prefix64::well_known(), {});
  const Host inside{"2001:db8:a::1", 1}, native{"2001:db8:b::1", 2}, remote{"64:ff9b::203.0.113.1", 3};
  EXPECT_EQ(edge.outbound(test::udp(inside, native)).outcome, Translated::Outcome::untouched);
  EXPECT_EQ(edge.outbound(test::udp(remote, remote)).rule, Rule::no_mapping);
  EXPECT_EQ(edge.outbound(test::udp(inside, {"64:ff9b::198.18.0.0", 3})).rule, Rule::no_mapping);
  EXPECT_EQ(edge.inbound(test::udp({"203.0.113.1", 3}, {"198.18.7.7", 1})).rule, Rule::no_mapping);
}

// DS-Lite

TEST(Softwire, SubscribersWithTheSameAddressStayApart) {
  const auto aftr = test::address("2001:db8:f::1");
  AftrEdge edge(aftr);
  std::vector<Host> stand_ins;
  for (const char* home : {"2001:db8:1::1", "2001:db8:2::1"}) {
    SoftwireB4 b4(test::address(home), aftr);
    const auto inside = test::udp({"192.168.1.10", 5000}, {"203.0.113.1", 53});
    const auto tunnelled = b4.outbound(inside).packets.at(0);
    EXPECT_EQ(tunnelled.size(), inside.size() + 40);
    EXPECT_EQ(Bytes(tunnelled.begin() + 40, tunnelled.end()), inside);
    const auto at_nat = edge.outbound(tunnelled).packets.at(0);
    EXPECT_TRUE(test::checksums_valid(at_nat));
    stand_ins.push_back(test::read(at_nat).source);
    const auto back = edge.inbound(test::udp({"203.0.113.1", 53}, stand_ins.back())).packets.at(0);
    EXPECT_EQ(test::read(back).destination.address, home);
    EXPECT_EQ(b4.inbound(back).packets.at(0), test::udp({"203.0.113.1", 53}, {"192.168.1.10", 5000}));
  }
  EXPECT_NE(stand_ins[0].address, stand_ins[1].address);
}

TEST(Softwire, ErrorsReachTheHostThatTheyAreAbout) {
  const auto aftr = test::address("2001:db8:f::1");
  AftrEdge edge(aftr);
  SoftwireB4 b4(test::address("2001:db8:1::1"), aftr);
  const auto sent = test::udp({"192.168.1.10", 5000}, {"203.0.113.1", 53});
  const auto at_nat = edge.outbound(b4.outbound(sent).packets.at(0)).packets.at(0);
  const auto error =
      test::icmp_error({"203.0.113.1", 0}, {test::read(at_nat).source.address, 0}, 3, 3, at_nat);
  const auto inside = b4.inbound(edge.inbound(error).packets.at(0)).packets.at(0);
  EXPECT_EQ(inside, test::icmp_error({"203.0.113.1", 0}, {"192.168.1.10", 0}, 3, 3, sent));
}

TEST(Softwire, OnlyTheOtherEndOfTheTunnelIsHeard) {
  SoftwireB4 b4(test::address("2001:db8:1::1"), test::address("2001:db8:f::1"));
  SoftwireB4 stranger(test::address("2001:db8:9::9"), test::address("2001:db8:1::1"));
  EXPECT_EQ(b4.inbound(stranger.outbound(test::udp({"10.0.0.1", 1}, {"192.168.1.10", 2})).packets.at(0)).rule,
            Rule::no_mapping);
  EXPECT_EQ(b4.inbound(test::udp({"203.0.113.1", 1}, {"198.51.100.1", 2})).rule, Rule::no_mapping);
}

TEST(HeaderTranslations, TakeAnyBytes) {
  Stateless addresses;
  Translator46 translator(addresses, {.mtu_v6_bytes = 1280, .seals_udp = true});
  Clat clat({.own = prefix("2001:db8:a:b::", 96),
             .provider = prefix("2001:db8:100::", 40),
             .local_v4 = test::address("192.0.2.33")},
            {});
  Nat64Edge nat64(prefix("2001:db8:100::", 40), {});
  AftrEdge aftr(test::address("2001:db8:1c6:3364:2::"));
  SoftwireB4 b4(test::address("2001:db8:1c0:2:21::"), test::address("2001:db8:1c6:3364:2::"));
  const std::vector<Bytes> seeds{test::udp(h6(1), h4_as_v6(2), Bytes(100)),
                                 test::udp(h4(2), h6_as_v4(1), Bytes(1400)),
                                 test::tcp(h6(1), h4_as_v6(2), 2),
                                 test::echo_request(h4(), h6_as_v4(), 7),
                                 test::icmp_error(h4(), h6_as_v4(), 3, 3, test::udp(h6_as_v4(1), h4(2))),
                                 test::icmp_error(h6(), h4_as_v6(), 1, 4, test::udp(h4_as_v6(2), h6(1))),
                                 test::with_extension(test::udp(h6(1), h4_as_v6(2)), 44, Bytes(8)),
                                 b4.outbound(test::udp({"10.0.0.1", 1}, h4(2))).packets.at(0)};
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    auto bytes = seeds[random() % seeds.size()];
    for (auto changes = random() % 4; changes > 0; --changes)
      bytes[random() % std::min<std::size_t>(bytes.size(), 80)] = static_cast<std::uint8_t>(random());
    bytes.resize(random() % 2 ? bytes.size() : random() % (bytes.size() + 1));
    translator.v4_to_v6(bytes);
    translator.v6_to_v4(bytes);
    for (HeaderTranslation* kind : std::initializer_list<HeaderTranslation*>{&clat, &nat64, &aftr, &b4}) {
      kind->outbound(bytes);
      kind->inbound(bytes);
    }
  }
}

}  // namespace
}  // namespace flaresim::nat
