#include "protocols/swarm/black_hole.h"

#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using testing::ElementsAre;
using State = SuccessWindow::State;

const auto udp_v4 = parsed("/ip4/1.2.3.4/udp/1/quic-v1");
const auto udp_v6 = parsed("/ip6/2001:4860::2/udp/1/quic-v1");
const auto tcp_v4 = parsed("/ip4/1.2.3.4/tcp/1");
const auto tcp_v6 = parsed("/ip6/2001:4860::2/tcp/1");
const auto udp_at_home = parsed("/ip4/192.168.1.2/udp/1/quic-v1");

void record(SuccessWindow& window, int successes, int failures) {
  for (int i = 0; i < successes; ++i) window.record(true);
  for (int i = 0; i < failures; ++i) window.record(false);
}

TEST(SuccessWindow, DoesNotJudgeBeforeAHundredResults) {
  SuccessWindow window;
  record(window, 0, 99);
  EXPECT_EQ(window.ask(), State::probing);
  window.record(false);
  EXPECT_EQ(window.ask(), State::blocked);
}

TEST(SuccessWindow, BlocksBelowFiveSuccessesOfTheLastHundred) {
  SuccessWindow window;
  record(window, 5, 95);
  EXPECT_EQ(window.ask(), State::allowed);
  window.record(false);  // and the first success is no longer among them
  EXPECT_EQ(window.ask(), State::blocked);
}

TEST(SuccessWindow, LetsOneOfAHundredThroughWhenBlocked) {
  SuccessWindow window;
  record(window, 0, 100);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 99; ++i) ASSERT_EQ(window.ask(), State::blocked);
    EXPECT_EQ(window.ask(), State::probing);
  }
}

TEST(SuccessWindow, BeginsAnewWithASuccessWhenBlocked) {
  SuccessWindow window;
  record(window, 0, 100);
  window.record(true);
  record(window, 0, 99);
  EXPECT_EQ(window.ask(), State::probing);
}

TEST(BlackHole, IsLookedForInPublicUdpOnly) {
  BlackHoleDetector detector;
  for (int i = 0; i < 100; ++i) detector.record(udp_at_home, false);
  for (int i = 0; i < 100; ++i) detector.record(tcp_v4, false);
  EXPECT_THAT(detector.blocked({udp_v4, tcp_v4, udp_at_home}), ElementsAre(false, false, false));
  for (int i = 0; i < 100; ++i) detector.record(udp_v4, false);
  EXPECT_THAT(detector.blocked({udp_v4, tcp_v4, udp_at_home}), ElementsAre(true, false, false));
}

TEST(BlackHole, OfIpv6TakesInBothTransports) {
  BlackHoleDetector detector;
  for (int i = 0; i < 100; ++i) detector.record(tcp_v6, false);
  for (int i = 0; i < 100; ++i) detector.record(udp_v4, true);
  EXPECT_THAT(detector.blocked({tcp_v6, udp_v6, udp_v4, tcp_v4}), ElementsAre(true, true, false, false));
}

TEST(BlackHole, OfOneKindDoesNotStopAProbeOfTheOther) {
  BlackHoleDetector detector;
  for (int i = 0; i < 100; ++i) detector.record(udp_v4, false);
  EXPECT_THAT(detector.blocked({udp_v4, udp_v6}), ElementsAre(true, false));  // IPv6 is not judged yet
}

}  // namespace
}  // namespace flaresim::swarm
