#include "protocols/autorelay/auto_relay.h"

#include <gmock/gmock.h>

#include "protocols/kademlia/key.h"
#include "tests/protocols/node/world.h"

namespace flaresim::autorelay {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using multiformats::PeerId;
using support::Peer;
using support::World;
using testing::Each;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

io::Task<std::vector<swarm::AddressInfo>> give(std::vector<swarm::AddressInfo> infos) { co_return infos; }

struct AutoRelayTest : testing::Test {
  Peer& add_public(const node::NodeProfile& profile = {}) {
    auto& peer = world.add(std::to_string(++added) + ".1.1.1", "", profile);
    offered.push_back({peer.id(), peer.addresses()});
    return peer;
  }
  void add_relays(int number, const node::NodeProfile& profile = {}) {
    for (int i = 0; i < number; ++i) {
      relays.push_back(&add_public(profile));
      relays.back()->node.start_relay_service();
    }
  }
  AutoRelay& begin(AutoRelayProfile profile = {}) {
    const std::shared_ptr<swarm::Swarm> swarm(std::shared_ptr<void>(), &b.swarm());
    auto_relay.emplace(swarm, b.node.identify(), b.node.ping(), b.node.relay_client(), profile,
                       [this](std::size_t) { return give(offered); });
    auto_relay->start();
    return *auto_relay;
  }
  std::uint64_t refusals() const {
    std::uint64_t out = 0;
    for (auto* relay : relays) {
      const auto& refused = relay->node.relay_service()->counters().refused;
      if (const auto found = refused.find(relay::Status::reservation_refused); found != refused.end())
        out += found->second;
    }
    return out;
  }
  std::uint64_t granted() const {
    std::uint64_t out = 0;
    for (auto* relay : relays) out += relay->node.relay_service()->counters().reservations_granted;
    return out;
  }
  Peer& relay_of(const PeerId& id) {
    return **std::ranges::find_if(relays, [&](auto* relay) { return relay->id() == id; });
  }

