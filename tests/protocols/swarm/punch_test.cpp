#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using security::Role;
using testing::SizeIs;

DialRequest punch(const Party& to, Role role) {
  auto request = request_for(to.id(), {to.address().to_string()});
  request.direct_only = true;
  request.punch_role = role;
  request.limit = 10s;
  return request;
}

TEST(Punch, RequestsThatCrossBecomeOneConnectionWithTheAgreedRoles) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  a.host.raise_firewall();
  b.host.raise_firewall();
  const auto from_a = world.dial(a, punch(b, Role::client));
  const auto from_b = world.dial(b, punch(a, Role::server));
  world.scheduler.run_for(1s);
  ASSERT_TRUE(from_a.done() && from_b.done());
  ASSERT_TRUE(from_a.value().connection && from_b.value().connection);
  EXPECT_EQ(a.connection()->facts().role, Role::client);
  EXPECT_EQ(b.connection()->facts().role, Role::server);
  // Who dialled is another matter: both did.
  EXPECT_EQ(b.connection()->facts().direction, Direction::outbound);
  EXPECT_EQ(a.host.open_sockets(), 1u);
}

TEST(Punch, TwoServersWaitForEachOtherUntilTheLimit) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto from_a = world.dial(a, punch(b, Role::server));
  const auto from_b = world.dial(b, punch(a, Role::server));
  world.scheduler.run_for(10s - 1ns);
  EXPECT_FALSE(from_a.done() || from_b.done());
  world.scheduler.run_for(1ns);
  ASSERT_TRUE(from_a.done() && from_b.done());
  for (const auto& report : {from_a.value(), from_b.value()}) {
    EXPECT_EQ(report.error, std::errc::timed_out);
    ASSERT_THAT(report.failures, SizeIs(1));
    EXPECT_EQ(report.failures[0].why, std::errc::timed_out);
    EXPECT_TRUE(report.failures[0].connected);
  }
  world.scheduler.settle();
  EXPECT_EQ(a.host.open_sockets(), 0u);
}

TEST(Punch, TwoClientsFail) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto from_a = world.dial(a, punch(b, Role::client));
  const auto from_b = world.dial(b, punch(a, Role::client));
  world.scheduler.run_for(10s);
  ASSERT_TRUE(from_a.done() && from_b.done());
  EXPECT_EQ(from_a.value().connection, nullptr);
  EXPECT_EQ(from_b.value().connection, nullptr);
}

/// `b`, the server, is so early that its request reaches a's listener before a, the client, dials.
struct EarlyServer {
  explicit EarlyServer(const SwarmProfile& profile)
      : a(world.add("1.1.1.1", profile)), b(world.add("2.2.2.2")) {
    from_b = world.dial(b, punch(a, Role::server));
    world.scheduler.run_for(15ms);  // arrived after 10 ms, accepted after 30 ms
    from_a = world.dial(a, punch(b, Role::client));
    world.scheduler.run_for(10s);
  }

  SwarmWorld world;
  Party& a;
  Party& b;
  std::optional<support::Started<DialReport>> from_a;
  std::optional<support::Started<DialReport>> from_b;
};

TEST(Punch, AnAcceptedConnectionMakesTwoServers) {
  EarlyServer story({});
  ASSERT_TRUE(story.from_b->done());
  EXPECT_EQ(story.from_b->value().error, std::errc::timed_out);
  EXPECT_TRUE(story.from_b->value().failures[0].connected);
}

TEST(Punch, AnAcceptedConnectionMayTakeTheAgreedRole) {
  SwarmProfile profile;
  profile.accepted_socket_takes_punch_role = true;
  EarlyServer story(profile);
  ASSERT_TRUE(story.from_a->done() && story.from_b->done());
  EXPECT_NE(story.from_b->value().connection, nullptr);
  EXPECT_EQ(story.from_a->value().connection, story.a.connection());
  EXPECT_EQ(story.a.connection()->facts().role, Role::client);
  EXPECT_EQ(story.a.connection()->facts().direction, Direction::inbound);
}

TEST(Punch, WaitsForTheConnectionThatTookItsPort) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  // The client is early; what the server's listener accepts is what its own dial would have made.
  const auto from_a = world.dial(a, punch(b, Role::client));
  world.scheduler.run_for(15ms);
  const auto from_b = world.dial(b, punch(a, Role::server));
  world.scheduler.run_for(1s);
  ASSERT_TRUE(from_a.done() && from_b.done());
  EXPECT_NE(from_a.value().connection, nullptr);
  EXPECT_EQ(from_b.value().connection, b.connection());
  EXPECT_THAT(world.internet.syns, SizeIs(1));
}

TEST(Punch, AnAcceptedConnectionFromElsewhereStaysAServer) {
  SwarmWorld world;
  SwarmProfile profile;
  profile.accepted_socket_takes_punch_role = true;
  auto& a = world.add("1.1.1.1", profile);
  auto& b = world.add("2.2.2.2");
  world.internet.rule = [&](const support::Syn& syn) {
    return syn.to == io::Endpoint{b.host.outside(), 4001} ? support::Verdict::drop : support::Verdict::pass;
  };
  const auto from_a = world.dial(a, punch(b, Role::client));
  world.connect(world.add("3.3.3.3"), a);
  EXPECT_EQ(a.connection()->facts().role, Role::server);
  world.scheduler.run_for(10s);
  EXPECT_TRUE(from_a.done());
}

TEST(Punch, KnowsNoOtherPortThanTheListeningOne) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  auto& stranger = world.add("3.3.3.3");
  world.connect(a, b);
  auto request = punch(stranger, Role::client);
  request.addresses = {b.address()};
  const auto report = world.run_dial(a, std::move(request));
  ASSERT_THAT(report.failures, SizeIs(1));
  EXPECT_EQ(world.internet.syns.size(), 1u);
}

}  // namespace
}  // namespace flaresim::swarm
