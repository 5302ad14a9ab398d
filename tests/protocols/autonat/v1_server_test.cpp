#include <gmock/gmock.h>

#include "protocols/autonat/v1.h"
#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// The wire by hand: libp2p/specs autonat/autonat-v1.md, "RPC messages".
io::Bytes dial_message(const io::Bytes& peer_info) {
  return joined({number_field(1, 0), field(2, field(1, peer_info))});
}
io::Bytes peer_info(const io::Bytes& id, const std::vector<std::string>& addresses) {
  auto out = field(1, id);
  for (const auto& address : addresses) io::append(out, field(2, parsed(address).bytes()));
  return out;
}
io::Bytes ok_message(const Multiaddr& address) {
  return joined({number_field(1, 1), field(3, joined({number_field(1, 0), field(3, address.bytes())}))});
}

struct V1ServerTest : testing::Test {
  io::Bytes request_of(Peer& who, const std::vector<std::string>& addresses = {}) {
    return framed(dial_message(peer_info(bytes_of(who.id()), addresses)));
  }
  io::Result<io::Bytes> asked(Peer& from, const io::Bytes& bytes) {
    return world.ask(from, server, v1_protocol, bytes);
  }
  /// The status in the answer; -1 when the stream is reset.
  int status(Peer& from, const io::Bytes& bytes) {
    const auto reply = asked(from, bytes);
    if (!reply) return -1;
    for (int value : {0, 100, 101, 200, 300}) {
      // type DIAL_RESPONSE, and the status first in the response.
      const auto head = joined({number_field(1, 1), io::Bytes{0x1a}});
      const auto body = number_field(1, static_cast<std::uint64_t>(value));
      if (reply->size() < head.size() + 1 + body.size()) continue;
      const io::BytesView view(*reply);
      if (std::ranges::equal(view.first(head.size()), head) &&
          std::ranges::equal(view.subspan(head.size() + 1, body.size()), body)) {
        return value;
      }
    }
    ADD_FAILURE() << "no response";
    return -2;
  }
  /// Where the server sent connection requests to, each address once.
  std::vector<std::string> dialled() {
    std::vector<std::string> out;
    for (const auto& syn : world.internet.syns) {
      if (syn.from.address != server.host.outside() || syn.from.port == server.port) continue;
      const auto to = io::to_string(syn.to);
      if (std::ranges::find(out, to) == out.end()) out.push_back(to);
    }
    return out;
  }
  /// A user that nobody can dial from where it has not called.
  Peer& hidden() {
    auto& peer = world.add("10.0.0.2", "2.2.2.9");
    peer.host.raise_firewall();
    world.connect(peer, server);
    return peer;
  }

  AutonatWorld world;
  Peer& server = world.add("1.1.1.1");
  Peer& user = world.add("2.2.2.2");
  std::unique_ptr<V1Server> service = world.v1_server(server);

  void SetUp() override { world.connect(user, server); }
};

TEST_F(V1ServerTest, TellsAtWhichAddressItReachedUs) {
  const auto reply = asked(user, request_of(user));
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, ok_message(user.address()));
  // The address in it: 4 is ip4, 6 is tcp, 0x0fa1 is 4001.
  const io::Bytes address{0x04, 2, 2, 2, 2, 0x06, 0x0f, 0xa1};
  EXPECT_TRUE(std::ranges::equal(io::BytesView(*reply).last(8), address));
  EXPECT_EQ(service->counters().dialled_back, 1u);
}

TEST_F(V1ServerTest, DialsFromAnotherPortAndAsAnotherPeerAndHangsUp) {
  std::vector<swarm::Connection::Facts> seen;
  user.swarm().on_connected(
      [&](const swarm::ConnectionPtr& connection) { seen.push_back(connection->facts()); });
  EXPECT_EQ(status(user, request_of(user)), 0);
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_NE(seen[0].remote, server.id());
  EXPECT_NE(seen[0].remote_address.endpoint()->port, server.port);
  EXPECT_EQ(seen[0].remote_address.endpoint()->address, server.host.outside());
  world.scheduler.run_for(1s);
  EXPECT_THAT(user.swarm().connections(), SizeIs(1));
  EXPECT_EQ(server.host.open_sockets(), 1u);
}

TEST_F(V1ServerTest, DialsTheObservedIpOnly) {
  auto& peer = hidden();  // or the first dial would be the last one
  EXPECT_EQ(status(peer, request_of(peer, {"/ip4/8.8.8.8/tcp/4002", "/ip6/2606:4700::1/tcp/4003",
                                           "/ip4/192.168.1.1/tcp/4004", "/dns4/example.com/tcp/4005"})),
            100);
  const auto at = peer.host.outside().to_string();
  EXPECT_THAT(dialled(), ElementsAre(at + ":4001", at + ":4002", at + ":4003", at + ":4004"));
}

