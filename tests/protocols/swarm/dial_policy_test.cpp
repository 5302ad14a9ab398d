#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

/// What one party dials, and when: its own trace.
using Dialled = std::vector<std::pair<std::string, io::Duration>>;

class DialPolicy : public testing::Test {
 protected:
  void note_dials(Party& of) {
    of.swarm->set_trace([this](std::string_view what, const std::string& detail) {
      if (what == "dial") dialled.emplace_back(detail, world.scheduler.now().time_since_epoch());
    });
  }
  void run_until(io::Duration when) { world.scheduler.run_for(io::TimePoint(when) - world.scheduler.now()); }

  SwarmWorld world;
  Dialled dialled;
};

std::string silent(int last_byte, const std::string& then = "/tcp/4001") {
  return "/ip4/5.5.5." + std::to_string(last_byte) + then;
}

multiformats::PeerId peer_named(std::uint64_t number) {
  auto random = io::Random(number);
  return crypto::PrivateKey::generate(random).public_key().peer_id();
}

TEST_F(DialPolicy, FollowsTheRanking) {
  auto& a = world.add("1.1.1.1");
  note_dials(a);
  const auto quic = silent(1, "/udp/4001/quic-v1");
  const std::string home = "/ip4/10.9.9.9/tcp/4001";
  const auto dial = world.dial(a, request_for(peer_named(9), {silent(1), quic, home, silent(2)}));
  run_until(2s);
  EXPECT_THAT(dialled,
              ElementsAre(Pair(home, 0ms), Pair(quic, 0ms), Pair(silent(1), 250ms), Pair(silent(2), 500ms)));
}

TEST_F(DialPolicy, GoesOnAtOnceWhenNothingIsUnderWay) {
  auto& a = world.add("1.1.1.1");
  world.add("2.2.2.2");
  note_dials(a);
  const std::string refused = "/ip4/2.2.2.2/tcp/";
  world.run_dial(a, request_for(peer_named(9), {refused + "7", refused + "8", refused + "9"}));
  EXPECT_THAT(dialled,
              ElementsAre(Pair(refused + "7", 0ms), Pair(refused + "8", 20ms), Pair(refused + "9", 20ms)));
}

TEST_F(DialPolicy, HoldsTheNextWhileAConnectionIsBeingUpgraded) {
  auto& a = world.add("1.1.1.1");
  auto& mute = world.internet.add_host("4.4.4.4");
  const auto listener = mute.listen({mute.outside(), 4001});
  note_dials(a);
  const auto dial =
      world.dial(a, request_for(peer_named(9), {"/ip4/4.4.4.4/tcp/4001", silent(1, "/tcp/4002")}));
  run_until(1s);
  // A round trip for the handshake, then one step; without the hold it would be 250 ms.
  EXPECT_THAT(dialled, ElementsAre(Pair("/ip4/4.4.4.4/tcp/4001", 0ms), Pair(silent(1, "/tcp/4002"), 270ms)));
}

TEST_F(DialPolicy, DialsAllAddressesOfAPunchAtOnce) {
  auto& a = world.add("1.1.1.1");
  note_dials(a);
  auto request = request_for(peer_named(9), {silent(1), silent(2), silent(3, "/udp/4001/quic-v1")});
  request.direct_only = true;
  request.punch_role = security::Role::client;
  const auto dial = world.dial(a, std::move(request));
  world.scheduler.settle();
  EXPECT_THAT(dialled, SizeIs(3));
}

TEST_F(DialPolicy, GivesAPrivateAddressFiveSeconds) {
  auto& a = world.add("1.1.1.1");
  auto& mute = world.internet.add_host("10.0.0.4");
  const auto listener = mute.listen({mute.outside(), 4001});
  const auto report = world.run_dial(a, request_for(peer_named(9), {"/ip4/10.0.0.4/tcp/4001"}));
  ASSERT_THAT(report.failures, SizeIs(1));
  EXPECT_EQ(report.failures[0].why, std::errc::timed_out);
  EXPECT_TRUE(report.failures[0].connected);
  EXPECT_EQ(world.scheduler.now(), io::TimePoint(5s));
}

