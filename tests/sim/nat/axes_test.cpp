// The axes beside mapping, filtering and timers, each by what packets show.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, y{"10.0.0.3", 5000}, z{"10.0.0.4", 5000};
const Host a1{"203.0.113.1", 1000}, a2{"203.0.113.1", 2000}, b1{"203.0.113.2", 1000};
const Host mapped{outside_address, 5000};

// Ports: RFC 4787 §4.2

TEST(NatContention, EachRuleGivesTheSecondHostWhatItSays) {
  const auto second = [](const char* rule) {
    Rig rig(std::string("EIM/APDF,contention=") + rule);
    EXPECT_EQ(rig.out(x, a1), mapped);
    return rig.out(y, a1);
  };
  EXPECT_NE(second("random")->port, 5000);
  EXPECT_EQ(second("sequential")->port, 5001);
  EXPECT_EQ(second("sequential,step=7")->port, 5007);
  EXPECT_EQ(second("overload")->port, 5000);
  EXPECT_FALSE(second("drop"));
}

TEST(NatContention, OverloadAnswersWhoSentLast) {
  for (const auto* kind : {"EIM/APDF,contention=overload", "APDM/APDF,contention=overload"}) {
    Rig rig(kind);
    rig.out(x, a1);
    rig.out(y, a1);
    EXPECT_EQ(rig.in(a1, mapped), y) << kind;
    EXPECT_EQ(rig.out(x, a1), mapped);
    EXPECT_EQ(rig.in(a1, mapped), x) << kind;
    rig.wait(1000s);
    EXPECT_EQ(rig.size(), 0u) << kind;
  }
}

TEST(NatPorts, SequentialGoesByItsStep) {
  Rig rig("APDM/APDF/sequential,step=4,port_range=2000-2999");
  const auto first = rig.out(x, a1)->port;
  EXPECT_EQ(rig.out(x, a2)->port, 2000 + (first - 2000 + 4) % 1000);
}

TEST(NatPorts, EveryPortOfTheRangeIsFoundWhateverTheStep) {
  Rig rig("APDM/EIF/sequential,step=6,port_range=2000-2008");
  std::set<std::uint16_t> ports;
  for (std::uint16_t i = 0; i < 9; ++i) ports.insert(rig.out(x, {"203.0.113.1", std::uint16_t(1 + i)})->port);
  EXPECT_EQ(ports.size(), 9u);
  EXPECT_EQ(*ports.begin(), 2000);
  EXPECT_EQ(*ports.rbegin(), 2008);
  EXPECT_FALSE(rig.out(x, b1));
}

TEST(NatPorts, ANarrowedRangeBindsPreserveToo) {
  Rig rig("EIM/APDF,port_range=6000-6009");
  const auto port = rig.out(x, a1)->port;
  EXPECT_TRUE(port >= 6000 && port <= 6009);
  EXPECT_EQ(rig.out({"10.0.0.2", 6003}, a1)->port, 6003);
}

TEST(NatPorts, ParityIsKept) {
  for (const auto* ports : {"random", "sequential"}) {
    Rig rig(std::string("EIM/APDF/") + ports + ",parity=on");
    for (std::uint16_t i = 0; i < 64; ++i)
      EXPECT_EQ(rig.out({"10.0.0.2", std::uint16_t(7000 + i)}, a1)->port % 2, i % 2) << ports;
  }
}

TEST(NatPorts, ContiguityPutsRtcpAboveRtp) {
  Rig on("EIM/APDF/random,contiguity=on,parity=on"), off("EIM/APDF/random");
  const auto rtp = on.out({"10.0.0.2", 7000}, a1);
  EXPECT_EQ(on.out({"10.0.0.2", 7001}, a1)->port, rtp->port + 1);
  EXPECT_NE(off.out({"10.0.0.2", 7001}, a1)->port, off.out({"10.0.0.2", 7000}, a1)->port + 1);
}

TEST(NatPorts, LinuxKeepsPortClassesApart) {
  Rig rig("APDM/APDF/random,port_classes=on");
  for (std::uint16_t i = 1; i <= 50; ++i) {
    const Host remote{"203.0.113.1", i};
    EXPECT_LE(rig.out({"10.0.0.2", 80}, remote)->port, 511);
    const auto middle = rig.out({"10.0.0.2", 700}, remote)->port;
    EXPECT_TRUE(middle >= 600 && middle <= 1023) << middle;
    EXPECT_GE(rig.out({"10.0.0.2", 5000}, remote)->port, 1024);
  }
}

