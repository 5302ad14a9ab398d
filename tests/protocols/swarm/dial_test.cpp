#include <gmock/gmock.h>

#include <set>

#include "protocols/security/noise.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using support::Syn;
using support::Verdict;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string tcp_address(int last_byte, int port = 4001) {
  return "/ip4/5.5.5." + std::to_string(last_byte) + "/tcp/" + std::to_string(port);
}

std::size_t hosts_asked(const support::MemoryInternet& internet) {
  std::set<io::Endpoint> asked;
  for (const auto& syn : internet.syns) asked.insert(syn.to);
  return asked.size();
}

io::TimePoint at(io::Duration since_start) { return io::TimePoint(since_start); }

TEST(Dial, BothEndsKnowEachOtherAndWhatTheyAgreedOn) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  world.connect(a, b);
  const auto& out = a.connection()->facts();
  const auto& in = b.connection()->facts();
  EXPECT_EQ(out.remote, b.id());
  EXPECT_EQ(in.remote, a.id());
  EXPECT_EQ(out.remote_key, b.swarm->identity().public_key());
  EXPECT_EQ(in.remote_key, a.swarm->identity().public_key());
  EXPECT_EQ(out.direction, Direction::outbound);
  EXPECT_EQ(in.direction, Direction::inbound);
  EXPECT_EQ(out.role, security::Role::client);
  EXPECT_EQ(in.role, security::Role::server);
  EXPECT_EQ(out.security, "/noise");
  EXPECT_EQ(out.muxer, "/yamux/1.0.0");
  // From the port that we listen on, so that it shows others where we can be reached.
  EXPECT_EQ(out.local_address, a.address());
  EXPECT_EQ(out.remote_address, b.address());
  EXPECT_EQ(in.remote_address, a.address());
  EXPECT_FALSE(out.relayed);
}

TEST(Dial, FailsWhenAnotherPeerAnswers) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  auto& c = world.add("3.3.3.3");
  const auto report = world.run_dial(a, request_for(c.id(), {b.address().to_string()}));
  EXPECT_EQ(report.connection, nullptr);
  EXPECT_EQ(report.error, Error::dial_failed);
  ASSERT_THAT(report.failures, SizeIs(1));
  EXPECT_EQ(report.failures[0].why, security::NoiseError::peer_mismatch);
  EXPECT_TRUE(report.failures[0].connected);
  world.scheduler.settle();
  EXPECT_EQ(a.host.open_sockets(), 0u);
  EXPECT_THAT(a.swarm->connections(), IsEmpty());
}

TEST(Dial, SaysWhyEachAddressFailed) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  auto& c = world.add("3.3.3.3");
  const auto began = world.scheduler.now();
  const auto report = world.run_dial(a, request_for(c.id(), {
                                                                "/ip4/2.2.2.2/tcp/4001/ws",
                                                                circuit_address,
                                                                "/ip4/2.2.2.2/tcp/9",
                                                                tcp_address(1),
                                                                "/dns4/example.org/tcp/4001",
                                                                b.address().to_string(),
                                                                tcp_address(1),
                                                            }));
  EXPECT_EQ(report.error, Error::dial_failed);
  std::vector<std::pair<std::string, std::error_code>> found;
  for (const auto& failure : report.failures) found.emplace_back(failure.address.to_string(), failure.why);
  const auto entry = [](const std::string& address, std::error_code why) { return std::pair(address, why); };
  EXPECT_THAT(found,
              ElementsAre(entry("/ip4/2.2.2.2/tcp/9", std::make_error_code(std::errc::connection_refused)),
                          entry(tcp_address(1), std::make_error_code(std::errc::timed_out)),
                          entry(b.address().to_string(), security::NoiseError::peer_mismatch),
                          entry(circuit_address, Error::no_transport),
                          entry("/ip4/2.2.2.2/tcp/4001/ws", Error::no_transport),
                          entry("/dns4/example.org/tcp/4001", Error::no_transport)));
  EXPECT_EQ(world.scheduler.now() - began, 5020ms);  // a refusal, then the limit of the silent one
}

TEST(Dial, KeepsTheReasonOfEachAddressWhenTheWholeTimeIsUp) {
  SwarmWorld world;
  SwarmProfile profile;
  profile.max_dials_per_peer = 2;
  auto& a = world.add("1.1.1.1", profile);
  auto& b = world.add("2.2.2.2");
  auto request = request_for(b.id(), {tcp_address(1), "/ip4/2.2.2.2/tcp/9", tcp_address(2), tcp_address(3)});
  request.limit = 2s;
  const auto report = world.run_dial(a, std::move(request));
  EXPECT_EQ(world.scheduler.now(), at(2s));
  EXPECT_EQ(report.error, std::errc::timed_out);
  ASSERT_THAT(report.failures, SizeIs(4));
  EXPECT_EQ(report.failures[0].why, std::errc::connection_refused);  // of the lowest port
  EXPECT_EQ(report.failures[1].why, std::errc::timed_out);
  EXPECT_EQ(report.failures[2].why, std::errc::timed_out);
  EXPECT_EQ(report.failures[3].why, std::errc::timed_out);  // never begun
  EXPECT_EQ(hosts_asked(world.internet), 3u);
  world.scheduler.settle();
  EXPECT_EQ(a.host.open_sockets(), 0u);
  EXPECT_EQ(world.scheduler.armed_timers(), 0u);
}