TEST_F(DialPolicy, BoundsTheTcpDialsToAllPeers) {
  SwarmProfile profile;
  profile.max_tcp_dials = 3;
  auto& a = world.add("1.1.1.1", profile);
  note_dials(a);
  std::vector<support::Started<DialReport>> dials;
  for (int i = 1; i <= 5; ++i) dials.push_back(world.dial(a, request_for(peer_named(i), {silent(i)})));
  const auto quic = silent(6, "/udp/4001/quic-v1");
  dials.push_back(world.dial(a, request_for(peer_named(6), {quic})));
  run_until(11s);
  EXPECT_THAT(dialled, ElementsAre(Pair(silent(1), 0s), Pair(silent(2), 0s), Pair(silent(3), 0s),
                                   Pair(quic, 0s), Pair(silent(4), 5s), Pair(silent(5), 5s)));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(dials[i].done());
}

TEST_F(DialPolicy, ADialThatWaitsForItsTurnEndsInTime) {
  SwarmProfile profile;
  profile.max_tcp_dials = 1;
  auto& a = world.add("1.1.1.1", profile);
  note_dials(a);
  const auto first = world.dial(a, request_for(peer_named(1), {silent(1)}));
  auto request = request_for(peer_named(2), {silent(2)});
  request.limit = 2s;
  const auto second = world.dial(a, std::move(request));
  run_until(2s);
  ASSERT_TRUE(second.done());
  EXPECT_EQ(second.value().error, std::errc::timed_out);
  run_until(6s);
  EXPECT_THAT(dialled, ElementsAre(Pair(silent(1), 0s)));
}

TEST_F(DialPolicy, JoinsDialsToOnePeer) {
  auto& a = world.add("1.1.1.1");
  const auto peer = peer_named(9);
  note_dials(a);
  const auto first = world.dial(a, request_for(peer, {silent(1)}));
  run_until(1s);
  const auto second = world.dial(a, request_for(peer, {silent(1), silent(2)}));
  run_until(6s);
  const auto third = world.dial(a, request_for(peer, {silent(2), silent(1)}));
  run_until(10s);
  EXPECT_TRUE(first.done() && second.done() && third.done());
  EXPECT_THAT(dialled, ElementsAre(Pair(silent(1), 0s), Pair(silent(2), 5s)));
  ASSERT_TRUE(second.done());
  ASSERT_THAT(second.value().failures, SizeIs(2));
  for (const auto& failure : second.value().failures) EXPECT_EQ(failure.why, std::errc::timed_out);
  EXPECT_EQ(a.swarm->counters().dials, 2u);
}

TEST_F(DialPolicy, AJoinedDialEndsWithTheConnectionOfTheOther) {
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto first = world.dial(a, request_for(b.id(), {b.address().to_string()}));
  const auto second = world.dial(a, request_for(b.id(), {b.address().to_string()}));
  world.scheduler.run_for(1s);
  ASSERT_TRUE(first.done() && second.done());
  EXPECT_EQ(second.value().connection, first.value().connection);
  EXPECT_EQ(a.swarm->counters().handshakes, 1u);
}

TEST_F(DialPolicy, AJoinedDialHasItsOwnTime) {
  auto& a = world.add("1.1.1.1");
  const auto first = world.dial(a, request_for(peer_named(9), {silent(1)}));
  auto request = request_for(peer_named(9), {silent(2)});
  request.limit = 2s;
  const auto second = world.dial(a, std::move(request));
  run_until(2s);
  ASSERT_TRUE(second.done());
  EXPECT_EQ(second.value().error, std::errc::timed_out);
  EXPECT_FALSE(first.done());
}

TEST_F(DialPolicy, DoesNotJoinDialsThatWantSomethingElse) {
  auto& a = world.add("1.1.1.1");
  note_dials(a);
  const auto first = world.dial(a, request_for(peer_named(9), {silent(1)}));
  auto direct = request_for(peer_named(9), {silent(2)});
  direct.direct_only = true;
  const auto second = world.dial(a, direct);
  direct.addresses = {parsed(silent(3))};
  direct.punch_role = security::Role::client;
  const auto third = world.dial(a, direct);
  auto over_quic = request_for(peer_named(9), {silent(4)});
  over_quic.over = multiformats::Transport::quic_v1;
  const auto fourth = world.dial(a, over_quic);
  world.scheduler.settle();
  EXPECT_THAT(dialled, SizeIs(4));
}

