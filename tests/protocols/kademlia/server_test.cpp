#include <gmock/gmock.h>

#include "protocols/kademlia/error.h"
#include "protocols/negotiation/multistream.h"
#include "tests/protocols/kademlia/dht_world.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::kademlia {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

io::Bytes id_of(const DhtPeer& peer) { return io::to_bytes(peer.id().bytes()); }

/// A server that knows two others, and a client that asks it.
struct ServerTest : testing::Test {
  ServerTest() {
    world.connect(server, first);
    world.connect(server, second);
    world.connect(client, server);
  }
  io::Result<Message> ask(const Message& request) { return world.ask(client, server, request); }
  /// What goes wrong resets the stream, and is counted.
  void expect_refused(const Message& request) {
    const auto before = server.dht.counters().malformed;
    EXPECT_FALSE(ask(request));
    EXPECT_EQ(server.dht.counters().malformed, before + 1);
  }
  Message with_provider(const DhtPeer& provider) {
    Message message{MessageType::add_provider, io::to_bytes("what")};
    message.provider_peers.push_back({provider.id(), {provider.address()}});
    return message;
  }
  std::vector<PeerEntry> providers() {
    return ask({MessageType::get_providers, io::to_bytes("what")}).value().provider_peers;
  }

  DhtWorld world;
  DhtPeer& server = world.add(Mode::server);
  DhtPeer& first = world.add(Mode::server);
  DhtPeer& second = world.add(Mode::server);
  DhtPeer& client = world.add(Mode::client);
};

TEST_F(ServerTest, ServersThatAnswerAreInTheTableAndClientsAreNot) {
  EXPECT_THAT(server.dht.table(), UnorderedElementsAre(first.id(), second.id()));
  EXPECT_THAT(client.dht.table(), Contains(server.id()));
}

TEST_F(ServerTest, NamesItsPeersWithTheirAddressesButNeitherItselfNorWhoAsks) {
  world.connect(first, second);
  const auto by_client = ask({MessageType::find_node, io::to_bytes("anything")});
  ASSERT_TRUE(by_client);
  EXPECT_THAT(ids_of(by_client->closer_peers), UnorderedElementsAre(first.id(), second.id()));
  for (const auto& entry : by_client->closer_peers) {
    EXPECT_THAT(entry.addresses, SizeIs(1));
    EXPECT_EQ(entry.connection, ConnectionType::connected);
  }
  const auto by_peer = world.ask(first, server, {MessageType::find_node, io::to_bytes("anything")});
  ASSERT_TRUE(by_peer);
  EXPECT_THAT(ids_of(by_peer->closer_peers), ElementsAre(second.id()));
}

TEST_F(ServerTest, TheTargetIsNamedFirstThoughItIsNoServer) {
  const auto answer = world.ask(first, server, {MessageType::find_node, id_of(client)});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->closer_peers.front(),
            (PeerEntry{client.id(), {client.address()}, ConnectionType::connected}));
}

TEST_F(ServerTest, WhoAsksForTheServerOrForItselfIsTold) {
  EXPECT_EQ(ask({MessageType::find_node, id_of(server)}).value().closer_peers.front().peer, server.id());
  EXPECT_EQ(ask({MessageType::find_node, id_of(client)}).value().closer_peers.front().peer, client.id());
}

TEST_F(ServerTest, CircuitAddressesOfATargetAreHandedOutPrivateOnesAreNot) {
  const auto circuit = first.address().with_peer(first.id()).encapsulate(Multiaddr::circuit());
  const auto at_home = Multiaddr::from_string("/ip4/192.168.1.2/tcp/4001").value();
  client.swarm->addresses().set_listening({at_home});
  client.swarm->addresses().set_circuits({circuit});
  world.scheduler.run_for(5s);
  const auto answer = world.ask(first, server, {MessageType::find_node, id_of(client)});
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->closer_peers.front().addresses, ElementsAre(circuit));
}

TEST_F(ServerTest, AStreamCarriesManyRequests) {
  const auto stream = world.open(client, server);
  for (int i = 0; i < 10; ++i) {
    const auto request = encode({MessageType::find_node, io::to_bytes("anything")});
    ASSERT_TRUE(world.run(support::write_all(stream, support::framed(request))));
    const auto answer = world.run(support::read_frame(stream));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(decode(*answer));
  }
  EXPECT_TRUE(world.run(stream->close_write()));
  EXPECT_EQ(world.run(support::read_all(stream)).value(), io::Bytes{});
}

TEST_F(ServerTest, AnIdleStreamIsResetAfterAMinute) {
  const auto stream = world.open(client, server);
  const auto read = support::start(world.scheduler, support::read_all(stream));
  world.scheduler.run_for(59s);
  EXPECT_FALSE(read.done());
  world.scheduler.run_for(2s);
  ASSERT_TRUE(read.done());
  EXPECT_FALSE(read.value());
}

