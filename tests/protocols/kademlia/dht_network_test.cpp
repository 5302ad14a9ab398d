#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "protocols/swarm/connection_manager.h"
#include "tests/protocols/kademlia/dht_world.h"

namespace flaresim::kademlia {
namespace {

using namespace std::chrono_literals;

/// Servers that come one after the other within a minute, each knowing three that were there before.
class DhtNetwork {
 public:
  explicit DhtNetwork(std::size_t servers) {
    for (std::size_t i = 0; i < servers; ++i) {
      auto& peer = world.add(Mode::server);
      managers_.push_back(std::make_unique<swarm::ConnectionManager>(
          peer.swarm, swarm::ConnectionManagerProfile{.grace = 1s, .silence = 1s}));
      std::vector<swarm::AddressInfo> known;
      for (std::size_t n = 0; n < std::min<std::size_t>(i, 3); ++n) {
        known.push_back(world.peers.at(random_.below(i))->info());
      }
      peer.dht.bootstrap(known);
      world.scheduler.run_for(io::Duration(1min) / servers);
    }
    world.scheduler.run_for(1min);
  }
  ~DhtNetwork() {
    for (const auto& manager : managers_) manager->stop();
  }

  /// Random servers seek random keys, one after the other.
  void expect_true_closest_in_few_hops(std::size_t lookups) {
    std::size_t right = 0, hops = 0, requests = 0;
    for (std::size_t i = 0; i < lookups; ++i) {
      auto& asker = *world.peers.at(random_.below(world.peers.size()));
      io::Bytes key(32);
      random_.fill(key);
      const auto report = world.run(asker.dht.closest_peers(key));
      auto truth = world.closest_servers(key_of(key), k + 1);
      std::erase(truth, asker.id());
      truth.resize(k, asker.id());
      const auto found = ids_of(report.closest);
      right +=
          std::ranges::all_of(truth, [&](const auto& peer) { return std::ranges::count(found, peer) > 0; });
      hops += report.hops;
      requests += report.requests;
      EXPECT_EQ(report.failures, 0u);
    }
    const auto share = static_cast<double>(right) / static_cast<double>(lookups);
    const auto mean_hops = static_cast<double>(hops) / static_cast<double>(lookups);
    const auto mean_requests = static_cast<double>(requests) / static_cast<double>(lookups);
    std::printf("all of the closest found %.4f, hops %.2f, requests %.1f\n", share, mean_hops, mean_requests);
    EXPECT_GE(share, 0.99);
    EXPECT_LE(mean_hops, std::log2(world.peers.size()) / 2 + 2);
    EXPECT_LE(mean_requests, 60);
    for (const auto& peer : world.peers) EXPECT_GE(peer->dht.table().size(), 2 * k);
  }

  DhtWorld world;

 private:
  static constexpr std::size_t k = 20;
  std::vector<std::unique_ptr<swarm::ConnectionManager>> managers_;
  io::Random random_{5};
};

TEST(DhtNetworks, LookupsFindTheTrueClosestInFewHops) {
  DhtNetwork(300).expect_true_closest_in_few_hops(150);
}
TEST(DhtNetworksLong, LookupsFindTheTrueClosestAmongAThousand) {
  DhtNetwork(1'000).expect_true_closest_in_few_hops(300);
}
TEST(DhtNetworksLong, LookupsFindTheTrueClosestAmongTenThousand) {
  DhtNetwork(10'000).expect_true_closest_in_few_hops(300);
}

}  // namespace
}  // namespace flaresim::kademlia
