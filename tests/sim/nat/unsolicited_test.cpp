#include <gtest/gtest.h>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, y{"10.0.0.3", 5000};
const Host peer{"203.0.113.1", 6000}, other{"203.0.113.2", 6000};
const Host mapped{outside_address, 5000};

TEST(NatUnsolicited, DropIsSilent) {
  Rig rig("EIM/APDF,unsolicited=drop");
  EXPECT_FALSE(rig.in(peer, mapped));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_FALSE(rig.tcp_in(peer, mapped, SYN));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatUnsolicited, IcmpSaysProhibitedAndQuotesThePacket) {
  Rig rig("EIM/APDF,unsolicited=icmp");
  for (const Bytes& packet : {udp(peer, mapped), tcp(peer, mapped, SYN)}) {
    Bytes sent = packet;
    const auto answer = rig.inbound(sent).answer;
    EXPECT_EQ(sent, packet);
    const Read r = read(answer);
    EXPECT_EQ(r.source.address, outside_address);
    EXPECT_EQ(r.destination.address, peer.address);
    EXPECT_EQ(r.protocol, 1);
    EXPECT_EQ(r.ttl, 64);
    EXPECT_EQ(r.transport[0], 3);
    EXPECT_EQ(r.transport[1], 13);
    EXPECT_EQ(read32(r.transport, 4), 0u);
    EXPECT_EQ(quoted(answer), packet);
    EXPECT_EQ(read16(answer, 2), answer.size());
    EXPECT_TRUE(checksums_valid(answer));
  }
}

TEST(NatUnsolicited, IcmpQuotesNoMoreThanFitsInto576Bytes) {
  Rig rig("EIM/APDF,unsolicited=icmp");
  Bytes packet = udp(peer, mapped, Bytes(1400, 7));
  const auto answer = rig.inbound(packet).answer;
  EXPECT_EQ(answer.size(), 576u);
  EXPECT_EQ(quoted(answer), Bytes(packet.begin(), packet.begin() + 548));
}

TEST(NatUnsolicited, ResetAcknowledgesASynThatCarriesNoAck) {
  Rig rig("EIM/APDF,tcp_unsolicited=reset");
  Bytes syn = tcp(peer, mapped, SYN, {.sequence = 0xfffffffe, .payload = {1, 2, 3}});
  const auto answer = rig.inbound(syn).answer;
  const Read r = read(answer);
  EXPECT_EQ(r.source, mapped);
  EXPECT_EQ(r.destination, peer);
  EXPECT_EQ(r.transport.size(), 20u);
  EXPECT_EQ(r.transport[13], RST | ACK);
  EXPECT_EQ(read32(r.transport, 4), 0u);
  EXPECT_EQ(read32(r.transport, 8), 2u);  // SYN and three bytes, modulo 2³²
  EXPECT_TRUE(checksums_valid(answer));
}

TEST(NatUnsolicited, ResetTakesItsSequenceNumberFromAnAck) {
  Rig rig("EIM/APDF,tcp_unsolicited=reset");
  Bytes packet = tcp(peer, mapped, SYN | ACK, {.sequence = 5, .acknowledgement = 4711});
  const Read r = read(rig.inbound(packet).answer);
  EXPECT_EQ(r.transport[13], RST);
  EXPECT_EQ(read32(r.transport, 4), 4711u);
  EXPECT_EQ(read32(r.transport, 8), 0u);
}

TEST(NatUnsolicited, ResetCountsTheLengthThatTheIpHeaderStates) {
  Rig rig("EIM/APDF,tcp_unsolicited=reset");
  Bytes packet = tcp(peer, mapped, FIN, {.sequence = 100, .payload = Bytes(50, 1)});
  packet.resize(40);  // the payload was not handed over
  const Read r = read(rig.nat.inbound(packet, 0s).answer);
  EXPECT_EQ(read32(r.transport, 8), 151u);
}

TEST(NatUnsolicited, ARstIsNeverAnswered) {
  Rig rig("EIM/APDF,tcp_unsolicited=reset");
  EXPECT_FALSE(rig.tcp_in(peer, mapped, RST));
  EXPECT_TRUE(rig.last.answer.empty());
  EXPECT_FALSE(rig.tcp_in(peer, mapped, RST | ACK));
  EXPECT_TRUE(rig.last.answer.empty());
}