  World world;
  Peer& b = world.add("10.0.0.2", "99.9.9.9");
  std::vector<Peer*> relays;
  std::vector<swarm::AddressInfo> offered;
  int added = 0;
  std::optional<AutoRelay> auto_relay;
};

TEST_F(AutoRelayTest, ReservesOnTwoOfManyAtOnceAndAdvertisesThem) {
  add_relays(5);
  const auto& self = begin();
  world.scheduler.run_for(2s);
  ASSERT_THAT(self.relays(), SizeIs(2));
  EXPECT_THAT(b.node.relay_client().reservations(), SizeIs(2));
  EXPECT_THAT(b.swarm().addresses().circuits(), SizeIs(2));
  EXPECT_EQ(self.counters().source_calls, 1u);
  for (const auto& relay : self.relays()) EXPECT_TRUE(b.swarm().tags().is_protected(relay));
}

TEST_F(AutoRelayTest, WithFewerThanFourCandidatesWaitsForTheBootDelay) {
  add_relays(3);
  const auto& self = begin();
  world.scheduler.run_for(179s);
  EXPECT_EQ(self.candidates(), 3u);
  EXPECT_THAT(self.relays(), IsEmpty());
  world.scheduler.run_for(2s);
  EXPECT_THAT(self.relays(), SizeIs(2));
}

TEST_F(AutoRelayTest, WhoIsNoRelayIsNoCandidate) {
  add_relays(3);
  add_public();
  add_public();
  const auto& self = begin();
  world.scheduler.run_for(10s);
  EXPECT_EQ(self.counters().probes, 5u);
  EXPECT_EQ(self.candidates(), 3u);
}

TEST_F(AutoRelayTest, ARelayThatIsReachedOnlyThroughAnotherOneIsNoCandidate) {
  add_relays(2);
  // The second one is behind the first: connected to us through it, and nowhere else to be found.
  const auto connection = world.connect_through(*relays[0], b, *relays[1]);
  ASSERT_TRUE(connection->relayed());
  relays[1]->host.raise_firewall();
  world.scheduler.run_for(1s);
  for (auto& direct : b.swarm().connections())
    if (!direct->relayed() && direct->remote() == relays[1]->id()) direct->close(swarm::Error::duplicate);
  const auto through = relays[0]->address().with_peer(relays[0]->id()).encapsulate(Multiaddr::circuit());
  offered[1].addresses = std::vector<Multiaddr>(1, through);
  const auto& self = begin();
  world.scheduler.run_for(25s);
  EXPECT_EQ(self.counters().probes, 2u);
  EXPECT_EQ(self.candidates(), 1u);
}

TEST_F(AutoRelayTest, TheSourceIsAskedEveryHalfMinuteWhileThereAreTooFewCandidates) {
  const auto& self = begin();
  world.scheduler.run_for(299s);
  EXPECT_EQ(self.counters().source_calls, 10u);
}

TEST_F(AutoRelayTest, WhoRefusesIsNotAskedAgainForAnHour) {
  node::NodeProfile full;
  full.relay.service.max_reservations = 0;
  add_relays(4, full);
  const auto& self = begin();
  world.scheduler.run_for(59min);
  EXPECT_EQ(refusals(), 4u);
  EXPECT_EQ(self.counters().refused, 4u);
  world.scheduler.run_for(2min);
  EXPECT_EQ(refusals(), 8u);
  EXPECT_THAT(self.relays(), IsEmpty());
}

TEST_F(AutoRelayTest, ALostRelayIsReplacedWithinASecondAndItsPeersAreTold) {
  add_relays(6);
  auto& other = world.add("77.1.1.1");
  const auto& self = begin();
  world.connect(b, other);
  world.scheduler.run_for(3s);
  const auto before = self.relays();
  ASSERT_THAT(before, SizeIs(2));
  relay_of(before[0]).node.shut_down();
  world.scheduler.run_for(1s);
  const auto after = self.relays();
  ASSERT_THAT(after, SizeIs(2));
  EXPECT_THAT(after, testing::Not(testing::Contains(before[0])));
  EXPECT_FALSE(b.swarm().tags().is_protected(before[0]));
  EXPECT_EQ(self.counters().lost, 1u);
  world.scheduler.run_for(2s);
  std::vector<PeerId> told;
  for (const auto& address : other.swarm().peers().find(b.id()).addresses) {
    if (address.is_circuit()) told.push_back(*address.relay()->peer_id());
  }
  EXPECT_THAT(told, testing::UnorderedElementsAreArray(after));
}

TEST_F(AutoRelayTest, AllItsRelaysMayDieAtOnce) {
  add_relays(6);
  const auto& self = begin();
  world.scheduler.run_for(3s);
  const auto before = self.relays();
  for (const auto& relay : before) relay_of(relay).node.shut_down();
  world.scheduler.run_for(1s);
  EXPECT_THAT(self.relays(), SizeIs(2));
  EXPECT_EQ(self.counters().lost, 2u);
  for (const auto& relay : before) EXPECT_THAT(self.relays(), testing::Not(testing::Contains(relay)));
}

TEST_F(AutoRelayTest, StoppingReleasesItsRelaysAndStartingTakesRelaysAgain) {
  add_relays(8);
  auto& self = begin();
  world.scheduler.run_for(2s);
  const auto before = self.relays();
  self.stop();
  EXPECT_FALSE(self.running());
  EXPECT_THAT(b.node.relay_client().reservations(), IsEmpty());
  EXPECT_THAT(b.swarm().addresses().circuits(), IsEmpty());
  for (const auto& relay : before) EXPECT_FALSE(b.swarm().tags().is_protected(relay));
  EXPECT_EQ(self.counters().lost, 0u);
  self.start();
  world.scheduler.run_for(2s);
  EXPECT_THAT(self.relays(), SizeIs(2));
}

TEST_F(AutoRelayTest, StoppedWhileItReservesItKeepsNothing) {
  add_relays(4);
  for (int delay = 0; delay < 300; delay += 10) {
    auto& self = begin();
    world.scheduler.run_for(std::chrono::milliseconds(delay));
    self.stop();
    world.scheduler.run_for(10s);
    EXPECT_THAT(b.node.relay_client().reservations(), IsEmpty()) << delay;
    auto_relay.reset();
    for (const auto& connection : b.swarm().connections()) connection->close(swarm::Error::duplicate);
    world.scheduler.run_for(1s);
  }
}

TEST_F(AutoRelayTest, ReservationsAreRefreshedBetween58And59Minutes) {
  add_relays(4);
  const auto& self = begin();
  world.scheduler.run_for(57min);
  EXPECT_EQ(granted(), 2u);
  world.scheduler.run_for(2min + 5s);
  EXPECT_EQ(granted(), 4u);
  EXPECT_EQ(self.counters().lost, 0u);
}

TEST_F(AutoRelayTest, ARefusedRefreshLosesTheRelayAndAnotherIsTaken) {
  add_relays(6);
  const auto& self = begin();
  world.scheduler.run_for(2s);
  const auto first = self.relays().at(0);
  relay_of(first).node.stop_relay_service();
  world.scheduler.run_for(60min);
  EXPECT_THAT(self.relays(), SizeIs(2));
  EXPECT_THAT(self.relays(), testing::Not(testing::Contains(first)));
  EXPECT_EQ(self.counters().lost, 1u);
  relay_of(first).node.start_relay_service();
}

TEST_F(AutoRelayTest, CandidatesAreForgottenAfterHalfAnHourAndLookedForAgain) {
  add_relays(6);
  const auto& self = begin();
  world.scheduler.run_for(29min);
  EXPECT_EQ(self.counters().source_calls, 1u);
  world.scheduler.run_for(2min);
  EXPECT_EQ(self.counters().source_calls, 2u);
  EXPECT_EQ(self.candidates(), 4u);
}

TEST_F(AutoRelayTest, ClosestRttTakesTheNearest) {
  add_relays(6);
  for (int i = 0; i < 6; ++i) {
    const auto latency = std::chrono::milliseconds(60 - 10 * i);
    world.internet.set_latency(b.host, relays[i]->host, latency);
    world.internet.set_latency(relays[i]->host, b.host, latency);
  }
  const auto& self = begin({.min_candidates = 6, .strategy = Strategy::closest_rtt});
  world.scheduler.run_for(5s);
  EXPECT_THAT(self.relays(), UnorderedElementsAre(relays[4]->id(), relays[5]->id()));
}

TEST_F(AutoRelayTest, XorClosestTakesTheNearestInTheKeySpace) {
  add_relays(6);
  std::ranges::sort(relays, {}, [&](const Peer* relay) {
    return kademlia::distance(kademlia::key_of(relay->id()), kademlia::key_of(b.id()));
  });
  const auto& self = begin({.min_candidates = 6, .strategy = Strategy::xor_closest});
  world.scheduler.run_for(5s);
  EXPECT_THAT(self.relays(), UnorderedElementsAre(relays[0]->id(), relays[1]->id()));
}

TEST_F(AutoRelayTest, OneDeadStaticRelayCostsTheWholeBootDelay) {
  add_relays(3);
  AutoRelayProfile profile;
  profile.static_candidates = std::exchange(offered, {});
  relays[2]->node.shut_down();
  const auto& self = begin(profile);
  world.scheduler.run_for(179s);
  EXPECT_THAT(self.relays(), IsEmpty());
  world.scheduler.run_for(2s);
  EXPECT_THAT(self.relays(), UnorderedElementsAre(relays[0]->id(), relays[1]->id()));
}

}  // namespace
}  // namespace flaresim::autorelay
