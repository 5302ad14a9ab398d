#include <gtest/gtest.h>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, a1{"203.0.113.1", 1000}, b1{"203.0.113.2", 1000};
const Host mapped{outside_address, 5000};

TEST(NatTcp, CarriesAConnectionFromInside) {
  Rig rig("EIM/APDF");
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK), x);
  EXPECT_EQ(rig.tcp_out(x, a1, ACK), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, ACK), x);
}

TEST(NatTcp, CarriesAConnectionFromOutsideWhereTheFilterIsOpen) {
  Rig rig("EIM/EIF");
  rig.tcp_out(x, a1, SYN);
  EXPECT_EQ(rig.tcp_in(b1, mapped, SYN), x);
  EXPECT_EQ(rig.tcp_out(x, b1, SYN | ACK), mapped);
  EXPECT_EQ(rig.tcp_in(b1, mapped, ACK), x);
  rig.wait(1h);  // it is established
  EXPECT_EQ(rig.tcp_out(x, b1, ACK), mapped);
}

TEST(NatTcp, DropsInboundPacketsThatBelongToNoConnection) {
  Rig rig("EIM/EIF");
  rig.tcp_out(x, a1, SYN);
  for (const int flags : {int{ACK}, int{FIN}, int{RST}, SYN | ACK, SYN | RST, 0}) {
    EXPECT_FALSE(rig.tcp_in(b1, mapped, static_cast<std::uint8_t>(flags))) << flags;
    EXPECT_EQ(rig.last.rule, Rule::out_of_state);
  }
}

TEST(NatTcp, DropsOutboundPacketsThatBelongToNoConnection) {
  Rig rig("EIM/EIF");
  for (const int flags : {int{ACK}, int{FIN}, int{RST}, SYN | RST, 0}) {
    EXPECT_FALSE(rig.tcp_out(x, a1, static_cast<std::uint8_t>(flags))) << flags;
    EXPECT_EQ(rig.last.rule, Rule::out_of_state);
  }
  EXPECT_EQ(rig.size(), 0u);
}

TEST(NatTcp, LetsSynsCrossWhereSimultaneousOpenIsSupported) {
  for (const auto* kind : {"EIM/APDF", "APDM/APDF/preserve", "APDM/EIF/preserve"}) {
    Rig rig(kind);
    EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
    EXPECT_EQ(rig.tcp_in(a1, mapped, SYN), x) << kind;
    EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK), mapped);
    EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK), x);
  }
}

TEST(NatTcp, TreatsACrossingSynAsUnsolicitedWhereItIsNot) {
  Rig rig("EIM/EIF,simultaneous_open=off,tcp_unsolicited=reset");
  rig.tcp_out(x, a1, SYN);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN));
  EXPECT_EQ(rig.last.rule, Rule::simultaneous_open);
  EXPECT_EQ(read(rig.last.answer).transport[13], RST | ACK);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK), x);  // an ordinary answer still comes in
  EXPECT_EQ(rig.tcp_in(b1, mapped, SYN), x);        // and so does a connection that crosses nothing
}

TEST(NatTcp, RepeatsOfASynAreTheSameConnection) {
  Rig rig("APDM/APDF/random");
  const auto first = rig.tcp_out(x, a1, SYN);
  rig.wait(1s);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), first);
  EXPECT_EQ(rig.size(), 1u);
}

TEST(NatTcp, ARefusalLeavesNoMemory) {
  Rig rig("linux");
  rig.tcp_out(x, a1, SYN);
  EXPECT_EQ(rig.tcp_in(a1, mapped, RST | ACK), x);
  EXPECT_EQ(rig.size(), 0u);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN));   // late SYNs of the other side meet a closed door
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);  // and a retry begins from nothing, by the same port
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN), x);
}

TEST(NatTcp, ARefusalFromInsideLeavesNoMemoryEither) {
  Rig rig("EIM/EIF");
  rig.tcp_out(x, a1, SYN);
  rig.tcp_in(b1, mapped, SYN);
  EXPECT_EQ(rig.tcp_out(x, b1, RST | ACK), mapped);
  EXPECT_FALSE(rig.tcp_in(b1, mapped, ACK));
  EXPECT_EQ(rig.size(), 1u);
}

TEST(NatTcp, ASynOpensAFinishedConnectionAnew) {
  Rig rig("EIM/APDF,tcp_established_timeout=2h,tcp_transitory_timeout=10s");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
    rig.tcp_in(a1, mapped, SYN | ACK);
    rig.tcp_out(x, a1, ACK);
    rig.wait(1h);
    EXPECT_EQ(rig.size(), 1u) << round;
    rig.tcp_out(x, a1, FIN | ACK);
    rig.tcp_in(a1, mapped, FIN | ACK);
  }
}

TEST(NatTcp, PacketsAfterARstPassButKeepNothingAlive) {
  Rig rig("EIM/APDF,tcp_reset_timeout=10s");
  rig.tcp_out(x, a1, SYN);
  rig.tcp_in(a1, mapped, SYN | ACK);
  rig.tcp_out(x, a1, ACK);
  rig.tcp_out(x, a1, RST);
  rig.wait(5s);
  EXPECT_EQ(rig.tcp_in(a1, mapped, ACK), x);
  rig.wait(5s);
  EXPECT_EQ(rig.size(), 0u);
}

}  // namespace
}  // namespace flaresim::nat::test
