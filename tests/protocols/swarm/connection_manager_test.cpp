#include "protocols/swarm/connection_manager.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// A peer that keeps two to four connections, and others who connect to it, one a second.
struct Trimming : testing::Test {
  ~Trimming() override {
    manager.stop();
    hub.swarm->shut_down();
  }

  Party& join() {
    auto& guest = world.add("3.3.3." + std::to_string(++guests));
    world.connect(guest, hub);  // takes a second
    return guest;
  }
  std::vector<Party*> join(int count) {
    std::vector<Party*> out;
    for (int i = 0; i < count; ++i) out.push_back(&join());
    return out;
  }
  bool has(const Party& party) const { return hub.swarm->connection_to(party.id()) != nullptr; }
  std::size_t connections() const { return hub.swarm->connections().size(); }

  SwarmWorld world;
  Party& hub = world.add("1.1.1.1");
  int guests = 0;
  std::shared_ptr<Swarm> shared{hub.swarm.get(), [](Swarm*) {}};
  ConnectionManager manager{shared, {.low_water = 2, .high_water = 4, .grace = 20s, .silence = 10s}};
};

TEST_F(Trimming, StartsAboveTheHighWaterMarkAndEndsAtTheLowOne) {
  join(4);
  world.scheduler.run_for(1min);
  EXPECT_EQ(connections(), 4u);
  EXPECT_EQ(world.scheduler.armed_timers(), 2 * connections());  // keep-alives of both ends, and no more
  auto& last = join();
  // The newcomer is spared, and does not count: two of the four others go.
  EXPECT_EQ(connections(), 3u);
  EXPECT_TRUE(has(last));
  EXPECT_EQ(manager.counters().trims, 1u);
  EXPECT_EQ(manager.counters().closed, 2u);
}

TEST_F(Trimming, WaitsForTheGraceOfTheYoung) {
  std::vector<std::pair<io::TimePoint, std::string>> trimmed;
  hub.swarm->set_trace([&](std::string_view what, const std::string& detail) {
    if (what == "connections.trimmed") trimmed.emplace_back(world.scheduler.now(), detail);
  });
  const auto crowd = join(5);
  const auto fifth = hub.swarm->connections().back()->facts().opened_at;
  world.scheduler.run_for(1min);
  // Looked at when the fifth came, and each ten seconds: after twenty, all are old enough.
  EXPECT_THAT(trimmed, ElementsAre(std::pair(fifth + 20s, "3")));
  EXPECT_EQ(connections(), 2u);
  hub.swarm->set_trace({});
}

TEST_F(Trimming, ClosesTheLeastValuablePeersFirst) {
  const auto crowd = join(5);
  hub.swarm->tags().tag(crowd[1]->id(), "kad", 5);
  hub.swarm->tags().tag(crowd[3]->id(), "kad", 3);
  hub.swarm->tags().tag(crowd[3]->id(), "relay", 3);
  hub.swarm->tags().tag(crowd[4]->id(), "bad", -1);
  world.scheduler.run_for(1min);
  EXPECT_TRUE(has(*crowd[1]) && has(*crowd[3]));
  EXPECT_EQ(connections(), 2u);
}

TEST_F(Trimming, AmongEqualsKeepsThoseWithStreamsAndThenTheOldest) {
  const auto crowd = join(5);
  hub.swarm->handle("/busy", [](IncomingStream in) -> io::Task<> {
    std::array<std::uint8_t, 1> byte;
    (void)co_await in.stream->read(byte);
  });
  const auto busy = world.run(crowd[3]->swarm->open_stream(hub.id(), {"/busy"}));
  ASSERT_TRUE(busy);
  world.scheduler.run_for(1min);
  EXPECT_TRUE(has(*crowd[3]) && has(*crowd[0]));
  EXPECT_EQ(connections(), 2u);
}

TEST_F(Trimming, SparesTheProtectedWhoDoNotCount) {
  const auto crowd = join(5);
  for (int i = 2; i < 5; ++i) hub.swarm->tags().protect(crowd[i]->id(), "dht");
  hub.swarm->tags().tag(crowd[0]->id(), "kad", 9);
  world.scheduler.run_for(1min);
  EXPECT_EQ(connections(), 5u);  // the two that may go are no more than may stay
  hub.swarm->tags().unprotect(crowd[2]->id(), "dht");
  world.scheduler.run_for(10s);
  EXPECT_EQ(connections(), 4u);
  EXPECT_FALSE(has(*crowd[2]));
}

TEST_F(Trimming, SparesAPeerThatIsBeingPunched) {
  const auto crowd = join(5);
  auto& punched = *crowd[4];
  // Their connection would satisfy it, was it not for the transport.
  auto request = request_for(punched.id(), {"/ip4/9.9.9.9/udp/1/quic-v1"});
  request.over = multiformats::Transport::quic_v1;
  request.direct_only = true;
  request.punch_role = security::Role::client;
  request.limit = 50s;
  world.scheduler.run_for(15s);
  const auto dial = world.dial(hub, request);
  world.scheduler.run_for(10s);
  EXPECT_EQ(manager.counters().trims, 1u);
  EXPECT_TRUE(has(punched));
  EXPECT_EQ(connections(), 3u);
}

TEST_F(Trimming, StopsWhenTold) {
  join(4);
  manager.stop();
  join(4);
  world.scheduler.run_for(2min);
  EXPECT_EQ(connections(), 8u);
}

}  // namespace
}  // namespace flaresim::swarm