/// As tests/kernel sees them of masquerade.
TEST(NatReuse, ASocketKeepsTheLatestPortItWasGivenWhereThatIsFree) {
  Rig rig("linux");
  EXPECT_EQ(rig.out(x, a1), mapped);
  const auto other = rig.out(y, a1);
  EXPECT_NE(other->port, 5000);
  EXPECT_EQ(rig.out(y, b1), other);  // though 5000 is free towards that remote
  EXPECT_EQ(rig.out(x, b1), mapped);
  rig.wait(60s);
  EXPECT_EQ(rig.out(y, a1)->port, 5000);  // nothing is left of either
}

TEST(NatReuse, SpreadsWhatCommitStateDid) {
  Rig rig("linux");
  EXPECT_FALSE(rig.in(a1, mapped));
  const auto exiled = rig.out(x, a1);
  EXPECT_NE(exiled, mapped);
  EXPECT_EQ(rig.out(x, b1), exiled);
}

// Blocks and pools: RFC 7422, RFC 6888, RFC 4787 REQ-2

Nat pooled(const std::string& kind, int addresses) {
  std::vector<Address> pool;
  for (int i = 1; i <= addresses; ++i) pool.push_back(address("198.51.100." + std::to_string(i)));
  return Nat(parse_behaviour(kind).value(), pool, 3);
}

std::optional<Host> sent(Nat& nat, const Host& from, const Host& to, Time now = 0s) {
  Bytes packet = udp(from, to);
  if (!nat.outbound(packet, now).forward) return {};
  EXPECT_TRUE(checksums_valid(packet));
  return read(packet).source;
}

TEST(NatBlocks, ASubscribersPortsLieInItsBlocksAndEndWithThem) {
  Rig rig("EIM/APDF/random,port_block=64,port_blocks=2");
  std::map<std::string, std::set<int>> blocks;
  for (std::uint16_t i = 0; i < 128; ++i)
    for (const auto* host : {"10.0.0.2", "10.0.0.3"}) {
      const auto out = rig.out({host, std::uint16_t(3000 + i)}, a1);
      ASSERT_TRUE(out) << host << " " << i;
      blocks[host].insert((out->port - 1024) / 64);
    }
  EXPECT_EQ(blocks["10.0.0.2"].size(), 2u);
  EXPECT_EQ(blocks["10.0.0.3"].size(), 2u);
  for (const int block : blocks["10.0.0.2"]) EXPECT_FALSE(blocks["10.0.0.3"].contains(block));
  EXPECT_FALSE(rig.out({"10.0.0.2", 9000}, a1));
  EXPECT_EQ(rig.last.rule, Rule::no_port);
  EXPECT_TRUE(rig.out({"10.0.0.4", 9000}, a1));
}

TEST(NatBlocks, ABlockIsGivenBackWithItsLastMapping) {
  Rig rig("EIM/APDF/random,port_block=100,port_range=2000-2099");  // one block in all
  EXPECT_TRUE(rig.out(x, a1));
  EXPECT_FALSE(rig.out(y, a1));
  rig.wait(300s);
  EXPECT_TRUE(rig.out(y, a1));
}

TEST(NatBlocks, APortThatMustBeKeptMakesItsBlockTheHosts) {
  Rig rig("EIM/APDF/preserve,contention=drop,port_block=64,port_blocks=2");
  const std::string first = "10.0.0.2", second = "10.0.0.3";
  EXPECT_EQ(rig.out({first, 1024 + 64}, a1)->port, 1024 + 64);
  EXPECT_EQ(rig.out({first, 1024 + 127}, a1)->port, 1024 + 127);
  EXPECT_FALSE(rig.out({second, 1024 + 65}, a1)) << "the block is another host's";
  EXPECT_EQ(rig.out({first, 5000}, a1)->port, 5000);
  EXPECT_FALSE(rig.out({first, 9000}, a1)) << "two blocks are all it may have";
  EXPECT_FALSE(rig.out({second, 1023}, a1)) << "no block reaches below the range";
  rig.wait(300s);
  EXPECT_EQ(rig.out({second, 1024 + 65}, a1)->port, 1024 + 65);
}

