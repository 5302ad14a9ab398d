#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>

#include "tests/protocols/node/faulty_muxer.h"
#include "tests/protocols/node/world.h"

namespace flaresim::node {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using multiformats::Transport;
using support::FaultProfile;
using support::Faults;
using support::Peer;
using support::World;
using swarm::Reachability;

constexpr std::size_t servers = 5;
constexpr std::size_t nodes = servers + 2;

/// How often something happened, by what it was.
using Tally = std::map<std::string, std::uint64_t>;

NodeProfile whole() {
  NodeProfile profile;
  profile.swarm.noise = security::NoiseMode::modelled;
  profile.connection_manager.emplace();
  profile.autonat.emplace();
  profile.dht.emplace().refresh_interval = 1min;
  profile.auto_relay.emplace().backoff = 1min;
  profile.relay_when_public = true;
  profile.relay.service.reservation_ttl = 4min;
  return profile;
}

io::Bytes key_of(const Peer& peer) {
  auto key = io::to_bytes("/pk/");
  io::append(key, peer.id().bytes());
  return key;
}

io::Bytes content_of(const Peer& peer) { return io::to_bytes("from " + peer.id().short_string()); }

void count_work(const Peer& peer, Tally& tally) {
  static constexpr std::array<const char*, 6> traced{"autonat.verdict", "identify.push.received",
                                                     "relay.candidate", "reserve.ok",
                                                     "reserve.renewed", "relay.lost"};
  for (const auto* what : traced) tally[what] += peer.times_of(what).size();
}

void count_work(Node& node, Tally& tally) {
  tally["v1 probes"] += node.autonat_v1()->probes();
  tally["v2 probes"] += node.autonat_v2()->probes();
  if (const auto* server = node.autonat_v1_server())
    tally["v1 dials back"] += server->counters().dialled_back;
  tally["v2 dials back"] += node.autonat_v2_server()->counters().dialled_back;
  const auto& dht = node.dht()->counters();
  tally["lookups"] += dht.lookups;
  tally["requests sent"] += dht.requests_sent;
  tally["requests answered"] += dht.requests_answered;
  tally["requests failed"] += dht.requests_failed;
}

/// Counts as `begun`, as `ended`, and as `what` if `is_good` finds so.
template <class T, class IsGood>
io::Task<> counted(Tally* tally, std::string what, io::Task<T> task, IsGood is_good) {
  auto& good = (*tally)[what];
  ++(*tally)["begun"];
  const auto value = co_await std::move(task);
  ++(*tally)["ended"];
  if (is_good(value)) ++good;
}

/// Five public nodes and two private ones, each with everything that a node does by itself, whose messages are spoilt:
/// in half of the villages from the beginning, in the others once everything stands. Of every other village, TCP is all
/// that they speak; in the others they have QUIC, too, and prefer it.
class Village {
 public:
  Village(const FaultProfile& profile, std::uint64_t seed)
      : has_quic_(seed % 2 == 1),
        random_(io::Random(seed).derive("village")),
        profile_(profile),
        faults_(std::make_shared<Faults>(world_.scheduler, FaultProfile(), seed)) {
    if (random_.below(2) == 0) faults_->set_profile(profile_);
    for (std::size_t i = 0; i < servers; ++i) join(std::to_string(21 + i) + ".1.1.1", "");
    world_.scheduler.run_for(1min);
    join("10.0.0.2", "98.1.1.1");
    join("10.0.0.2", "99.1.1.1");
    world_.scheduler.run_for(4min);
    faults_->set_profile(profile_);
  }

  World& world() { return world_; }
  Node& node(std::size_t number) { return world_.peers[number]->node; }
  std::size_t quic_connections() {
    std::size_t count = 0;
    for (const auto& peer : world_.peers) {
      for (const auto& connection : peer->swarm().connections())
        count += connection->facts().remote_address.transport() == Transport::quic_v1;
    }
    return count;
  }
  const Tally& tally() const { return tally_; }

  /// Everybody stores a value and provides something.
  void tell() {
    for (const auto& peer : world_.peers) {
      auto& dht = *peer->node.dht();
      const auto is_good = [](const auto& result) { return result.has_value(); };
      start("stored", dht.put_value(key_of(*peer), peer->swarm().identity().public_key().to_message()),
            is_good);
      start("provided", dht.provide(content_of(*peer)), is_good);
    }
  }

  /// Everybody looks for what its neighbour has told, and for the neighbour.
  void ask() {
    for (std::size_t i = 0; i < nodes; ++i) {
      const auto& other = *world_.peers[(i + 1) % nodes];
      auto& dht = *node(i).dht();
      const auto is_good = [](const auto& result) { return result.has_value(); };
      start("read", dht.get_value(key_of(other)), is_good);
      start("providers found", dht.find_providers(content_of(other), 0),
            [](const auto& found) { return !found.empty(); });
      start("peers found", dht.find_peer(other.id()), is_good);
      start("connected", node(i).find_and_connect(other.id()),
            [](const auto& report) { return report.connection != nullptr; });
    }
  }