TEST_F(V1ServerTest, SkipsCircuitsAndStillDialsTheObservedAddress) {
  const auto circuit = "/ip4/9.9.9.9/tcp/4001/p2p/" + server.id().to_string() + "/p2p-circuit";
  EXPECT_EQ(status(user, request_of(user, {circuit})), 0);
  EXPECT_THAT(dialled(), ElementsAre("2.2.2.2:4001"));
}

TEST_F(V1ServerTest, SkipsAddressesThatAreNone) {
  auto info = peer_info(bytes_of(user.id()), {});
  io::append(info, field(2, io::Bytes{0xff, 0xff, 0xff}));
  io::append(info, field(2, io::Bytes{}));
  EXPECT_EQ(status(user, framed(dial_message(info))), 0);
}

TEST_F(V1ServerTest, DialsAtMostSixteenAddresses) {
  auto& peer = hidden();
  std::vector<std::string> addresses;
  for (int port = 5000; port < 5030; ++port) addresses.push_back("/ip4/2.2.2.9/tcp/" + std::to_string(port));
  EXPECT_EQ(status(peer, request_of(peer, addresses)), 100);
  EXPECT_THAT(dialled(), SizeIs(16));
}

TEST_F(V1ServerTest, KeepsAFailureToItselfForExactlyItsTimeLimit) {
  auto& peer = hidden();
  const auto stream = world.open(peer, server, v1_protocol);
  const auto asked_at = world.scheduler.now();
  EXPECT_TRUE(world.run(support::write_all(stream, request_of(peer))));
  const auto reply = world.run(support::read_frame(stream));
  ASSERT_TRUE(reply);
  EXPECT_EQ((world.scheduler.now() - asked_at), 15s + 2 * 10ms);  // 10 ms each way
  EXPECT_EQ(service->counters().failed, 1u);
}

TEST_F(V1ServerTest, TellsNoSoonerWhenTheDialIsRefusedAtOnce) {
  world.internet.rule = [](const support::Syn& syn) {
    return syn.from.port == 4001 ? support::Verdict::pass : support::Verdict::refuse;
  };
  const auto stream = world.open(user, server, v1_protocol);
  const auto asked_at = world.scheduler.now();
  EXPECT_TRUE(world.run(support::write_all(stream, request_of(user))));
  ASSERT_TRUE(world.run(support::read_frame(stream)));
  EXPECT_EQ((world.scheduler.now() - asked_at), 15s + 2 * 10ms);
}

TEST_F(V1ServerTest, DialsOverQuicToo) {
  const auto quic = world.listen_quic(user);
  world.internet.rule = [](const support::Syn& syn) {
    return syn.from.port == 4001 ? support::Verdict::pass : support::Verdict::drop;
  };
  const auto reply = asked(user, request_of(user, {quic.to_string()}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, ok_message(quic));
}

TEST_F(V1ServerTest, ARequestWithoutPeerIsBad) {
  EXPECT_EQ(status(user, framed(number_field(1, 0))), 200);
  EXPECT_EQ(status(user, framed(joined({number_field(1, 0), field(2, io::Bytes{})}))), 200);
  EXPECT_EQ(service->counters().bad, 2u);
}

TEST_F(V1ServerTest, ARequestForAnotherPeerIsBad) {
  EXPECT_EQ(status(user, request_of(server)), 200);
  EXPECT_THAT(dialled(), IsEmpty());
}

TEST_F(V1ServerTest, ARequestWithAGarbledPeerIdIsBad) {
  EXPECT_EQ(status(user, framed(dial_message(field(1, io::Bytes{1, 2, 3})))), 200);
  EXPECT_EQ(status(user, framed(dial_message(field(1, io::Bytes{})))), 200);
}

TEST_F(V1ServerTest, ARequestMayLeaveThePeerIdOut) {
  EXPECT_EQ(status(user, framed(dial_message(field(2, user.address().bytes())))), 0);
}

TEST_F(V1ServerTest, RefusesWhoComesFromAPrivateAddress) {
  auto& neighbour = world.add("192.168.7.7");
  world.connect(neighbour, server);
  EXPECT_EQ(status(neighbour, request_of(neighbour, {"/ip4/8.8.8.8/tcp/4001"})), 101);
  EXPECT_THAT(dialled(), IsEmpty());
}

TEST_F(V1ServerTest, RefusesWhoComesFromAnAddressOfItsOwn) {
  server.swarm().addresses().set_mapped(std::vector<Multiaddr>(1, parsed("/ip4/2.2.2.2/tcp/7777")));
  EXPECT_EQ(status(user, request_of(user)), 101);
  EXPECT_THAT(dialled(), IsEmpty());
}

TEST_F(V1ServerTest, RefusesWhoComesOverARelay) {
  auto& relay = world.add("3.3.3.3");
  auto& far = world.add("4.4.4.4");
  const auto connection = world.connect_through(relay, far, server);
  const auto opened = world.run(connection->open_stream({std::string(v1_protocol)}));
  ASSERT_TRUE(opened);
  ASSERT_TRUE(world.run(support::write_all(opened->stream, request_of(far))));
  const auto reply = world.run(support::read_frame(opened->stream));
  ASSERT_TRUE(reply);
  EXPECT_EQ((*reply)[1], 1);
  EXPECT_EQ((*reply)[5], 101);  // type, its value, response, its length, status, its value
  EXPECT_EQ(service->counters().refused, 1u);
}

TEST_F(V1ServerTest, RefusesTheFourthRequestOfAPeerWithinAMinute) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status(user, request_of(user)), 0);
  EXPECT_EQ(status(user, request_of(user)), 101);
  auto& other = world.add("2.2.2.3");
  world.connect(other, server);
  EXPECT_EQ(status(other, request_of(other)), 0);
  EXPECT_EQ(service->counters().refused, 1u);
}