TEST(NatPool, PairedHostsKeepTheirAddressAndArbitraryOnesDoNot) {
  Nat paired = pooled("APDM/APDF/random", 8), arbitrary = pooled("APDM/APDF/random,pooling=arbitrary", 8);
  std::set<std::string> of_paired, of_arbitrary, of_hosts;
  for (std::uint16_t i = 1; i <= 60; ++i) {
    of_paired.insert(sent(paired, x, {"203.0.113.1", i})->address);
    of_arbitrary.insert(sent(arbitrary, x, {"203.0.113.1", i})->address);
    of_hosts.insert(sent(paired, {"10.0.1." + std::to_string(i), 5000}, a1)->address);
  }
  EXPECT_EQ(of_paired.size(), 1u);
  EXPECT_EQ(of_arbitrary.size(), 8u);
  EXPECT_EQ(of_hosts.size(), 8u);
}

TEST(NatPool, AnswersComeBackToEachAddress) {
  Nat nat = pooled("APDM/APDF/preserve,pooling=arbitrary", 4);
  for (std::uint16_t i = 1; i <= 40; ++i) {
    const Host remote{"203.0.113.1", i};
    const auto out = sent(nat, x, remote);
    Bytes reply = udp(remote, *out);
    ASSERT_TRUE(nat.inbound(reply, 0s).forward);
    EXPECT_EQ(read(reply).destination, x);
  }
}

TEST(NatPool, StaticGivesEachHostAnAddressAndKeepsItsPorts) {
  Nat nat = pooled("EIM/APDF,translate=static", 2);
  const auto first = sent(nat, x, a1), second = sent(nat, y, a1);
  EXPECT_EQ(first, (Host{"198.51.100.1", 5000}));
  EXPECT_EQ(second, (Host{"198.51.100.2", 5000}));
  EXPECT_FALSE(sent(nat, z, a1));  // there is none left
  Bytes reply = udp(a1, *second), stranger = udp(b1, *second);
  EXPECT_TRUE(nat.inbound(reply, 0s).forward);
  EXPECT_EQ(read(reply).destination, y);
  EXPECT_FALSE(nat.inbound(stranger, 0s).forward);
}

TEST(NatPool, StaticWithoutAFilterLetsEverythingIn) {
  Nat nat = pooled("EIM/EIF,translate=static", 2);
  sent(nat, x, a1);
  for (Bytes packet : {udp(b1, mapped), tcp(b1, mapped, ACK), echo_request(b1, mapped, 7)}) {
    ASSERT_TRUE(nat.inbound(packet, 0s).forward);
    EXPECT_EQ(read(packet).destination.address, x.address);
    EXPECT_TRUE(checksums_valid(packet));
  }
}

// Limits: RFC 6888 REQ-4

TEST(NatLimits, HoldOverallAndForEachHost) {
  for (const auto* mapping : {"EIM/APDF/random", "APDM/APDF/random", "APDM/ADF/random"}) {
    Rig all(std::string(mapping) + ",max_mappings=3"),
        each(std::string(mapping) + ",max_mappings_per_host=2");
    for (std::uint16_t i = 0; i < 5; ++i) {
      const Host from{"10.0.0.2", std::uint16_t(4000 + i)};
      EXPECT_EQ(all.out(from, a1).has_value(), i < 3) << mapping;
      EXPECT_EQ(each.out(from, a1).has_value(), i < 2) << mapping;
    }
    EXPECT_EQ(each.last.rule, Rule::table_full);
    EXPECT_TRUE(each.out(y, a1)) << mapping;
    EXPECT_FALSE(all.tcp_out(y, a1, SYN)) << mapping;  // one limit for all transports
  }
}

TEST(NatLimits, EvictOldestEndsTheMappingThatIsIdleForLongest) {
  for (const auto* limit : {"max_mappings=3", "max_mappings_per_host=3"})
    for (const auto* mapping : {"EIM/APDF", "APDM/APDF"}) {
      Rig rig(std::string(mapping) + ",when_full=evict-oldest," + limit);
      for (std::uint16_t i = 0; i < 3; ++i) rig.out({"10.0.0.2", std::uint16_t(4000 + i)}, a1);
      rig.in(a1, {outside_address, 4000});  // so that 4001 is the oldest
      EXPECT_TRUE(rig.out({"10.0.0.2", 4003}, a1));
      EXPECT_EQ(rig.size(), 3u);
      EXPECT_FALSE(rig.in(a1, {outside_address, 4001})) << mapping << limit;
      EXPECT_TRUE(rig.in(a1, {outside_address, 4000})) << mapping << limit;
      EXPECT_TRUE(rig.in(a1, {outside_address, 4002})) << mapping << limit;
      rig.wait(1000s);
      EXPECT_EQ(rig.size(), 0u);
    }
}