TEST(NatUnsolicited, OutOfStatePacketsAreAnsweredToo) {
  Rig rig("EIM/EIF,tcp_unsolicited=reset");
  rig.tcp_out(x, peer, SYN);
  EXPECT_FALSE(rig.tcp_in(other, mapped, ACK));
  EXPECT_EQ(rig.last.rule, Rule::out_of_state);
  EXPECT_FALSE(rig.last.answer.empty());
}

TEST(NatUnsolicited, NothingIsSentToAddressesThatAreNoHosts) {
  Rig rig("EIM/APDF,udp_unsolicited=icmp,tcp_unsolicited=reset");
  for (const auto* from : {"224.0.0.1", "255.255.255.255", "0.0.0.0", "127.0.0.1"}) {
    EXPECT_FALSE(rig.in({from, 1}, mapped));
    EXPECT_TRUE(rig.last.answer.empty()) << from;
    EXPECT_FALSE(rig.tcp_in({from, 1}, mapped, SYN));
    EXPECT_TRUE(rig.last.answer.empty()) << from;
  }
}

TEST(NatUnsolicited, EachTransportHasItsOwnPolicy) {
  Rig rig("linux");
  EXPECT_FALSE(rig.in(peer, mapped));
  EXPECT_EQ(rig.last.rule, Rule::committed);
  EXPECT_FALSE(rig.tcp_in(other, mapped, SYN));
  EXPECT_EQ(rig.last.rule, Rule::no_mapping);
  EXPECT_EQ(read(rig.last.answer).transport[13], RST | ACK);
}

// Commit-state

TEST(NatCommitState, TakesTheTupleSoThatOurOwnFlowLeavesByAnotherPort) {
  Rig rig("linux");
  EXPECT_FALSE(rig.in(peer, mapped));
  EXPECT_EQ(rig.last.rule, Rule::committed);
  const auto ours = rig.out(x, peer);
  ASSERT_TRUE(ours);
  EXPECT_NE(ours->port, 5000);
  EXPECT_EQ(rig.out(x, peer), ours);
  EXPECT_EQ(rig.in(peer, *ours), x);
  EXPECT_EQ(rig.out(x, other), ours);  // and it goes on from there, though 5000 is free towards that remote
}

TEST(NatCommitState, DoesNothingToAFlowThatWasThereBefore) {
  Rig rig("linux");
  EXPECT_EQ(rig.out(x, peer), mapped);
  EXPECT_EQ(rig.in(peer, mapped), x);
  EXPECT_EQ(rig.out(x, peer), mapped);
}

TEST(NatCommitState, ForwardsNothing) {
  Rig rig("linux");
  rig.in(peer, mapped);
  rig.out(x, peer);
  EXPECT_FALSE(rig.in(peer, mapped));
  EXPECT_EQ(rig.last.rule, Rule::committed);
}

TEST(NatCommitState, AnswersUdpAsAHostWithoutAListenerDoes) {
  Rig rig("linux");
  for (int i = 0; i < 2; ++i) {
    Bytes packet = udp(peer, mapped);
    const auto answer = rig.inbound(packet).answer;
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(read(answer).transport[0], 3);
    EXPECT_EQ(read(answer).transport[1], 3);
    EXPECT_EQ(quoted(answer), packet);
    EXPECT_TRUE(checksums_valid(answer));
  }
}

