// TCP as Linux follows it (tcp_tracking=linux), without a kernel; tests/kernel asks one.

#include <gtest/gtest.h>

#include "tests/sim/nat/packets.h"

namespace flaresim::nat::test {
namespace {

const Host x{"10.0.0.2", 5000}, a1{"203.0.113.1", 1000};
const Host mapped{outside_address, 5000};

/// tests/kernel, sections "TCP states": what Linux does within the ten seconds after a RST.
class LinuxReset : public testing::Test {
 protected:
  void connect() {
    rig.tcp_out(x, a1, SYN);
    rig.tcp_in(a1, mapped, SYN | ACK);
    rig.tcp_out(x, a1, ACK);
  }
  Rig rig{"linux-input-drop"};
};

TEST_F(LinuxReset, OfOursOpensAgainByOurSyn) {
  connect();
  rig.tcp_out(x, a1, RST);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN), x);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK), mapped);
}

TEST_F(LinuxReset, OfTheirsLeavesOurSynAloneAndDropsTheirs) {
  connect();
  rig.tcp_in(a1, mapped, RST);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN));  // the second punch fails
  EXPECT_EQ(rig.last.rule, Rule::out_of_state);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK), x);  // untranslated
  rig.wait(10s);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN), x);
}

TEST_F(LinuxReset, OfTheirsStillAllowsAnOrdinaryConnection) {
  connect();
  rig.tcp_in(a1, mapped, RST);
  rig.tcp_out(x, a1, SYN);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK), x);
  EXPECT_EQ(rig.tcp_out(x, a1, ACK), mapped);
  rig.wait(1h);
  EXPECT_EQ(rig.size(), 1u);
}

TEST_F(LinuxReset, TheirSynBeforeOursIsDropped) {
  connect();
  rig.tcp_out(x, a1, RST);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN));
}

TEST_F(LinuxReset, FirstFinsHaveTimersOfTheirOwn) {
  connect();
  rig.tcp_in(a1, mapped, FIN | ACK);
  rig.tcp_out(x, a1, ACK);  // CLOSE_WAIT
  rig.wait(60s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.wait(1ns);
  EXPECT_EQ(rig.size(), 0u);
  connect();
  rig.tcp_out(x, a1, FIN | ACK);  // FIN_WAIT
  rig.wait(120s - 1ns);
  EXPECT_EQ(rig.size(), 1u);
  rig.tcp_in(a1, mapped, FIN | ACK);  // LAST_ACK
  rig.wait(30s);
  EXPECT_EQ(rig.size(), 0u);
}

/// tests/kernel, "two lives": sequence numbers tell a connection from the one before it between the same endpoints.
class LinuxLives : public testing::Test {
 protected:
  Rig rig{"linux-input-drop"};
  const TcpFields first{.sequence = 1000, .acknowledgement = 1001};
  const TcpFields second{.sequence = 700'000, .acknowledgement = 700'001};
};

TEST_F(LinuxLives, AnInboundSynAfterADialGivenUpCannotBeAnswered) {
  rig.tcp_out(x, a1, SYN, first);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN, first), x);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK, {.sequence = 700'000, .acknowledgement = 1001}),
            x);                                       // untranslated
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN, second));  // nor does the next dial of either get through
  EXPECT_EQ(rig.last.rule, Rule::out_of_state);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN, second), x);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK, first), mapped);
}

TEST_F(LinuxLives, ADialTakesThePlaceOfTheOneBefore) {
  rig.tcp_out(x, a1, SYN, first);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN, second), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN, second), x);
  EXPECT_EQ(rig.tcp_out(x, a1, SYN | ACK, second), mapped);
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK, second), x);
}

TEST_F(LinuxLives, NobodyAnswersWhatWasNotSent) {
  rig.tcp_out(x, a1, SYN, first);
  EXPECT_FALSE(rig.tcp_in(a1, mapped, SYN | ACK, second));
  EXPECT_EQ(rig.tcp_in(a1, mapped, SYN | ACK, first), x);
  rig.tcp_out(x, a1, ACK);
  rig.wait(1h);
  EXPECT_EQ(rig.size(), 1u);
}

TEST_F(LinuxLives, OtherRoutersLookAtFlagsAlone) {
  Rig rfc("APDM/APDF/preserve");
  rfc.tcp_out(x, a1, SYN, first);
  EXPECT_EQ(rfc.tcp_in(a1, mapped, SYN, first), x);
  EXPECT_EQ(rfc.tcp_out(x, a1, SYN | ACK, {.sequence = 700'000, .acknowledgement = 1001}), mapped);
}

}  // namespace
}  // namespace flaresim::nat::test