// Hairpinning: RFC 4787 §6

TEST(NatHairpin, ShowsTheOutsideOrTheInsideSource) {
  for (const auto* kind : {"EIM/EIF,hairpin=external", "EIM/EIF,hairpin=internal"}) {
    Rig rig(kind);
    const auto target = rig.out(y, a1);
    Bytes packet = udp(x, *target);
    ASSERT_TRUE(rig.outbound(packet).forward) << kind;
    EXPECT_EQ(read(packet).destination, y);
    const Host outside_x{outside_address, rig.out(x, a1)->port};
    EXPECT_EQ(read(packet).source, std::string(kind).ends_with("external") ? outside_x : x) << kind;
  }
}

TEST(NatHairpin, ExternalGoesThroughTheFilterAndBack) {
  Rig rig("EIM/APDF/random,hairpin=external");
  const auto to_y = rig.out(y, a1), to_x = rig.out(x, a1);
  EXPECT_FALSE(rig.out(x, *to_y));
  EXPECT_EQ(rig.last.rule, Rule::filtered);
  Bytes back = udp(y, *to_x);
  EXPECT_TRUE(rig.outbound(back).forward);  // x has sent there, if in vain
  EXPECT_EQ(read(back).destination, x);
  EXPECT_EQ(read(back).source, *to_y);
}

TEST(NatHairpin, HoldsForTcpAndForErrors) {
  Rig rig("EIM/EIF/random,hairpin=external");
  const auto to_y = rig.tcp_out(y, a1, SYN);
  Bytes syn = tcp(x, *to_y, SYN);
  ASSERT_TRUE(rig.outbound(syn).forward);
  EXPECT_EQ(read(syn).destination, y);
  Bytes error = icmp_error(y, read(syn).source, 3, 3, syn);
  ASSERT_TRUE(rig.outbound(error).forward);  // RFC 5508 REQ-7
  EXPECT_EQ(read(error).destination.address, x.address);
  EXPECT_EQ(read(quoted(error)).source, x);
}

TEST(NatHairpin, RefuseIsTheRoutersOwnWord) {
  Rig rig("EIM/EIF,hairpin=refuse");
  rig.out(y, a1);
  EXPECT_FALSE(rig.out(x, mapped));
  EXPECT_EQ(read(rig.last.answer).transport[1], 3);
  EXPECT_FALSE(rig.tcp_out(x, mapped, SYN));
  EXPECT_EQ(read(rig.last.answer).transport[13], RST | ACK);
}

// Unsolicited packets: RFC 5382 REQ-4

TEST(NatLateAnswer, ComesSixSecondsAfterTheFirstSyn) {
  Rig rig("EIM/APDF,unsolicited=delayed-icmp");
  EXPECT_FALSE(rig.nat.due());
  const Bytes syn = tcp(a1, mapped, SYN);
  rig.wait(1s);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN));
  EXPECT_TRUE(rig.last.answer.empty());
  rig.wait(2s);
  rig.tcp_in(a1, mapped, SYN);  // a repeat
  EXPECT_EQ(rig.nat.due(), 7s);
  EXPECT_TRUE(rig.nat.emit(7s - 1ns).empty());
  const auto out = rig.nat.emit(7s);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(read(out[0]).destination.address, a1.address);
  EXPECT_EQ(read(out[0]).transport[0], 3);
  EXPECT_EQ(read(out[0]).transport[1], 3);
  EXPECT_EQ(quoted(out[0]), syn);
  EXPECT_TRUE(checksums_valid(out[0]));
  EXPECT_FALSE(rig.nat.due());
}

