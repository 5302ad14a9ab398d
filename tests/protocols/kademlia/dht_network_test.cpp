#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/protocols/kademlia/dht_world.h"

namespace flaresim::kademlia {
namespace {

using namespace std::chrono_literals;

/// Servers that came one after the other, each knowing three that were there before, and a few clients.
TEST(DhtNetwork, LookupsFindTheTrueClosestInFewHops) {
  constexpr std::size_t servers = 300;
  constexpr std::size_t lookups = 150;
  DhtWorld world;
  io::Random random(5);
  for (std::size_t i = 0; i < servers; ++i) {
    auto& peer = world.add(Mode::server);
    std::vector<swarm::AddressInfo> known;
    for (std::size_t n = 0; n < std::min<std::size_t>(i, 3); ++n) {
      known.push_back(world.peers.at(random.below(i))->info());
    }
    peer.dht.bootstrap(known);
    world.scheduler.run_for(200ms);
  }
  world.scheduler.run_for(1min);

  std::size_t right = 0;
  std::size_t wanted = 0;
  std::size_t hops = 0;
  std::size_t requests = 0;
  for (std::size_t i = 0; i < lookups; ++i) {
    auto& asker = *world.peers.at(random.below(servers));
    io::Bytes key(32);
    random.fill(key);
    const auto report = world.run(asker.dht.closest_peers(key));
    auto truth = world.closest_servers(key_of(key), 21);
    std::erase(truth, asker.id());
    truth.resize(20, asker.id());
    const auto found = ids_of(report.closest);
    for (const auto& peer : truth) {
      ++wanted;
      if (std::ranges::find(found, peer) != found.end()) ++right;
    }
    hops += report.hops;
    requests += report.requests;
    EXPECT_EQ(report.failures, 0u);
  }
  const auto share = static_cast<double>(right) / static_cast<double>(wanted);
  const auto mean_hops = static_cast<double>(hops) / lookups;
  std::printf("closest found %.4f, hops %.2f, requests %.1f\n", share, mean_hops,
              static_cast<double>(requests) / lookups);
  EXPECT_GE(share, 0.99);
  EXPECT_LE(mean_hops, std::log2(servers) / 2 + 2);
  EXPECT_LE(static_cast<double>(requests) / lookups, 60);
  for (const auto& peer : world.peers) EXPECT_GE(peer->dht.table().size(), 40u);
}

}  // namespace
}  // namespace flaresim::kademlia