  /// One that is used, if any.
  void lose_a_relay() {
    for (const auto& peer : world_.peers) {
      const auto* relay = peer->node.relay_service();
      if (relay == nullptr || relay->reservations() == 0) continue;
      peer->node.shut_down();
      return;
    }
  }

  /// In the middle of whatever is asked, and expects that nothing is left.
  void end() {
    tell();
    ask();
    world_.scheduler.run_for(random_.between(io::Duration::zero(), 20s));
    world_.end(10s + profile_.longest_delay);
    EXPECT_EQ(faults_->streams(), 0u);
    EXPECT_EQ(tally_["ended"], tally_["begun"]);
    tally_["spoilt"] = faults_->spoilt();
    for (const auto& peer : world_.peers) {
      count_work(*peer, tally_);
      count_work(peer->node, tally_);
    }
  }

 private:
  void join(const std::string& address, const std::string& outside) {
    auto profile = whole();
    profile.swarm.muxer_tap = [faults = faults_](muxer::MuxedConnectionPtr muxed) {
      return faults->tap(std::move(muxed));
    };
    std::vector<swarm::AddressInfo> known;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, world_.peers.size()); ++i) {
      const auto& server = *world_.peers[i];
      const io::Endpoint endpoint{server.host.outside(), server.port};
      const auto transport = has_quic_ ? Transport::quic_v1 : Transport::tcp;
      known.push_back({server.id(), {Multiaddr::from_endpoint(endpoint, transport)}});
    }
    auto& peer = world_.add(address, outside, profile);
    if (has_quic_) {
      EXPECT_TRUE(peer.swarm().listen(Multiaddr::from_string("/ip4/0.0.0.0/udp/4001/quic-v1").value()));
    }
    if (!outside.empty()) peer.host.raise_firewall();
    peer.node.bootstrap(std::move(known));
  }

  template <class T, class IsGood>
  void start(std::string what, io::Task<T> task, IsGood is_good) {
    io::spawn(world_.scheduler.executor(), counted(&tally_, std::move(what), std::move(task), is_good));
  }

  World world_;
  bool has_quic_;
  io::Random random_;
  FaultProfile profile_;
  std::shared_ptr<Faults> faults_;
  Tally tally_;
};

void live(Village& village) {
  village.tell();
  village.world().scheduler.run_for(1min);
  village.ask();
  village.world().scheduler.run_for(1min);
  village.lose_a_relay();
  village.world().scheduler.run_for(5min);
}

class DiscoveryWithoutFaults : public testing::TestWithParam<const char*> {};

TEST_P(DiscoveryWithoutFaults, DoesAllThatIsAsked) {
  const bool has_quic = GetParam() == std::string("WithQuic");
  Village village({}, has_quic ? 1 : 0);
  EXPECT_EQ(village.quic_connections() > 0, has_quic);
  for (std::size_t i = 0; i < servers; ++i)
    EXPECT_EQ(village.node(i).reachability(), Reachability::reachable);
  for (auto i = servers; i < nodes; ++i) {
    EXPECT_EQ(village.node(i).reachability(), Reachability::unreachable);
    EXPECT_EQ(village.node(i).relay_client().reservations().size(), 2u);
  }
  live(village);
  for (const auto* what : {"stored", "provided", "read", "providers found", "peers found", "connected"})
    EXPECT_EQ(village.tally().at(what), nodes) << what;
  for (auto i = servers; i < nodes; ++i) EXPECT_EQ(village.node(i).relay_client().reservations().size(), 2u);
  village.end();
  EXPECT_EQ(village.tally().at("spoilt"), 0u);
  EXPECT_GT(village.tally().at("relay.lost"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, DiscoveryWithoutFaults, testing::Values("TcpAlone", "WithQuic"),
                         [](const auto& transports) { return transports.param; });

class SpoiltDiscovery : public testing::TestWithParam<std::pair<const char*, FaultProfile>> {
 protected:
  /// Every protocol was at work, more or less in each village.
  static void live_and_end(std::uint64_t villages) {
    Tally total;
    for (std::uint64_t seed = 0; seed < villages; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Village village(GetParam().second, seed);
      live(village);
      village.end();
      for (const auto& [what, times] : village.tally()) total[what] += times;
    }
    for (const auto& [what, times] : total) EXPECT_GE(times, villages) << what;
  }
};
class SpoiltDiscoveryLong : public SpoiltDiscovery {};

TEST_P(SpoiltDiscovery, LeavesNothingBehind) { live_and_end(30); }
TEST_P(SpoiltDiscoveryLong, LeavesNothingBehind) { live_and_end(1000); }

const auto every_way = testing::ValuesIn(support::every_way_to_spoil);
const auto name = [](const auto& way) { return way.param.first; };

INSTANTIATE_TEST_SUITE_P(EveryWay, SpoiltDiscovery, every_way, name);
INSTANTIATE_TEST_SUITE_P(EveryWay, SpoiltDiscoveryLong, every_way, name);

}  // namespace
}  // namespace flaresim::node