TEST(Dial, AHandshakeThatStallsIsGivenUpAfterTheLimitOfItsAddress) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& silent = world.internet.add_host("2.2.2.2");
  const auto listener = silent.listen({silent.outside(), 4001});
  const auto accepting = support::start(world.scheduler, (*listener)->accept());
  const auto report = world.run_dial(a, request_for(world.add("3.3.3.3").id(), {"/ip4/2.2.2.2/tcp/4001"}));
  ASSERT_THAT(report.failures, SizeIs(1));
  EXPECT_EQ(report.failures[0].why, std::errc::timed_out);
  EXPECT_TRUE(report.failures[0].connected);
  EXPECT_EQ(world.scheduler.now(), at(15s));
}

TEST(Dial, TheFirstConnectionEndsAllOtherTries) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  auto& slow = world.internet.add_host("4.4.4.4");
  const auto listener = slow.listen({slow.outside(), 4001});
  const auto accepting = support::start(world.scheduler, (*listener)->accept());
  const auto report = world.run_dial(
      a, request_for(b.id(), {tcp_address(1), "/ip4/4.4.4.4/tcp/4001", b.address().to_string()}));
  EXPECT_NE(report.connection, nullptr);
  EXPECT_FALSE(report.error);
  EXPECT_THAT(report.failures, IsEmpty());
  world.scheduler.settle();
  EXPECT_EQ(a.host.open_sockets(), 1u);
  EXPECT_EQ(a.connection(), report.connection);
  EXPECT_LT(world.scheduler.now(), at(450ms));
}

TEST(Dial, TriesAtMostEightAddressesAtATime) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  std::vector<std::string> addresses;
  for (int i = 1; i <= 20; ++i) addresses.push_back(tcp_address(i));
  const auto dial = world.dial(a, request_for(world.add("2.2.2.2").id(), addresses));
  const auto asked_at = [&](io::Duration when) {
    world.scheduler.run_for(at(when) - world.scheduler.now());
    return hosts_asked(world.internet);
  };
  EXPECT_EQ(asked_at(249ms), 1u);
  EXPECT_EQ(asked_at(250ms), 8u);
  EXPECT_EQ(asked_at(4999ms), 8u);
  EXPECT_EQ(a.host.open_sockets(), 8u);
  EXPECT_EQ(asked_at(5s), 9u);
  EXPECT_EQ(asked_at(5250ms), 16u);
  EXPECT_EQ(asked_at(10s), 17u);
  EXPECT_EQ(asked_at(10250ms), 20u);
  EXPECT_EQ(asked_at(15249ms), 20u);
  EXPECT_FALSE(dial.done());
  world.scheduler.run_for(1ms);
  ASSERT_TRUE(dial.done());
  EXPECT_THAT(dial.value().failures, SizeIs(20));
}

TEST(Dial, TriesAtMostEightAddressesOfAPeerAtATimeInAllDials) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  const auto& b = world.add("2.2.2.2");
  std::vector<std::string> some, others;
  for (int i = 1; i <= 8; ++i) some.push_back(tcp_address(i));
  for (int i = 11; i <= 18; ++i) others.push_back(tcp_address(i));
  auto first_request = request_for(b.id(), some);
  first_request.limit = 2s;
  auto second_request = request_for(b.id(), others);
  second_request.despite_backoff = true;  // no dial like the first, which it does not wait for
  const auto first = world.dial(a, std::move(first_request));
  const auto second = world.dial(a, std::move(second_request));
  world.scheduler.run_for(1999ms);
  EXPECT_EQ(hosts_asked(world.internet), 8u);
  world.scheduler.run_for(2ms);
  EXPECT_TRUE(first.done());
  EXPECT_FALSE(second.done());
  EXPECT_EQ(hosts_asked(world.internet), 15u);  // one of the first was waiting for the second's
  world.scheduler.run_for(5s);
  ASSERT_TRUE(second.done());
  EXPECT_THAT(second.value().failures, SizeIs(8));
}

TEST(Dial, EndsAfterAMinute) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  std::vector<std::string> addresses;
  for (int i = 1; i <= 200; ++i) addresses.push_back(tcp_address(i));
  const auto report = world.run_dial(a, request_for(world.add("2.2.2.2").id(), addresses));
  EXPECT_EQ(world.scheduler.now(), at(60s));
  EXPECT_EQ(report.error, std::errc::timed_out);
  EXPECT_THAT(report.failures, SizeIs(200));
  EXPECT_LT(hosts_asked(world.internet), 200u);
}