TEST_F(V1ServerTest, TheFirstWindowIsAMinute) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status(user, request_of(user)), 0);
  world.scheduler.run_for(59s - world.scheduler.now().time_since_epoch());
  EXPECT_EQ(status(user, request_of(user)), 101);
  world.scheduler.run_for(60s - world.scheduler.now().time_since_epoch());
  EXPECT_EQ(status(user, request_of(user)), 0);
}

TEST_F(V1ServerTest, LaterWindowsAreUpToFifteenSecondsLonger) {
  world.scheduler.run_for(60s - world.scheduler.now().time_since_epoch());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status(user, request_of(user)), 0);
  world.scheduler.run_for(120s - 100ms - world.scheduler.now().time_since_epoch());
  EXPECT_EQ(status(user, request_of(user)), 101);
  world.scheduler.run_for(135s - world.scheduler.now().time_since_epoch());
  EXPECT_EQ(status(user, request_of(user)), 0);
}

TEST_F(V1ServerTest, RefusesMoreThanThirtyRequestsOfAllWithinAMinute) {
  int served = 0;
  for (int i = 1; i <= 11; ++i) {
    auto& peer = world.add("5.5.5." + std::to_string(i));
    world.connect(peer, server);
    for (int k = 0; k < 3; ++k) served += status(peer, request_of(peer)) == 0 ? 1 : 0;
  }
  EXPECT_LT(world.seconds(), 60);
  EXPECT_EQ(served, 30);
}

TEST_F(V1ServerTest, ResetsOnWhatIsNoRequest) {
  EXPECT_EQ(status(user, framed(joined({number_field(1, 1), field(3, number_field(1, 0))}))), -1);
  EXPECT_EQ(status(user, framed(number_field(1, 7))), -1);
  EXPECT_EQ(status(user, framed(io::Bytes{0xff, 0xff, 0xff})), -1);
  EXPECT_EQ(service->counters().bad, 3u);
  EXPECT_EQ(user.swarm().connections().size(), 1u);
}

TEST_F(V1ServerTest, ResetsOnAMessageOfMoreThan4096Bytes) {
  auto fits = dial_message(peer_info(bytes_of(user.id()), {}));
  io::append(fits, field(9, io::Bytes(4096 - fits.size() - 3)));
  ASSERT_EQ(fits.size(), 4096u);
  EXPECT_EQ(status(user, framed(fits)), 0);
  fits.push_back(0);
  EXPECT_EQ(status(user, framed(fits)), -1);
}

TEST_F(V1ServerTest, GivesUpAMutePeerAfterAMinute) {
  const auto stream = world.open(user, server, v1_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, io::Bytes{20, 1})));
  world.scheduler.run_for(59s);
  EXPECT_EQ(service->active(), 1u);
  world.scheduler.run_for(1s);
  EXPECT_EQ(service->active(), 0u);
}

TEST_F(V1ServerTest, StoppingEndsWhatRuns) {
  auto& peer = hidden();
  for (const auto wait : {1s, 14s}) {  // while it dials, and while it keeps the failure to itself
    auto other = world.v1_server(server);
    const auto stream = world.open(peer, server, v1_protocol);
    EXPECT_TRUE(world.run(support::write_all(stream, request_of(peer))));
    world.scheduler.run_for(wait);
    EXPECT_EQ(other->active(), 1u);
    other->stop();
    world.scheduler.settle();
    EXPECT_EQ(other->active(), 0u);
    EXPECT_EQ(server.host.open_sockets(), 2u);  // those of user and peer
    EXPECT_FALSE(world.run(support::read_frame(stream)));
  }
  EXPECT_THAT(server.swarm().protocols(), testing::Not(testing::Contains(std::string(v1_protocol))));
}

TEST_F(V1ServerTest, LeavesNoTimerBehind) {
  auto& peer = hidden();
  const auto stream = world.open(peer, server, v1_protocol);
  EXPECT_TRUE(world.run(support::write_all(stream, request_of(peer))));
  world.scheduler.run_for(1s);
  service->stop();
  for (const auto& each : world.peers) each->node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(service->active(), 0u);
  EXPECT_EQ(world.scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::autonat