TEST_F(DialPolicy, LeavesAnAddressAloneAfterItFailed) {
  auto& a = world.add("1.1.1.1");
  world.add("2.2.2.2");
  const auto request = request_for(peer_named(9), {"/ip4/2.2.2.2/tcp/9"});
  const auto outcome = [&] { return world.run_dial(a, request).failures.at(0).why; };
  EXPECT_EQ(outcome(), std::errc::connection_refused);  // at 20 ms
  run_until(5020ms - 1ns);
  EXPECT_EQ(outcome(), Error::backed_off);
  EXPECT_EQ(world.scheduler.now(), io::TimePoint(5020ms - 1ns));
  run_until(5020ms);
  EXPECT_EQ(outcome(), std::errc::connection_refused);  // at 5040 ms, for the second time
  run_until(11040ms - 1ns);
  EXPECT_EQ(outcome(), Error::backed_off);
  run_until(11040ms);
  EXPECT_EQ(outcome(), std::errc::connection_refused);
}

TEST_F(DialPolicy, DialsTheNextAddressInPlaceOfOneLeftAlone) {
  auto& a = world.add("1.1.1.1");
  world.add("2.2.2.2");
  world.run_dial(a, request_for(peer_named(9), {"/ip4/2.2.2.2/tcp/9"}));
  note_dials(a);
  const auto dial = world.dial(a, request_for(peer_named(9), {"/ip4/2.2.2.2/tcp/9", silent(1)}));
  run_until(1s);
  EXPECT_THAT(dialled, ElementsAre(Pair(silent(1), 20ms)));
}

TEST_F(DialPolicy, LeavesNothingAloneDespiteItsBackoffWhenToldTo) {
  auto& a = world.add("1.1.1.1");
  world.add("2.2.2.2");
  auto request = request_for(peer_named(9), {"/ip4/2.2.2.2/tcp/9"});
  world.run_dial(a, request);
  request.direct_only = true;
  EXPECT_EQ(world.run_dial(a, request).failures.at(0).why, Error::backed_off);
  request.despite_backoff = true;
  EXPECT_EQ(world.run_dial(a, request).failures.at(0).why, std::errc::connection_refused);
}

TEST_F(DialPolicy, HoldsNothingAgainstAnAddressThatWasCancelled) {
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  note_dials(a);
  auto request = request_for(b.id(), {silent(1)});
  request.limit = 1s;
  world.run_dial(a, request);  // its time is up
  const auto dial = world.dial(a, request);
  run_until(1500ms);
  world.connect(b, a);  // another connection is faster
  ASSERT_TRUE(dial.done());
  a.connection()->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.settle();
  world.run_dial(a, request);
  EXPECT_THAT(dialled, SizeIs(3));
}

TEST_F(DialPolicy, AConnectionMakesUpForAllFailures) {
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto request = request_for(b.id(), {"/ip4/2.2.2.2/tcp/9"});
  world.run_dial(a, request);
  world.connect(b, a);
  a.connection()->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.settle();
  EXPECT_EQ(world.run_dial(a, request).failures.at(0).why, std::errc::connection_refused);
}

/// Dials a hundred silent QUIC addresses, each of another peer.
void fall_into_black_hole(SwarmWorld& world, Party& from) {
  for (int i = 1; i <= 100; ++i) {
    auto request = request_for(peer_named(i), {silent(i, "/udp/4001/quic-v1")});
    request.limit = 100ms;
    request.direct_only = true;
    if (i % 2 == 0) request.punch_role = security::Role::client;
    world.run_dial(from, std::move(request));
  }
  world.scheduler.settle();
}

TEST_F(DialPolicy, SparesDialsIntoABlackHole) {
  SwarmProfile profile;
  profile.detect_black_holes = true;
  auto& a = world.add("1.1.1.1", profile);
  fall_into_black_hole(world, a);
  note_dials(a);
  const auto began = world.scheduler.now();
  const auto report = world.run_dial(a, request_for(peer_named(200), {silent(200, "/udp/4001/quic-v1")}));
  EXPECT_EQ(report.error, Error::dial_failed);
  EXPECT_EQ(report.failures.at(0).why, Error::black_hole);
  EXPECT_EQ(world.scheduler.now(), began);
  EXPECT_THAT(dialled, IsEmpty());
}

TEST_F(DialPolicy, KnowsNoBlackHolesUnlessToldTo) {
  auto& a = world.add("1.1.1.1");
  fall_into_black_hole(world, a);
  auto request = request_for(peer_named(200), {silent(200, "/udp/4001/quic-v1")});
  request.limit = 1s;
  EXPECT_EQ(world.run_dial(a, std::move(request)).failures.at(0).why, std::errc::timed_out);
}

}  // namespace
}  // namespace flaresim::swarm
