#include "protocols/swarm/peer_store.h"

#include <gmock/gmock.h>

#include "protocols/crypto/keys.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using multiformats::PeerId;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// An inlined key of those bytes; nobody has to know the private one.
PeerId peer_number(int number) {
  io::Bytes bytes{0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
  bytes.resize(38, 7);
  bytes[36] = static_cast<std::uint8_t>(number >> 8);
  bytes[37] = static_cast<std::uint8_t>(number);
  return PeerId::from_bytes(bytes).value();
}

std::vector<Multiaddr> numbered(int first, int last) {
  std::vector<Multiaddr> out;
  for (int port = first; port <= last; ++port)
    out.push_back(Multiaddr::from_string("/ip4/1.1.1.1/tcp/" + std::to_string(port)).value());
  return out;
}

struct PeerStoreTest : testing::Test {
  const std::vector<Multiaddr>& addresses(const PeerId& of) { return store.find(of).addresses; }

  support::TestScheduler scheduler;
  PeerStore store{scheduler};
  PeerId peer = peer_number(1);
};

TEST_F(PeerStoreTest, AddsWhatIsNewAndReplacesWhenTold) {
  EXPECT_THAT(addresses(peer), IsEmpty());
  store.add_addresses(peer, numbered(1, 2));
  store.add_addresses(peer, numbered(2, 3));
  EXPECT_EQ(addresses(peer), numbered(1, 3));
  store.set_addresses(peer, numbered(7, 7));
  EXPECT_EQ(addresses(peer), numbered(7, 7));
  store.set_protocols(peer, {"/a"});
  EXPECT_TRUE(store.find(peer).supports("/a"));
  EXPECT_FALSE(store.find(peer).supports("/b"));
}

TEST_F(PeerStoreTest, KeepsAListOfProtocolsOnceForAllWhoSupportIt) {
  const Protocols both{"/a", "/b"};
  const auto other = peer_number(2), third = peer_number(3);
  store.set_protocols(peer, both);
  store.set_protocols(other, both);
  store.set_protocols(third, {"/a"});
  EXPECT_EQ(store.find(peer).shared_protocols, store.find(other).shared_protocols);
  EXPECT_THAT(store.find(third).protocols(), ElementsAre("/a"));

  store.set_protocols(peer, {"/c"});  // the other still supports what it did
  EXPECT_THAT(store.find(peer).protocols(), ElementsAre("/c"));
  EXPECT_EQ(store.find(other).protocols(), both);

  const std::weak_ptr<const Protocols> nobodys = store.find(other).shared_protocols;
  store.set_protocols(other, {"/c"});
  store.set_protocols(third, {"/c"});
  EXPECT_TRUE(nobodys.expired());
}

TEST_F(PeerStoreTest, TakesAtMost500AddressesOfAPeer) {
  store.set_addresses(peer, numbered(1, 600));
  EXPECT_EQ(addresses(peer), numbered(1, 500));
  store.add_addresses(peer, numbered(1000, 1000));
  EXPECT_THAT(addresses(peer), SizeIs(500));
}

TEST_F(PeerStoreTest, ForgetsThePeerThatSaidNothingNewForLongest) {
  for (int i = 0; i < 1024; ++i) store.set_agent(peer_number(i), "agent");
  store.set_agent(peer_number(0), "still there");
  store.set_agent(peer_number(5000), "newcomer");
  EXPECT_EQ(store.size(), 1024u);
  EXPECT_EQ(store.find(peer_number(0)).agent, "still there");
  EXPECT_EQ(store.find(peer_number(1)).agent, "");
  EXPECT_EQ(store.find(peer_number(2)).agent, "agent");
  EXPECT_EQ(store.find(peer_number(5000)).agent, "newcomer");
}

TEST_F(PeerStoreTest, ForgetsConnectedPeersLast) {
  PeerStore small(scheduler, {.max_peers = 3});
  for (int i = 0; i < 2; ++i) small.set_connected(peer_number(i), true);
  for (int i = 2; i < 9; ++i) small.set_agent(peer_number(i), "agent");
  EXPECT_EQ(small.size(), 3u);
  EXPECT_EQ(small.find(peer_number(7)).agent, "");
  EXPECT_EQ(small.find(peer_number(8)).agent, "agent");
  for (int i = 20; i < 23; ++i) small.set_connected(peer_number(i), true);
  EXPECT_EQ(small.size(), 3u);  // although all are connected
}

TEST_F(PeerStoreTest, KeepsAddressesThatSomebodyNamedForTwoMinutes) {
  store.add_addresses(peer, numbered(1, 2));
  scheduler.run_for(1min);
  store.add_addresses(peer, numbered(2, 3));
  scheduler.run_for(1min - 1ns);
  EXPECT_EQ(addresses(peer), numbered(1, 3));
  scheduler.run_for(1ns);
  EXPECT_EQ(addresses(peer), numbered(2, 3));
  scheduler.run_for(1min);
  EXPECT_THAT(addresses(peer), IsEmpty());
  EXPECT_EQ(store.size(), 0u);
}

TEST_F(PeerStoreTest, KeepsWhatAConnectedPeerSaysAsLongAsItStays) {
  store.set_connected(peer, true);
  store.set_addresses(peer, numbered(1, 30));
  store.set_agent(peer, "agent");
  scheduler.run_for(24h);
  EXPECT_EQ(addresses(peer), numbered(1, 30));
  EXPECT_EQ(store.find(peer).agent, "agent");
}

TEST_F(PeerStoreTest, KeepsTwentyAddressesOfAPeerThatLeftForAQuarterOfAnHour) {
  store.set_connected(peer, true);
  store.set_addresses(peer, numbered(1, 30));
  store.set_agent(peer, "agent");
  scheduler.run_for(1h);
  store.set_connected(peer, false);
  scheduler.run_for(15min - 1ns);
  EXPECT_EQ(addresses(peer), numbered(1, 20));
  EXPECT_EQ(store.find(peer).agent, "agent");
  scheduler.run_for(1ns);
  EXPECT_THAT(addresses(peer), IsEmpty());
  EXPECT_EQ(store.find(peer).agent, "");
}

TEST_F(PeerStoreTest, RemovesWhatHasExpiredAsOthersCome) {
  for (int i = 0; i < 100; ++i) store.add_addresses(peer_number(i), numbered(1, 1));
  scheduler.run_for(2min);
  for (int i = 100; i < 150; ++i) store.add_addresses(peer_number(i), numbered(1, 1));
  EXPECT_EQ(store.size(), 50u);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::swarm