TEST(NatLateAnswer, IsCancelledByOurOwnSyn) {
  Rig rig("EIM/APDF,unsolicited=delayed-icmp,unsolicited_delay=10s");
  rig.tcp_in(a1, mapped, SYN);
  rig.tcp_in(b1, mapped, SYN);
  rig.wait(3s);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  const auto out = rig.nat.emit(20s);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(read(out[0]).destination.address, b1.address);
}

TEST(NatLateAnswer, UdpAndOtherSegmentsGetNone) {
  Rig rig("EIM/APDF,unsolicited=delayed-icmp");
  rig.in(a1, mapped);
  rig.tcp_in(a1, mapped, ACK);
  EXPECT_FALSE(rig.nat.due());
}

TEST(NatAccept, TheRoutersServiceAnswersAndHangsUp) {
  Rig rig("EIM/APDF,unsolicited=accept");
  Bytes syn = tcp(a1, mapped, SYN, {.sequence = 41});
  const Read opened = read(rig.inbound(syn).answer);
  EXPECT_EQ(rig.last.rule, Rule::accepted);
  EXPECT_EQ(opened.transport[13], SYN | ACK);
  EXPECT_EQ(read32(opened.transport, 8), 42u);
  Bytes data = tcp(a1, mapped, ACK, {.sequence = 42, .acknowledgement = 9, .payload = {1, 2}});
  const Read closed = read(rig.inbound(data).answer);
  EXPECT_EQ(closed.transport[13], FIN | ACK);
  EXPECT_EQ(read32(closed.transport, 4), 9u);
  EXPECT_EQ(read32(closed.transport, 8), 44u);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, ACK));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_NE(rig.tcp_out(x, a1, SYN), mapped);  // the tuple is the router's
}

TEST(NatDenyList, PunishesEarlyPacketsUntilItsTimeIsOver) {
  for (const auto* key : {"address", "endpoint"}) {
    Rig rig(std::string("EIM/APDF,deny_list=10s,deny_key=") + key);
    EXPECT_FALSE(rig.in(a1, mapped));
    EXPECT_FALSE(rig.out(x, a1));
    EXPECT_EQ(rig.last.rule, Rule::denied);
    EXPECT_EQ(rig.out(x, a2).has_value(), std::string(key) == "endpoint");
    EXPECT_TRUE(rig.out(x, b1));
    rig.wait(9s);
    EXPECT_FALSE(rig.in(a1, mapped));  // and it begins anew
    rig.wait(10s - 1ns);
    EXPECT_FALSE(rig.out(x, a1));
    rig.wait(1ns);
    EXPECT_TRUE(rig.out(x, a1));
  }
}

// TCP

TEST(NatOutOfState, AnswersPicksUpOrLeaks) {
  Rig resets("EIM/APDF,out_of_state=reset"), picks("EIM/APDF,out_of_state=pick-up"),
      leaks("linux-input-drop");
  EXPECT_FALSE(resets.tcp_out(x, a1, ACK));
  EXPECT_EQ(read(resets.last.answer).transport[13], RST);
  EXPECT_EQ(picks.tcp_out(x, a1, ACK), mapped);
  EXPECT_EQ(picks.tcp_in(a1, mapped, ACK), x);
  picks.wait(1h);  // it is established
  EXPECT_EQ(picks.tcp_in(a1, mapped, ACK), x);
  EXPECT_FALSE(picks.tcp_out(y, a1, FIN | ACK));
  EXPECT_EQ(leaks.tcp_out(x, a1, FIN | ACK), x);  // untranslated
  EXPECT_EQ(leaks.tcp_out(y, a1, SYN | ACK), y);
  EXPECT_EQ(leaks.tcp_out(x, a1, ACK), mapped);
}

TEST(NatInspection, DropsOurSynAckAfterOurSyn) {
  Rig rig("EIM/APDF,syn_ack_after_syn=drop");
  rig.tcp_out(x, a1, SYN);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN), x);
  EXPECT_FALSE(rig.tcp_out(x, a1, SYN | ACK));
  EXPECT_EQ(rig.last.rule, Rule::syn_ack);
  Rig open("EIM/EIF,syn_ack_after_syn=drop");
  open.tcp_out(x, a1, SYN);
  EXPECT_EQ(open.tcp_in(b1, mapped, SYN), x);
  EXPECT_EQ(open.tcp_out(x, b1, SYN | ACK), mapped);  // no SYN of ours was there
}

// ICMP, TTL, fragments