TEST(Dial, UsesAnotherPortWhenTheConnectionFromTheListeningOneExists) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  auto& stranger = world.add("3.3.3.3");
  world.connect(a, b);
  // Whoever answers there is known, and asked again, under another name.
  const auto report = world.run_dial(a, request_for(stranger.id(), {b.address().to_string()}));
  ASSERT_THAT(report.failures, SizeIs(1));
  EXPECT_EQ(report.failures[0].why, security::NoiseError::peer_mismatch);
  EXPECT_NE(world.internet.syns.back().from.port, 4001);
}

TEST(Dial, IsContentWithAConnectionThatExists) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto connection = world.connect(a, b);
  EXPECT_EQ(world.run_dial(a, request_for(b.id(), {tcp_address(1)})).connection, connection);
  EXPECT_EQ(world.run_dial(b, request_for(a.id(), {})).connection, b.connection());
  EXPECT_EQ(a.swarm->counters().handshakes, 1u);
}

TEST(Dial, EndsWithTheConnectionThatTheOtherSideOpens) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto dial = world.dial(a, request_for(b.id(), {tcp_address(1)}));
  world.scheduler.run_for(1s);
  world.connect(b, a);
  ASSERT_TRUE(dial.done());
  EXPECT_EQ(dial.value().connection, a.connection());
  EXPECT_EQ(a.host.open_sockets(), 1u);
}

TEST(Dial, SaysWhatIsWrongWithARequest) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  EXPECT_EQ(world.run_dial(a, request_for(a.id(), {tcp_address(1)})).error, Error::self_dial);
  EXPECT_EQ(world.run_dial(a, request_for(b.id(), {})).error, Error::no_address);
  const auto nothing = world.run_dial(a, request_for(b.id(), {"/ip4/2.2.2.2/tcp/4001/ws"}));
  EXPECT_EQ(nothing.error, Error::no_transport);
  EXPECT_THAT(nothing.failures, SizeIs(1));
  a.swarm->shut_down();
  EXPECT_EQ(world.run_dial(a, request_for(b.id(), {tcp_address(1)})).error, Error::shut_down);
  EXPECT_EQ(error_of(a.swarm->listen(parsed("/ip4/0.0.0.0/tcp/5000"))), Error::shut_down);
}

TEST(Listen, RefusesWhatItHasNoTransportFor) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  EXPECT_EQ(error_of(a.swarm->listen(parsed("/ip4/0.0.0.0/tcp/5000/ws"))), Error::no_transport);
  EXPECT_EQ(error_of(a.swarm->listen(parsed("/ip4/0.0.0.0/tcp/4001"))), std::errc::address_in_use);
  EXPECT_THAT(a.swarm->addresses().listening(), ElementsAre(a.address()));
}

TEST(Accept, ResetsConnectionsBeyondThoseThatMayBeUpgraded) {
  SwarmWorld world;
  SwarmProfile profile;
  profile.max_inbound_upgrades = 3;
  auto& a = world.add("1.1.1.1", profile);
  auto& mute = world.internet.add_host("2.2.2.2");
  std::vector<std::shared_ptr<io::StreamSocket>> sockets;
  for (int i = 0; i < 5; ++i) sockets.push_back(*mute.dial({a.host.outside(), 4001}, std::nullopt));
  world.scheduler.run_for(1s);
  EXPECT_EQ(a.host.open_sockets(), 3u);
  EXPECT_EQ(a.swarm->counters().handshakes, 3u);
  world.scheduler.run_for(15s);  // the limit of an inbound upgrade
  EXPECT_EQ(a.host.open_sockets(), 0u);
  EXPECT_EQ(a.swarm->counters().failed_upgrades, 3u);
  world.connect(world.add("3.3.3.3"), a);
}

TEST(Accept, ResetsConnectionsBeyondTheMost) {
  SwarmWorld world;
  SwarmProfile profile;
  profile.max_connections = 2;
  auto& a = world.add("1.1.1.1", profile);
  world.connect(world.add("2.2.2.2"), a);
  world.connect(world.add("3.3.3.3"), a);
  auto& last = world.add("4.4.4.4");
  const auto report = world.run_dial(last, request_for(a.id(), {a.address().to_string()}));
  EXPECT_EQ(report.connection, nullptr);
  EXPECT_EQ(a.host.open_sockets(), 2u);
}

TEST(Accept, ResetsConnectionsBeyondTheMostOfOnePeer) {
  SwarmWorld world;
  SwarmProfile profile;
  profile.max_connections_per_peer = 2;
  auto& a = world.add("1.1.1.1", profile);
  auto& b = world.add("2.2.2.2");
  auto& third = world.add_twin(b, "4.4.4.4");
  world.connect(b, a);
  world.connect(world.add_twin(b, "3.3.3.3"), a);
  world.run_dial(third, request_for(a.id(), {a.address().to_string()}));
  world.scheduler.run_for(1s);
  EXPECT_THAT(a.swarm->connections(), SizeIs(2));
  EXPECT_THAT(third.swarm->connections(), IsEmpty());
  world.connect(world.add("5.5.5.5"), a);
}

}  // namespace
}  // namespace flaresim::swarm
