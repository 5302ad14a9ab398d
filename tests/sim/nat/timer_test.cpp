#include <gtest/gtest.h>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, y{"10.0.0.3", 5000};
const Host a1{"203.0.113.1", 1000}, a2{"203.0.113.1", 2000}, b1{"203.0.113.2", 1000};
const Host mapped{outside_address, 5000};

TEST(NatUdpTimer, LetsTheReplyInUntilTheLastNanosecond) {
  for (const auto* kind : {"EIM/APDF", "EIM/ADF", "ADM/APDF", "APDM/APDF", "APDM/EIF", "EIM/EIF"}) {
    Rig rig(std::string(kind) + ",udp_timeout=30s");
    rig.out(x, a1);
    rig.wait(30s - 1ns);
    EXPECT_EQ(rig.in(a1, mapped), x) << kind;
    rig.wait(1ns);
    EXPECT_EQ(rig.size(), 0u) << kind;
    EXPECT_FALSE(rig.in(a1, mapped)) << kind;
    EXPECT_EQ(rig.last.rule, Rule::no_mapping);
  }
}

TEST(NatUdpTimer, BeginsWithTheFirstPacketWheneverThatComes) {
  Rig rig("EIM/APDF,udp_timeout=30s");
  rig.wait(1h);
  rig.out(x, a1);
  rig.wait(30s - 1ns);
  EXPECT_EQ(rig.in(a1, mapped), x);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatUdpTimer, AnUnrepliedSessionHasItsOwnTimeout) {
  Rig rig("EIM/APDF,udp_timeout=120s,udp_unreplied_timeout=30s,udp_refresh=both");
  rig.out(x, a1);
  rig.wait(29s);
  rig.out(x, a1);  // more of our own packets make it no longer than unreplied
  rig.wait(30s);
  EXPECT_EQ(rig.size(), 0u);

  rig.out(x, a1);
  rig.in(a1, mapped);
  rig.wait(120s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

/// Sends every 20 s in one direction for 10 min over a session of 30 s: is the mapping still there?
bool survives(const std::string& refresh, bool outbound, const std::string& kind = "EIM/APDF") {
  Rig rig(kind + ",udp_timeout=30s,udp_refresh=" + refresh);
  rig.out(x, a1);
  for (int i = 0; i < 30; ++i) {
    rig.wait(20s);
    if (rig.size() == 0) return false;
    outbound ? rig.out(x, a1) : rig.in(a1, mapped);
  }
  return true;
}

TEST(NatUdpTimer, OnlyTheDirectionsOfTheRefreshRuleExtendALife) {
  EXPECT_TRUE(survives("outbound", true));
  EXPECT_FALSE(survives("outbound", false));
  EXPECT_FALSE(survives("inbound", true));
  EXPECT_TRUE(survives("inbound", false));
  EXPECT_TRUE(survives("both", true));
  EXPECT_TRUE(survives("both", false));
}

TEST(NatUdpTimer, AStrangerExtendsAMappingOnlyWhereInboundRefreshes) {
  for (const auto* reply : {"fresh", "session"})
    for (const auto* mapping : {"EIM", "APDM"}) {
      const auto lives = [&](const char* refresh) {
        Rig rig(std::string(mapping) + "/EIF,udp_timeout=30s,udp_refresh=" + refresh + ",reply=" + reply);
        rig.out(x, a1);
        rig.wait(20s);
        EXPECT_EQ(rig.in(b1, mapped), x);
        rig.wait(20s);
        return rig.in(b1, mapped) == x;
      };
      EXPECT_FALSE(lives("outbound")) << mapping << reply;
      EXPECT_TRUE(lives("inbound")) << mapping << reply;
      EXPECT_TRUE(lives("both")) << mapping << reply;
    }
}

TEST(NatUdpTimer, AFilterForgetsARemoteWhileTheMappingLivesOn) {
  Rig rig("EIM/APDF,udp_timeout=30s");
  rig.out(x, a1);
  rig.wait(20s);
  rig.out(x, b1);
  rig.wait(20s);
  EXPECT_FALSE(rig.in(a1, mapped));
  EXPECT_EQ(rig.last.rule, Rule::filtered);
  EXPECT_EQ(rig.in(b1, mapped), x);
}

TEST(NatUdpTimer, AnAddressFilterIsOpenWhileAnySessionToTheAddressLives) {
  Rig rig("EIM/ADF,udp_timeout=30s");
  rig.out(x, a1);
  rig.wait(20s);
  rig.out(x, a2);
  rig.out(x, b1);
  rig.wait(20s);
  EXPECT_EQ(rig.in(a1, mapped), x);
  rig.wait(5s);
  rig.out(x, b1);
  rig.wait(5s);
  EXPECT_FALSE(rig.in(a1, mapped));
  EXPECT_FALSE(rig.in(a2, mapped));
  EXPECT_EQ(rig.in(b1, mapped), x);
}

TEST(NatUdpTimer, APortIsFreeForOthersOnceItsMappingHasExpired) {
  Rig rig("EIM/APDF,udp_timeout=30s");
  rig.out(x, a1);
  EXPECT_NE(rig.out(y, b1)->port, 5000);
  rig.wait(30s);
  EXPECT_EQ(rig.out(y, b1)->port, 5000);
}

/// Values and order of events as tests/kernel sees them of Linux.
TEST(NatUdpTimer, LinuxForgetsUnrepliedAfter30sAndStreamsAfter120s) {
  Rig rig("linux");
  rig.out(x, a1);
  rig.wait(30s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
  rig.out(x, a1);
  rig.in(a1, mapped);
  rig.wait(2s);
  EXPECT_EQ(rig.in(a1, mapped), x);
  rig.wait(120s - 1ns);
  EXPECT_EQ(rig.in(a1, mapped), x);
  rig.wait(120s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatUdpTimer, LinuxTakesAnAnsweredFlowForAStreamOnlyWhenItIsTwoSecondsOld) {
  Rig rig("linux");
  rig.out(x, a1);
  rig.wait(2s - 1ns);
  rig.in(a1, mapped);
  rig.out(x, a1);
  rig.wait(30s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatUdpTimer, LinuxDoesNotCountTheAnswerItself) {
  Rig rig("linux");
  rig.out(x, a1);
  rig.wait(10s);
  rig.in(a1, mapped);  // late, but the first
  rig.wait(30s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatTcpTimer, ASynWaitsForTheTransitoryTimeout) {
  Rig rig("EIM/APDF");
  rig.tcp_out(x, a1, SYN);
  rig.wait(240s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

void establish(Rig& rig) {
  ASSERT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  ASSERT_EQ(rig.tcp_in(a1, mapped, SYN | ACK), x);
  ASSERT_EQ(rig.tcp_out(x, a1, ACK), mapped);
}

TEST(NatTcpTimer, AnEstablishedConnectionMayBeSilentForTwoHoursAndFourMinutes) {
  Rig rig("EIM/APDF");
  establish(rig);
  rig.wait(7440s - 1ns);
  EXPECT_EQ(rig.tcp_in(a1, mapped, ACK), x);
  rig.wait(7440s - 1ns);
  EXPECT_EQ(rig.tcp_out(x, a1, ACK), mapped);
  rig.wait(7440s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatTcpTimer, TheHandshakeIsNotOverBeforeItsThirdPacket) {
  Rig rig("EIM/APDF");
  rig.tcp_out(x, a1, SYN);
  rig.tcp_in(a1, mapped, SYN | ACK);
  rig.wait(240s);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatTcpTimer, ASimultaneousOpenIsEstablishedByBothSynAcks) {
  Rig rig("EIM/APDF");
  rig.tcp_out(x, a1, SYN);
  rig.tcp_in(a1, mapped, SYN);
  rig.tcp_out(x, a1, SYN | ACK);
  rig.tcp_in(a1, mapped, SYN | ACK);
  rig.wait(241s);
  EXPECT_EQ(rig.size(), 1u);
}

TEST(NatTcpTimer, OneFinKeepsTheConnectionBothEndIt) {
  Rig rig("EIM/APDF");
  establish(rig);
  rig.tcp_out(x, a1, FIN | ACK);
  rig.tcp_in(a1, mapped, ACK);
  rig.wait(1h);
  EXPECT_EQ(rig.tcp_in(a1, mapped, FIN | ACK), x);
  EXPECT_EQ(rig.tcp_out(x, a1, ACK), mapped);
  rig.wait(240s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatTcpTimer, ARstOnAnEstablishedConnectionStartsTheResetTimeout) {
  Rig rig("EIM/APDF,tcp_reset_timeout=10s");
  establish(rig);
  rig.tcp_in(a1, mapped, RST);
  rig.wait(9s);
  rig.tcp_in(a1, mapped, RST);  // counted from the first
  rig.wait(1s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatIcmpTimer, AnEchoWaits60sForItsAnswer) {
  Rig rig("EIM/APDF");
  Bytes request = echo_request(x, a1, 77);
  ASSERT_TRUE(rig.outbound(request).forward);
  rig.wait(60s - 1ns);
  Bytes reply = echo_reply(a1, {outside_address}, 77);
  EXPECT_TRUE(rig.inbound(reply).forward);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
}

}  // namespace
}  // namespace flaresim::nat::test