TEST_F(ServerTest, NoMoreStreamsOfOnePeerThanAllowed) {
  std::vector<io::StreamPtr> streams;
  for (int i = 0; i < 32; ++i) streams.push_back(world.open(client, server));
  EXPECT_FALSE(ask({MessageType::ping}));
  EXPECT_TRUE(world.ask(first, server, {MessageType::ping}));
  streams.front()->reset();
  world.scheduler.run_for(1s);
  EXPECT_TRUE(ask({MessageType::ping}));
}

TEST_F(ServerTest, BadRequestsResetTheStream) {
  expect_refused({MessageType::find_node});
  expect_refused({MessageType::get_value});
  expect_refused({MessageType::get_providers});
  expect_refused({MessageType::get_providers, io::Bytes(81, 'x')});
  Message put{MessageType::put_value, io::to_bytes("/pk/a")};
  expect_refused(put);
  put.record = Record{io::to_bytes("/pk/b"), io::to_bytes("value"), ""};
  expect_refused(put);
  put.record->key = put.key;
  expect_refused(put);  // no key
  put.key = put.record->key = io::to_bytes("/unknown/a");
  expect_refused(put);
}

TEST_F(ServerTest, NonsenseAndUnknownTypesResetTheStream) {
  for (const auto& bytes : {support::framed(io::to_bytes("\xff\xff")), support::framed(io::Bytes{0x08, 0x06}),
                            support::framed(io::Bytes(200'000)), io::Bytes(10, 0xff)}) {
    const auto stream = world.open(client, server);
    world.run(support::write_all(stream, bytes));
    const auto answer = world.run(support::read_all(stream));
    EXPECT_FALSE(answer);
  }
  EXPECT_TRUE(ask({MessageType::ping}));
}

TEST_F(ServerTest, ARequestOfMoreThan16KiBIsServed) {
  Message request{MessageType::find_node, io::Bytes(16 * 1024 + 1, 'x')};
  EXPECT_TRUE(ask(request));
}

TEST_F(ServerTest, PingIsAnswered) {
  const auto answer = ask({MessageType::ping});
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, Message{MessageType::ping});
}

TEST_F(ServerTest, OnlyTheSenderIsTakenAsProvider) {
  const auto stream = world.open(client, server);
  world.run(support::write_all(stream, support::framed(encode(with_provider(first)))));
  EXPECT_FALSE(world.run(support::read_all(stream)));
  EXPECT_THAT(providers(), IsEmpty());

  auto both = with_provider(first);
  both.provider_peers.push_back({client.id(), {client.address()}});
  const auto again = world.open(client, server);
  world.run(support::write_all(again, support::framed(encode(both))));
  world.scheduler.run_for(1s);
  EXPECT_THAT(ids_of(providers()), ElementsAre(client.id()));
  again->reset();
}

TEST_F(ServerTest, APutValueComesBackAsItWasAndIsServedWithTheTimeItCame) {
  auto key = io::to_bytes("/pk/");
  io::append(key, first.id().bytes());
  Message put{MessageType::put_value, key};
  put.record = Record{key, first.swarm->identity().public_key().to_message(), ""};
  const auto came = to_rfc3339(world.scheduler.calendar()).substr(0, 15);
  EXPECT_EQ(ask(put).value(), put);
  const auto got = ask({MessageType::get_value, key});
  ASSERT_TRUE(got);
  ASSERT_TRUE(got->record);
  EXPECT_EQ(got->record->value, put.record->value);
  EXPECT_THAT(got->record->time_received, testing::StartsWith(came));
  EXPECT_THAT(got->closer_peers, Not(IsEmpty()));
}

TEST_F(ServerTest, AClientSaysThatItDoesNotSpeakTheProtocol) {
  std::vector<std::string> protocols(1, kad_protocol);
  const auto opened = world.run(server.swarm->connection_to(client.id())->open_stream(std::move(protocols)));
  EXPECT_EQ(error_of(opened), negotiation::Error::no_protocol);
}

TEST_F(ServerTest, BecomingAClientEndsStreamsAndLeavesOthersTables) {
  ASSERT_THAT(first.dht.table(), Contains(server.id()));
  const auto stream = world.open(client, server);
  const auto read = support::start(world.scheduler, support::read_all(stream));
  server.dht.set_mode(Mode::client);
  world.scheduler.run_for(5s);
  ASSERT_TRUE(read.done());
  EXPECT_FALSE(read.value());
  EXPECT_THAT(first.dht.table(), Not(Contains(server.id())));
  EXPECT_THAT(client.dht.table(), Not(Contains(server.id())));
  server.dht.set_mode(Mode::server);
  world.scheduler.run_for(5s);
  EXPECT_THAT(first.dht.table(), Contains(server.id()));
}

}  // namespace
}  // namespace flaresim::kademlia
