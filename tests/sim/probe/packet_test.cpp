#include "sim/probe/packet.h"

#include <gtest/gtest.h>

namespace flaresim::probe {
namespace {

io::Endpoint endpoint(const char* address, std::uint16_t port) {
  return {boost::asio::ip::make_address(address), port};
}

/// A UDP datagram over IPv4 whose checksums were computed elsewhere (RFC 1071).
const io::Bytes datagram = {0x45, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x40, 0x11, 0xae,
                            0xcb, 0x0a, 0x00, 0x00, 0x01, 0xc0, 0x00, 0x02, 0x01, 0x9c, 0x40,
                            0x0f, 0xa1, 0x00, 0x0c, 0xc3, 0x2b, 0x61, 0x62, 0x63, 0x64};

Packet udp() {
  Packet packet;
  packet.source = endpoint("10.0.0.1", 40000);
  packet.destination = endpoint("192.0.2.1", 4001);
  packet.payload = io::to_bytes("abcd");
  return packet;
}

TEST(ProbePacket, BuildsTheBytesThatAnotherComputationGives) { EXPECT_EQ(build(udp()), datagram); }

TEST(ProbePacket, ReadsThemAgain) {
  const auto packet = parse(datagram);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->source, udp().source);
  EXPECT_EQ(packet->destination, udp().destination);
  EXPECT_EQ(packet->payload, udp().payload);
  EXPECT_TRUE(packet->checksums_valid);
}

TEST(ProbePacket, NoticesEveryFlippedBit) {
  for (std::size_t byte = 8; byte < datagram.size(); ++byte) {
    auto damaged = datagram;
    damaged[byte] ^= 0x10;
    const auto packet = parse(damaged);
    EXPECT_TRUE(!packet || !packet->checksums_valid) << byte;
  }
}

TEST(ProbePacket, NothingOfAnyLengthDoesHarm) {
  auto error = build(port_unreachable(endpoint("192.0.2.1", 0).address, udp()));
  for (std::size_t size = 0; size <= error.size(); ++size) (void)parse(io::BytesView(error).first(size));
  for (std::size_t byte = 0; byte < error.size(); ++byte) {
    auto damaged = error;
    damaged[byte] ^= 0xff;
    (void)parse(damaged);
  }
}

TEST(ProbePacket, AnErrorQuotesThePacketThatItIsAbout) {
  const auto error = parse(build(port_unreachable(endpoint("192.0.2.1", 0).address, udp())));
  ASSERT_TRUE(error && error->quoted);
  EXPECT_TRUE(error->checksums_valid);
  EXPECT_EQ(error->icmp, IcmpKind::unreachable);
  EXPECT_EQ(error->quoted->source, udp().source);
  EXPECT_EQ(error->destination.address, udp().source.address);
}

TEST(ProbePacket, TheHalvesOfADatagramCarryAllOfIt) {
  auto packet = udp();
  packet.payload.assign(64, 0x5a);
  const auto halves = build_fragments(packet, 32);
  const auto first = parse(halves.first), second = parse(halves.second);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->payload.size() + second->payload.size(), packet.payload.size());
  EXPECT_TRUE(first->is_fragment() && second->is_fragment());
  EXPECT_EQ(second->fragment_offset, 32);
}

TEST(ProbePacket, TcpOverIpv6IsReadAsItWasBuilt) {
  Packet packet;
  packet.source = endpoint("2001:db8::1", 40000);
  packet.destination = endpoint("2001:db8::2", 443);
  packet.protocol = Protocol::tcp;
  packet.flags = flag::syn;
  packet.sequence = 0xdeadbeef;
  const auto read = parse(build(packet));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->checksums_valid);
  EXPECT_EQ(read->sequence, packet.sequence);
  EXPECT_EQ(read->flags, flag::syn);
  EXPECT_EQ(read->destination, packet.destination);
}

}  // namespace
}  // namespace flaresim::probe