TEST(NatEcho, AnswersPingsToItselfWhereItIsToldTo) {
  Rig rig("EIM/APDF,echo=answer");
  Bytes ping = echo_request(a1, {outside_address}, 9);
  const Read reply = read(rig.inbound(ping).answer);
  EXPECT_EQ(reply.destination, (Host{a1.address, 9}));
  EXPECT_EQ(reply.source.address, outside_address);
  EXPECT_TRUE(checksums_valid(rig.last.answer));
  EXPECT_EQ(Bytes(reply.transport.begin() + 4, reply.transport.end()), Bytes(ping.begin() + 24, ping.end()));
}

TEST(NatIcmp, ErrorsMayBeSwitchedOff) {
  Rig rig("EIM/APDF,icmp_errors=drop");
  Bytes ours = udp(x, a1);
  rig.outbound(ours);
  Bytes error = icmp_error(a1, {outside_address}, 3, 3, ours);
  EXPECT_EQ(rig.inbound(error).rule, Rule::icmp_error);
}

TEST(NatTtl, TheRouterSaysWhereAPacketExpired) {
  Rig rig("EIM/EIF"), silent("EIM/EIF,ttl_expired=drop");
  Bytes last = udp(x, a1, {1}, 1);
  const auto answer = rig.outbound(last).answer;
  EXPECT_EQ(read(answer).transport[0], 11);
  EXPECT_EQ(read(answer).source.address, outside_address);
  EXPECT_EQ(read(answer).destination.address, x.address);
  EXPECT_TRUE(checksums_valid(answer));
  EXPECT_TRUE(silent.outbound(last).answer.empty());
}

TEST(NatTtl, AFirewallHasNoAddressToSaySoFrom) {
  Rig firewall("EIM/APDF,translate=off");
  Bytes last = udp(x, a1, {1}, 1);
  EXPECT_TRUE(firewall.outbound(last).answer.empty());
  EXPECT_EQ(firewall.last.rule, Rule::ttl_expired);
}

/// A datagram in two fragments, the second without ports.
std::pair<Bytes, Bytes> fragments(const Host& from, const Host& to) {
  const Bytes whole = udp(from, to, Bytes(40, 7));
  Bytes first(whole.begin(), whole.begin() + 20 + 24), second(whole.begin(), whole.begin() + 20);
  second.insert(second.end(), whole.begin() + 20 + 24, whole.end());
  write16(first, 2, static_cast<std::uint16_t>(first.size()));
  write16(first, 6, 0x2000);
  write16(second, 2, static_cast<std::uint16_t>(second.size()));
  write16(second, 6, 3);
  seal_ipv4(first);
  seal_ipv4(second);
  return {first, second};
}

Bytes joined(const Bytes& first, const Bytes& second) {
  Bytes whole = first;
  whole.insert(whole.end(), second.begin() + 20, second.end());
  write16(whole, 2, static_cast<std::uint16_t>(whole.size()));
  write16(whole, 6, 0);
  seal_ipv4(whole);
  return whole;
}

TEST(NatFragments, PassInOrderBothWays) {
  for (const auto* kind : {"EIM/APDF/random", "EIM/APDF/random,fragments=ordered"}) {
    Rig rig(kind);
    auto [first, second] = fragments(x, a1);
    ASSERT_TRUE(rig.nat.outbound(first, 0s).forward);
    ASSERT_TRUE(rig.nat.outbound(second, 0s).forward) << kind;
    const Bytes whole = joined(first, second);
    EXPECT_TRUE(checksums_valid(whole));
    EXPECT_EQ(read(whole).source.address, outside_address);
    auto [back, rest] = fragments(a1, read(whole).source);
    ASSERT_TRUE(rig.nat.inbound(back, 0s).forward);
    ASSERT_TRUE(rig.nat.inbound(rest, 0s).forward);
    EXPECT_EQ(read(joined(back, rest)).destination, x);
    EXPECT_TRUE(checksums_valid(joined(back, rest)));
  }
}

