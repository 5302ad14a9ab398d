#include <gmock/gmock.h>

#include "protocols/kademlia/message.h"
#include "protocols/node/node.h"
#include "tests/protocols/node/world.h"

namespace flaresim::node {
namespace {

using namespace std::chrono_literals;
using support::Peer;
using support::World;
using swarm::Reachability;
using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::Truly;

NodeProfile whole(ReachabilityFrom from = ReachabilityFrom::both) {
  NodeProfile profile;
  profile.connection_manager.emplace();
  profile.autonat.emplace().from = from;
  profile.dht.emplace();
  profile.auto_relay.emplace();
  profile.relay_when_public = true;
  return profile;
}

struct ColdStart : testing::Test {
  Peer& join(const std::string& address, const std::string& outside, const NodeProfile& profile) {
    auto& peer = world.add(address, outside, profile);
    if (!outside.empty()) peer.host.raise_firewall();
    std::vector<swarm::AddressInfo> known;
    for (std::size_t i = 0; i < 3 && i + 1 < world.peers.size(); ++i)
      known.push_back({world.peers[i]->id(), world.peers[i]->addresses()});
    peer.node.bootstrap(std::move(known));
    return peer;
  }
  /// In networks of their own, as the DHT wants its peers.
  void add_public_nodes(int number, ReachabilityFrom from = ReachabilityFrom::both) {
    for (int i = 1; i <= number; ++i) join(std::to_string(20 + i) + ".1.1.1", "", whole(from));
  }
  template <class Condition>
  bool comes(Condition condition, io::Duration limit = 10min) {
    return world.scheduler.run_until(condition, limit);
  }
  World world;
};

TEST_F(ColdStart, PublicNodesFindThatOutServeTheDhtAndRelay) {
  add_public_nodes(12);
  world.scheduler.run_for(5min);
  for (const auto& peer : world.peers) {
    EXPECT_EQ(peer->node.reachability(), Reachability::reachable);
    EXPECT_EQ(peer->node.dht()->mode(), kademlia::Mode::server);
    EXPECT_TRUE(peer->node.relay_service());
    EXPECT_TRUE(peer->node.autonat_v1_server());
    EXPECT_FALSE(peer->node.auto_relay()->running());
  }
}

TEST_F(ColdStart, APrivateNodeIsFoundByItsIdAlone) {
  add_public_nodes(12);
  world.scheduler.run_for(5min);
  auto& b = join("10.0.0.2", "99.1.1.1", whole());
  EXPECT_EQ(b.node.reachability(), Reachability::unknown);
  ASSERT_TRUE(comes([&] { return b.node.reachability() == Reachability::unreachable; }));
  EXPECT_EQ(b.node.dht()->mode(), kademlia::Mode::client);
  EXPECT_FALSE(b.node.autonat_v1_server());
  ASSERT_TRUE(comes([&] { return b.node.relay_client().reservations().size() == 2; }));
  EXPECT_THAT(b.node.auto_relay()->relays(), SizeIs(2));
  world.scheduler.run_for(30s);

  auto& a = join("10.0.0.2", "98.1.1.1", whole());
  world.scheduler.run_for(1min);
  ASSERT_THAT(a.swarm().peers().find(b.id()).addresses, IsEmpty());
  const auto report = world.run(a.node.find_and_connect(b.id()));
  ASSERT_TRUE(report.connection) << report.error.message();
  EXPECT_TRUE(report.connection->relayed());
  // What follows is a hole punch, which these firewalls allow.
  EXPECT_TRUE(comes([&] { return a.swarm().direct_connection_to(b.id()) != nullptr; }, 1min));
}

TEST_F(ColdStart, WithV1AloneTheSameVerdictsAreReached) {
  add_public_nodes(8, ReachabilityFrom::v1);
  world.scheduler.run_for(5min);
  auto& b = join("10.0.0.2", "99.1.1.1", whole(ReachabilityFrom::v1));
  ASSERT_TRUE(comes([&] { return b.node.reachability() == Reachability::unreachable; }));
  EXPECT_FALSE(b.node.autonat_v2());
  EXPECT_TRUE(comes([&] { return b.node.relay_client().reservations().size() == 2; }));
  EXPECT_THAT(b.swarm().addresses().probeable(), Not(IsEmpty()));
  EXPECT_THAT(b.swarm().addresses().advertised(),
              Each(Truly([](const auto& address) { return address.is_circuit() || !address.is_public(); })));
}

TEST_F(ColdStart, WithV2AloneTheSameVerdictsAreReached) {
  add_public_nodes(8, ReachabilityFrom::v2);
  world.scheduler.run_for(10min);
  EXPECT_EQ(world.peers[7]->node.reachability(), Reachability::reachable);
  auto& b = join("10.0.0.2", "99.1.1.1", whole(ReachabilityFrom::v2));
  ASSERT_TRUE(comes([&] { return b.node.relay_client().reservations().size() == 2; }));
}

TEST(ForcedReachability, DecidesAtOnceAndCanBeServedToOthers) {
  World world;
  auto profile = whole();
  profile.forced_reachability = Reachability::reachable;
  auto& a = world.add("1.1.1.1", "", profile);
  world.scheduler.run_for(1s);
  EXPECT_EQ(a.node.reachability(), Reachability::reachable);
  EXPECT_EQ(a.node.dht()->mode(), kademlia::Mode::server);
  EXPECT_TRUE(a.node.relay_service());
  EXPECT_FALSE(a.node.autonat_v1());
  EXPECT_THAT(a.swarm().protocols(), Contains(std::string(relay::hop_protocol)));
}

TEST(DhtServer, CallsAPeerConnectedThatItHasADirectConnectionTo) {
  World world;
  auto profile = whole();
  profile.forced_reachability = Reachability::reachable;
  auto& relay = world.add("1.1.1.1");
  auto& server = world.add("2.2.2.2", "", profile);
  auto& target = world.add("3.3.3.3");
  auto& asker = world.add("4.4.4.4");
  world.connect(asker, server);
  const auto connection_to_target = [&] {
    const auto stream = world.open(asker, server, "/ipfs/kad/1.0.0");
    const kademlia::Message request{kademlia::MessageType::find_node, io::to_bytes(target.id().bytes())};
    EXPECT_TRUE(world.run(support::write_all(stream, support::framed(kademlia::encode(request)))));
    const auto answer = kademlia::decode(world.run(support::read_frame(stream)).value()).value();
    stream->reset({});
    EXPECT_EQ(answer.closer_peers.at(0).peer, target.id());
    return answer.closer_peers.at(0).connection;
  };
  server.swarm().peers().add_addresses(target.id(), target.addresses());
  EXPECT_EQ(connection_to_target(), kademlia::ConnectionType::not_connected);
  ASSERT_TRUE(world.connect_through(relay, server, target)->limited());
  EXPECT_EQ(connection_to_target(), kademlia::ConnectionType::not_connected);
  world.connect(server, target);
  EXPECT_EQ(connection_to_target(), kademlia::ConnectionType::connected);
}

TEST(RelayService, CanBeStoppedAndStartedAgainAndItsPeersAreTold) {
  World world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  world.connect(a, b);
  const std::string hop(relay::hop_protocol);
  const auto knows = [&] { return a.swarm().peers().find(b.id()).protocols(); };
  for (int i = 0; i < 2; ++i) {
    b.node.start_relay_service();
    b.node.start_relay_service();
    world.scheduler.run_for(2s);
    EXPECT_THAT(knows(), Contains(hop));
    EXPECT_TRUE(world.run(a.node.relay_client().reserve(b.id(), b.addresses())));
    b.node.stop_relay_service();
    world.scheduler.run_for(2s);
    EXPECT_THAT(knows(), Not(Contains(hop)));
  }
}

TEST(FindAndConnect, WithoutAnyAddressSaysSo) {
  World world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  EXPECT_EQ(world.run(a.node.find_and_connect(b.id())).error, swarm::Error::no_address);
  a.swarm().peers().add_addresses(b.id(), b.addresses());
  EXPECT_TRUE(world.run(a.node.find_and_connect(b.id())).connection);
}

}  // namespace
}  // namespace flaresim::node
