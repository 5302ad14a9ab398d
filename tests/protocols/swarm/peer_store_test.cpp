#include "protocols/swarm/peer_store.h"

#include <gmock/gmock.h>

#include "protocols/crypto/keys.h"
#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

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
    out.push_back(parsed("/ip4/1.1.1.1/tcp/" + std::to_string(port)));
  return out;
}

TEST(PeerStore, AddsWhatIsNewAndReplacesWhenTold) {
  PeerStore store;
  const auto peer = peer_number(1);
  EXPECT_THAT(store.find(peer).addresses, IsEmpty());
  store.add_addresses(peer, numbered(1, 2));
  store.add_addresses(peer, numbered(2, 3));
  EXPECT_EQ(store.find(peer).addresses, numbered(1, 3));
  store.set_addresses(peer, numbered(7, 7));
  EXPECT_EQ(store.find(peer).addresses, numbered(7, 7));
  store.set_protocols(peer, {"/a"});
  EXPECT_TRUE(store.find(peer).supports("/a"));
  EXPECT_FALSE(store.find(peer).supports("/b"));
}

TEST(PeerStore, TakesAtMost500AddressesOfAPeer) {
  PeerStore store;
  const auto peer = peer_number(1);
  store.set_addresses(peer, numbered(1, 600));
  EXPECT_EQ(store.find(peer).addresses, numbered(1, 500));
  store.add_addresses(peer, numbered(1000, 1000));
  EXPECT_THAT(store.find(peer).addresses, SizeIs(500));
}

TEST(PeerStore, ForgetsThePeerThatSaidNothingNewForLongest) {
  PeerStore store;
  for (int i = 0; i < 1024; ++i) store.set_agent(peer_number(i), "agent");
  store.set_agent(peer_number(0), "still there");
  store.set_agent(peer_number(5000), "newcomer");
  EXPECT_EQ(store.size(), 1024u);
  EXPECT_EQ(store.find(peer_number(0)).agent, "still there");
  EXPECT_EQ(store.find(peer_number(1)).agent, "");
  EXPECT_EQ(store.find(peer_number(2)).agent, "agent");
  EXPECT_EQ(store.find(peer_number(5000)).agent, "newcomer");
}

}  // namespace
}  // namespace flaresim::swarm