TEST(NatFragments, WaitForTheFirstWhereTheyMayComeInAnyOrder) {
  Rig rig("EIM/APDF/random"), ordered("EIM/APDF/random,fragments=ordered"), none("EIM/APDF,fragments=drop");
  auto [first, second] = fragments(x, a1);
  Bytes early = second;
  EXPECT_EQ(rig.nat.outbound(early, 0s).rule, Rule::fragment);
  const auto verdict = rig.nat.outbound(first, 14s);
  ASSERT_TRUE(verdict.forward);
  ASSERT_EQ(verdict.released.size(), 1u);
  EXPECT_TRUE(checksums_valid(joined(first, verdict.released[0])));
  EXPECT_EQ(verdict.released[0][8], 63);  // one hop

  auto [again, late] = fragments(x, a1);
  ordered.nat.outbound(late, 0s);
  EXPECT_TRUE(ordered.nat.outbound(again, 0s).released.empty());
  EXPECT_EQ(none.nat.outbound(again, 0s).rule, Rule::fragment);
}

TEST(NatFragments, AreForgottenAfter15sAndBounded) {
  Rig rig("EIM/APDF/random");
  auto [first, second] = fragments(x, a1);
  Bytes early = second;
  rig.nat.outbound(early, 0s);
  EXPECT_TRUE(rig.nat.outbound(first, 15s).released.empty());
  for (std::uint16_t i = 0; i < 4000; ++i) {  // of datagrams whose first fragment never comes
    Bytes lone = second;
    write16(lone, 4, i);
    seal_ipv4(lone);
    EXPECT_EQ(rig.nat.outbound(lone, 16s).rule, Rule::fragment);
  }
  auto [fresh, rest] = fragments(x, a1);
  EXPECT_TRUE(rig.nat.outbound(fresh, 40s).forward);
  EXPECT_TRUE(rig.nat.outbound(rest, 40s).forward);
}

TEST(NatFragments, OfWhatTheFilterDropsStayOutside) {
  Rig rig("EIM/APDF");
  rig.out(x, b1);
  auto [first, second] = fragments(a1, mapped);
  EXPECT_FALSE(rig.nat.inbound(first, 0s).forward);
  EXPECT_FALSE(rig.nat.inbound(second, 0s).forward);
}

// What a firewall forbids

TEST(NatPolicy, OnlyAllowedPortsMayBeContacted) {
  Rig rig("EIM/EIF,tcp_allowed_ports=80+443");
  EXPECT_TRUE(rig.tcp_out(x, {"203.0.113.1", 443}, SYN));
  EXPECT_FALSE(rig.tcp_out(x, {"203.0.113.1", 4001}, SYN));
  EXPECT_EQ(rig.last.rule, Rule::blocked);
  EXPECT_TRUE(rig.out(x, a1));  // UDP is another matter
  EXPECT_EQ(rig.tcp_in(b1, mapped, SYN), x);
  EXPECT_TRUE(rig.tcp_out(x, {"203.0.113.1", 443}, ACK));
}

TEST(NatPolicy, APortalAnswersWebTrafficItselfAndPassesNothing) {
  Rig rig("EIM/EIF,captive=on");
  EXPECT_FALSE(rig.tcp_out(x, {"203.0.113.1", 443}, SYN));
  EXPECT_EQ(rig.last.rule, Rule::captive);
  EXPECT_EQ(read(rig.last.answer).source, (Host{"203.0.113.1", 443}));
  EXPECT_EQ(read(rig.last.answer).transport[13], SYN | ACK);
  EXPECT_FALSE(rig.tcp_out(x, {"203.0.113.1", 4001}, SYN));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_FALSE(rig.out(x, a1));
  EXPECT_FALSE(rig.in(a1, mapped));
}

TEST(NatPolicy, EachTransportMayBeBlocked) {
  Rig tcp_rig("EIM/EIF,tcp_blocked=on"), echo("EIM/EIF,icmp_blocked=on");
  EXPECT_FALSE(tcp_rig.tcp_out(x, a1, SYN));
  EXPECT_TRUE(tcp_rig.out(x, a1));
  Bytes ping = echo_request(x, a1, 1);
  EXPECT_EQ(echo.outbound(ping).rule, Rule::blocked);
}

TEST(NatTransports, EachHasItsOwnMappingAndFilter) {
  Rig rig("EIM/EIF/preserve,tcp_mapping=APDM,tcp_filtering=APDF,tcp_ports=random");
  EXPECT_EQ(rig.out(x, a1), mapped);
  EXPECT_EQ(rig.in(b1, mapped), x);
  const auto first = rig.tcp_out(x, a1, SYN);
  EXPECT_NE(rig.tcp_out(x, b1, SYN), first);
  EXPECT_FALSE(rig.tcp_in(a2, *first, SYN));
}

