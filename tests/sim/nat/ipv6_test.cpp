#include <gtest/gtest.h>

#include "sim/world/nat_presets.h"
#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"2001:db8::2", 5000}, y{"2001:db8::3", 5000};
const Host a1{"2001:db8:1::1", 1000}, a2{"2001:db8:1::1", 2000}, b1{"2001:db8:2::1", 1000};

TEST(Ipv6Firewall, NeverTranslates) {
  for (const auto& preset : world::nat_catalogue()->names) {
    const auto rules = ipv6_side(world::parse_nat(preset.name).value());
    if (rules.udp.blocked || !rules.udp.allowed_ports.empty() || rules.captive) continue;
    Rig rig(preset.name);
    EXPECT_EQ(rig.out(x, a1), x) << preset.name;
    EXPECT_EQ(rig.out(y, a1), y) << preset.name;
    EXPECT_EQ(rig.in(a1, x), x) << preset.name;
    EXPECT_EQ(rig.in(a1, y), y) << preset.name;
  }
}

TEST(Ipv6Firewall, FiltersByItsAxisWhateverTheMapping) {
  for (const auto* mapping : {"EIM", "ADM", "APDM"}) {
    const auto lets_in = [&](const char* filtering, const Host& remote) {
      Rig rig(std::string(mapping) + "/" + filtering + "/random");
      rig.out(x, a1);
      EXPECT_FALSE(rig.in(remote, y));
      return rig.in(remote, x) == x;
    };
    EXPECT_TRUE(lets_in("EIF", b1)) << mapping;
    EXPECT_TRUE(lets_in("ADF", a2)) << mapping;
    EXPECT_FALSE(lets_in("ADF", b1)) << mapping;
    EXPECT_TRUE(lets_in("APDF", a1)) << mapping;
    EXPECT_FALSE(lets_in("APDF", a2)) << mapping;
  }
}

TEST(Ipv6Firewall, TracksTcpAndLetsSynsCross) {
  Rig rig("port-restricted");
  EXPECT_FALSE(rig.tcp_in(a1, x, SYN));
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), x);
  EXPECT_EQ(rig.tcp_in(a1, x, SYN), x);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK), x);
  EXPECT_EQ(rig.tcp_in(a1, x, SYN | ACK), x);
  EXPECT_FALSE(rig.tcp_in(b1, x, ACK));
}

TEST(Ipv6Firewall, HasTheTimers) {
  Rig rig("linux-input-drop");
  rig.out(x, a1);
  rig.wait(30s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_FALSE(rig.in(a1, x));
}

TEST(Ipv6Firewall, AnswersWithIcmpv6AdministrativelyProhibited) {
  Rig rig("EIM/APDF,unsolicited=icmp");
  for (const Bytes& packet : {udp(a1, x, Bytes(1400, 3)), tcp(a1, x, SYN)}) {
    Bytes sent = packet;
    const auto answer = rig.inbound(sent).answer;
    ASSERT_FALSE(answer.empty());
    const Read r = read(answer);
    EXPECT_EQ(r.protocol, 58);
    EXPECT_EQ(r.source.address, x.address);
    EXPECT_EQ(r.destination.address, a1.address);
    EXPECT_EQ(r.transport[0], 1);
    EXPECT_EQ(r.transport[1], 1);
    EXPECT_LE(answer.size(), 1280u);  // RFC 4443 §2.4c
    const Bytes quote = quoted(answer);
    EXPECT_EQ(quote, Bytes(packet.begin(), packet.begin() + static_cast<long>(quote.size())));
    EXPECT_TRUE(checksums_valid(answer));
  }
}

TEST(Ipv6Firewall, AnswersWithAReset) {
  Rig rig("EIM/APDF,tcp_unsolicited=reset");
  Bytes syn = tcp(a1, x, SYN, {.sequence = 41});
  const Read r = read(rig.inbound(syn).answer);
  EXPECT_EQ(r.source, x);
  EXPECT_EQ(r.destination, a1);
  EXPECT_EQ(r.transport[13], RST | ACK);
  EXPECT_EQ(read32(r.transport, 8), 42u);
  EXPECT_TRUE(checksums_valid(rig.last.answer));
}

TEST(Ipv6Firewall, CommitsNothingSincePacketsAreNotForTheRouter) {
  Rig rig("linux");
  EXPECT_FALSE(rig.in(a1, x));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_EQ(rig.out(x, a1), x);
  EXPECT_EQ(rig.in(a1, x), x);
}

TEST(Ipv6Firewall, LetsEchoRepliesAndErrorsInThatWereAskedFor) {
  Rig rig("port-restricted");
  Bytes request = echo_request(x, a1, 77), reply = echo_reply(a1, x, 77), stranger = echo_reply(b1, x, 77);
  EXPECT_FALSE(rig.inbound(reply).forward);
  EXPECT_TRUE(rig.outbound(request).forward);
  EXPECT_TRUE(rig.inbound(reply).forward);
  EXPECT_FALSE(rig.inbound(stranger).forward);
  Bytes unasked = echo_request(a1, x, 77);
  EXPECT_FALSE(rig.inbound(unasked).forward);

  const Bytes ours = udp(x, a1, Bytes(40, 1));
  Bytes too_big = icmp_error({"2001:db8:9::1", 0}, x, 2, 0, ours);
  const Bytes as_sent = too_big;
  EXPECT_FALSE(rig.inbound(too_big).forward);
  rig.out(x, a1);
  EXPECT_TRUE(rig.inbound(too_big).forward);
  Bytes expected = as_sent;
  --expected[7];
  EXPECT_EQ(too_big, expected);
}

TEST(Ipv6Firewall, SkipsOptionsAndFirstFragments) {
  Rig rig("port-restricted");
  const Bytes options = {0, 0, 1, 4, 0, 0, 0, 0}, first = {0, 0, 0, 1, 0, 0, 0, 9},
              later = {0, 0, 0, 8, 0, 0, 0, 9};
  Bytes packet =
      with_extension(with_extension(with_extension(udp(x, a1), 44, first), 60, options), 0, options);
  EXPECT_TRUE(rig.nat.outbound(packet, 0s).forward);
  EXPECT_EQ(rig.in(a1, x), x);
  packet = with_extension(udp(x, a1), 44, later);
  EXPECT_TRUE(rig.nat.outbound(packet, 0s).forward);  // of the datagram whose first fragment has passed
  packet = with_extension(udp(x, a1), 43, {0, 0, 0, 1, 0, 0, 0, 0});  // a routing header
  EXPECT_EQ(rig.nat.outbound(packet, 0s).rule, Rule::unsupported);
  packet = udp(x, a1);
  for (int i = 0; i < 9; ++i) packet = with_extension(packet, 60, options);
  EXPECT_EQ(rig.nat.outbound(packet, 0s).rule, Rule::unsupported);
}

TEST(Ipv4Firewall, FiltersWithoutTranslating) {
  Rig rig("EIM/ADF,translate=off");
  const Host host{"198.51.100.40", 5000}, remote{"203.0.113.1", 1000};
  EXPECT_FALSE(rig.in(remote, host));
  EXPECT_EQ(rig.out(host, remote), host);
  EXPECT_EQ(rig.in({"203.0.113.1", 9}, host), host);
  EXPECT_FALSE(rig.in({"203.0.113.2", 1000}, host));
}

}  // namespace
}  // namespace flaresim::nat::test