TEST(NatCommitState, HoldsForTheUnrepliedTimeoutAfterTheLastPacket) {
  Rig rig("linux");
  rig.in(peer, mapped);
  rig.wait(20s);
  rig.in(peer, mapped);
  rig.wait(30s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_EQ(rig.out(x, peer), mapped);
}

/// Two peers behind NATs of this kind, 20 ms apart, know each other's mapped endpoints; B sends `stagger`
/// after A. Do both NATs let the other's packet in?
bool punches(const std::string& kind, Time stagger) {
  const Host inside_a{"10.0.0.2", 5000}, inside_b{"10.0.0.2", 6000};
  const Host b_seen_by_a{"203.0.113.1", 6000}, a_seen_by_b{"203.0.113.50", 5000};
  const Time one_way = 20ms;
  Rig a(kind), b(kind);
  a.out(inside_a, other);  // how they were learned
  b.out(inside_b, other);
  a.now = 1s;
  const auto from_a = a.out(inside_a, b_seen_by_a);
  std::optional<Host> from_b, to_b;
  const auto b_sends = [&] {
    b.now = 1s + stagger;
    from_b = b.out(inside_b, a_seen_by_b);
  };
  const auto b_receives = [&] {
    b.now = 1s + one_way;
    to_b = b.in({a_seen_by_b.address, from_a->port}, {outside_address, 6000});
  };
  if (stagger < one_way) b_sends();
  b_receives();
  if (stagger > one_way) b_sends();
  a.now = 1s + stagger + one_way;
  return a.in({b_seen_by_a.address, from_b->port}, mapped) == inside_a && (to_b || stagger > one_way);
}

TEST(NatCommitState, BreaksAPunchThatIsStaggeredByMoreThanTheOneWayDelay) {
  for (const Time stagger : {0ms, 5ms, 10ms, 19ms}) EXPECT_TRUE(punches("linux", stagger)) << stagger.count();
  for (const Time stagger : {21ms, 25ms, 80ms}) EXPECT_FALSE(punches("linux", stagger)) << stagger.count();
  for (const Time stagger : {0ms, 19ms, 21ms, 80ms})
    EXPECT_TRUE(punches("linux-input-drop", stagger)) << stagger.count();
}

TEST(NatCommitState, FailsARetryAfter5sAndNotAfter40s) {
  for (const auto& [pause, same_port] : {std::pair<Time, bool>{5s, false}, {15s, false}, {40s, true}}) {
    Rig rig("linux");
    rig.in(peer, mapped);                 // the peer was early
    EXPECT_NE(rig.out(x, peer), mapped);  // so the first attempt is lost
    rig.wait(pause);
    EXPECT_EQ(rig.out(x, peer) == mapped, same_port) << pause.count();  // perfectly timed
  }
}

TEST(NatCommitState, GivesAnEndpointIndependentMappingAnExceptionForThatRemote) {
  Rig rig("EIM/APDF/preserve,udp_unsolicited=commit-state");
  EXPECT_EQ(rig.out(x, other), mapped);
  EXPECT_FALSE(rig.in(peer, mapped));
  EXPECT_EQ(rig.last.rule, Rule::committed);
  const auto exception = rig.out(x, peer);
  ASSERT_TRUE(exception);
  EXPECT_NE(exception, mapped);
  EXPECT_EQ(rig.in(peer, *exception), x);
  EXPECT_EQ(rig.out(x, other), mapped);
  rig.wait(301s);
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_EQ(rig.out(x, peer), mapped);
}

TEST(NatCommitState, ForTcpConsumesTheSynAndTakesItsTuple) {
  Rig rig("APDM/APDF/preserve,tcp_unsolicited=commit-state");
  EXPECT_FALSE(rig.tcp_in(peer, mapped, SYN));
  EXPECT_EQ(rig.last.rule, Rule::committed);
  EXPECT_NE(rig.tcp_out(x, peer, SYN), mapped);
  EXPECT_EQ(rig.out(x, peer), mapped);  // UDP is another matter
  rig.wait(600s);
  EXPECT_EQ(rig.tcp_out(x, peer, SYN), mapped);
  EXPECT_FALSE(rig.tcp_in(other, mapped, ACK));  // nothing to commit
  EXPECT_EQ(rig.last.rule, Rule::filtered);
}

TEST(NatCommitState, LinuxAnswersAnEarlySynWithARstAndForgetsIt) {
  Rig rig("linux");
  EXPECT_FALSE(rig.tcp_in(peer, mapped, SYN));
  EXPECT_EQ(read(rig.last.answer).transport[13], RST | ACK);
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_EQ(rig.tcp_out(x, peer, SYN), mapped);
  EXPECT_EQ(rig.tcp_in(peer, mapped, SYN), x);
}

}  // namespace
}  // namespace flaresim::nat::test