// Port forwards

TEST(NatForward, LetsEverybodyInAndAnswersFromItsPort) {
  for (const auto* kind : {"EIM/APDF/random", "APDM/APDF/random", "linux"}) {
    Rig rig(kind);
    const Forward forward{Transport::udp, 4001, {address("10.0.0.2"), 5000}};
    ASSERT_FALSE(rig.nat.open_forward(forward, rig.now)) << kind;
    EXPECT_EQ(rig.nat.forwards(), std::vector<Forward>{forward});
    const Host open{outside_address, 4001};
    EXPECT_EQ(rig.in(a1, open), x) << kind;
    EXPECT_EQ(rig.out(x, a1), open) << kind;
    EXPECT_EQ(rig.out(x, b1), open) << kind;
    EXPECT_NE(rig.out({"10.0.0.3", 4001}, b1), open) << kind;
    EXPECT_FALSE(rig.tcp_in(a1, open, SYN)) << kind;
    ASSERT_FALSE(rig.nat.close_forward(Transport::udp, 4001));
    rig.wait(1000s);
    EXPECT_FALSE(rig.in(a1, open)) << kind;
    EXPECT_EQ(rig.nat.close_forward(Transport::udp, 4001), std::errc::invalid_argument);
  }
}

TEST(NatForward, DoesNotTakeAPortFromAnother) {
  Rig rig("APDM/APDF/preserve");
  rig.out(x, a1);
  EXPECT_EQ(rig.nat.open_forward({Transport::udp, 5000, {address("10.0.0.3"), 5000}}, rig.now),
            std::errc::address_in_use);
  EXPECT_FALSE(rig.nat.open_forward({Transport::udp, 5000, {address("10.0.0.2"), 5000}}, rig.now));
  EXPECT_EQ(rig.nat.open_forward({Transport::udp, 5000, {address("10.0.0.4"), 1}}, rig.now),
            std::errc::address_in_use);
  EXPECT_EQ(rig.nat.open_forward({Transport::icmp, 5, {address("10.0.0.4"), 1}}, rig.now),
            std::errc::invalid_argument);
}

// IPv6: RFC 6092

const Host x6{"2001:db8::2", 5000}, a6{"2001:db8:1::1", 1000}, b6{"2001:db8:2::1", 1000};

TEST(Ipv6Rules, SwitchTheFirewallWithoutTheNat) {
  Rig rig("EIM/EIF,ipv6_udp_filtering=APDF,ipv6_udp_timeout=10s,ipv6_tcp_blocked=on,ipv6_icmp_errors=drop");
  rig.out(x6, a6);
  EXPECT_EQ(rig.in(a6, x6), x6);
  EXPECT_FALSE(rig.in(b6, x6));
  EXPECT_FALSE(rig.tcp_out(x6, a6, SYN));
  Bytes ours = udp(x6, a6), error = icmp_error(a6, x6, 1, 4, ours);
  EXPECT_EQ(rig.inbound(error).rule, Rule::icmp_error);
  rig.out(x, a1);
  EXPECT_EQ(rig.in(b1, mapped), x);
  EXPECT_TRUE(rig.tcp_out(x, a1, SYN));
  rig.wait(10s);
  EXPECT_FALSE(rig.in(a6, x6));
}

TEST(Ipv6Rules, Rec34SaysProhibitedAfterSixSeconds) {
  Rig rig("EIM/APDF,ipv6_tcp_unsolicited=delayed-icmp");
  rig.tcp_in(a6, x6, SYN);
  ASSERT_EQ(rig.nat.due(), 6s);
  const auto out = rig.nat.emit(6s);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(read(out[0]).transport[0], 1);
  EXPECT_EQ(read(out[0]).transport[1], 1);
}

TEST(Ipv6Rules, Rec49LetsEverythingThrough) {
  Rig rig("EIM/APDF,ipv6_transparent=on");
  EXPECT_EQ(rig.in(a6, x6), x6);
  EXPECT_EQ(rig.tcp_in(a6, x6, SYN), x6);
  EXPECT_FALSE(rig.in(a1, mapped));
}

}  // namespace
}  // namespace flaresim::nat::test
