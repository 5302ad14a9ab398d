#include <gtest/gtest.h>

#include <random>

#include "sim/world/nat_presets.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, a1{"203.0.113.1", 1000}, mapped{outside_address, 5000};
const Host x6{"2001:db8::2", 5000}, a6{"2001:db8:1::1", 1000};

std::vector<Bytes> good_packets() {
  const Bytes options = {0, 0, 1, 4, 0, 0, 0, 0};
  return {udp(x, a1),
          tcp(x, a1, SYN),
          echo_request(x, a1, 7),
          icmp_error(x, a1, 3, 3, udp(a1, x)),
          udp(x6, a6),
          tcp(x6, a6, SYN),
          echo_request(x6, a6, 7),
          icmp_error(x6, a6, 1, 4, udp(a6, x6)),
          with_extension(udp(x6, a6), 60, options)};
}

Rule rule_of(Bytes packet) {
  Rig rig("EIM/EIF");
  const Rule out = rig.nat.outbound(packet, 0s).rule;
  EXPECT_EQ(rig.size(), 0u);
  return out;
}

TEST(NatMalformed, HeadersThatAreCutOff) {
  for (const Bytes& packet : good_packets()) {
    const std::size_t header = packet.size() - read(packet).transport.size();
    for (std::size_t size = 0; size < header + 8; ++size)
      EXPECT_EQ(rule_of(Bytes(packet.begin(), packet.begin() + static_cast<long>(size))), Rule::malformed)
          << size;
  }
  const Bytes syn = tcp(x, a1, SYN);
  for (long size = 28; size < 40; ++size)
    EXPECT_EQ(rule_of(Bytes(syn.begin(), syn.begin() + size)), Rule::malformed);
}

TEST(NatMalformed, VersionsThatDoNotExist) {
  for (const int version : {0, 1, 5, 7, 15}) {
    Bytes packet = udp(x, a1);
    packet[0] = static_cast<std::uint8_t>(version << 4 | 5);
    EXPECT_EQ(rule_of(packet), Rule::malformed);
  }
}

TEST(NatMalformed, Ipv4HeadersTooShortOrTooLong) {
  for (const int words : {0, 1, 4, 15}) {
    Bytes packet = udp(x, a1);
    packet[0] = static_cast<std::uint8_t>(0x40 | words);
    EXPECT_EQ(rule_of(packet), Rule::malformed) << words;
  }
}

TEST(NatMalformed, LengthsThatContradictEachOther) {
  Bytes packet = udp(x, a1);
  write16(packet, 2, 19);  // total length inside the IP header
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = udp(x, a1);
  write16(packet, 2, 27);  // inside the UDP header
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = udp(x, a1);
  write16(packet, 24, 7);  // UDP length shorter than its header
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = udp(x, a1);
  write16(packet, 24, 12);  // longer than the packet
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = tcp(x, a1, SYN);
  packet[32] = 4 << 4;  // data offset inside the TCP header
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = tcp(x, a1, SYN);
  packet[32] = 6 << 4;  // beyond the packet
  EXPECT_EQ(rule_of(packet), Rule::malformed);
  packet = with_extension(udp(x6, a6), 60, {0, 200, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(rule_of(packet), Rule::malformed);
}

TEST(NatMalformed, QuotationsThatAreCutOff) {
  const Bytes whole = udp(a1, x);
  for (long size = 0; size < 28; ++size)
    EXPECT_EQ(rule_of(icmp_error(x, a1, 3, 3, Bytes(whole.begin(), whole.begin() + size))), Rule::malformed);
  EXPECT_EQ(rule_of(icmp_error(x, a1, 3, 3, udp(a6, x6))), Rule::malformed);
}

TEST(NatMalformed, LaterFragmentsAndUnknownProtocolsAreNotTranslated) {
  Bytes fragment = udp(x, a1);
  write16(fragment, 6, 0x0001);
  EXPECT_EQ(rule_of(fragment), Rule::fragment);
  EXPECT_EQ(rule_of(ip(x, a1, 47, Bytes(20, 1))), Rule::unsupported);
  EXPECT_EQ(rule_of(ip(x, a1, 58, Bytes(20, 1))), Rule::unsupported);  // ICMPv6 over IPv4
}

TEST(NatMalformed, AFirstFragmentPassesThoughItsDatagramIsLonger) {
  Rig rig("EIM/EIF");
  Bytes fragment = udp(x, a1, Bytes(100, 5));
  fragment.resize(60);
  write16(fragment, 2, 60);
  write16(fragment, 6, 0x2000);
  seal_ipv4(fragment);
  EXPECT_TRUE(rig.nat.outbound(fragment, 0s).forward);
}

TEST(NatMalformed, AMissingPayloadIsFine) {
  Rig rig("EIM/EIF/random");
  Bytes whole = udp(x, a1, Bytes(100, 5));
  Bytes header(whole.begin(), whole.begin() + 28);
  EXPECT_TRUE(rig.nat.outbound(header, 0s).forward);
  std::copy(header.begin(), header.end(), whole.begin());
  EXPECT_TRUE(checksums_valid(whole));
}

TEST(NatMalformed, BytesBehindThePacketAreLeftAlone) {
  Rig rig("EIM/EIF/random");
  Bytes padded = udp(x, a1);
  const std::size_t size = padded.size();
  padded.resize(size + 13, 0xee);
  EXPECT_TRUE(rig.nat.outbound(padded, 0s).forward);
  EXPECT_EQ(Bytes(padded.begin() + static_cast<long>(size), padded.end()), Bytes(13, 0xee));
}

/// Noise, and good packets with some bytes changed or cut off, against every kind of box.
TEST(NatMalformed, NoInputBreaksIt) {
  std::mt19937 random(4711);
  const auto good = good_packets();
  std::vector<std::string> kinds = {"EIM/ADF/sequential,unsolicited=icmp", "APDM/EIF/random,reply=session",
                                    "ADM/APDF,unsolicited=commit-state", "EIM/APDF,translate=off"};
  for (const auto& preset : world::nat_catalogue()->names) kinds.push_back(preset.name);
  std::uint64_t forwarded = 0;
  for (const auto& kind : kinds) {
    Rig rig(kind);
    rig.out(x, a1);
    for (int i = 0; i < 20000; ++i) {
      rig.wait(Time(random() % 1000000));
      Bytes packet;
      if (i % 4 == 0) {
        packet.resize(random() % 120);
        for (auto& byte : packet) byte = static_cast<std::uint8_t>(random());
        if (!packet.empty()) packet[0] = static_cast<std::uint8_t>(i % 8 ? 0x45 : 0x60);
      } else {
        packet = good[random() % good.size()];
        for (unsigned changes = random() % 4; changes > 0; --changes)
          packet[random() % packet.size()] = static_cast<std::uint8_t>(random());
        if (random() % 4 == 0) packet.resize(random() % packet.size());
      }
      const auto verdict = i % 2 ? rig.nat.outbound(packet, rig.now) : rig.nat.inbound(packet, rig.now);
      forwarded += verdict.forward;
      EXPECT_TRUE(!verdict.forward || verdict.answer.empty());
    }
    rig.wait(std::chrono::hours(200));
    EXPECT_EQ(rig.size(), 0u) << kind;
  }
  EXPECT_GT(forwarded, 10000u);
}

}  // namespace
}  // namespace flaresim::nat::test
