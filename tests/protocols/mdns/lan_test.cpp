#include <gmock/gmock.h>

#include "protocols/mdns/announcement.h"
#include "protocols/mdns/mdns.h"
#include "sim/net/nat_box.h"
#include "tests/protocols/support/faulty_network.h"
#include "tests/sim/net/small_world.h"

namespace flaresim::mdns {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using net::at;
using net::ip;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const net::LinkProfile cable{.up = {.delay = 1ms}, .down = {.delay = 1ms}};

/// A home with a NAT, and who lives in it.
struct Home {
  Home(net::SmallWorld& world, const std::string& name, const char* outside)
      : box(world.simulation, nat::parse_behaviour("EIM/APDF").value(), ip(outside),
            world.random.derive(name)) {
    world.plug(box.outside(), name, {ip(outside)});
  }
  net::NatBox box;
};

/// A swarm that looks for others, and dials whom it finds.
struct Peer {
  Peer(net::SmallWorld& world, Home& home, const char* address, std::uint64_t number,
       const support::FaultProfile& faults = {}, std::uint64_t seed = 0)
      : host(world.simulation, {ip(address)}, world.random.derive(std::to_string(number))),
        network(host, faults, io::Random(seed).derive(address).below(1'000'000)) {
    EXPECT_TRUE(home.box.attach(host.port(), host.addresses(), cable));
    auto random = io::Random(number).derive("identity");
    swarm =
        std::make_shared<swarm::Swarm>(network, crypto::PrivateKey::generate(random), swarm::SwarmProfile{});
    swarm->set_trace([this](std::string_view what, const std::string& detail) {
      if (what == "mdns.found") traced.push_back(detail);
    });
    EXPECT_TRUE(swarm->listen(Multiaddr::from_string("/ip4/0.0.0.0/tcp/4001").value()));
  }
  ~Peer() {
    if (mdns) mdns->stop();
    swarm->shut_down();
  }

  void start(const MdnsProfile& profile = {}) {
    mdns = std::make_unique<Mdns>(swarm, profile);
    mdns->on_found([this](const swarm::AddressInfo& info) {
      found.push_back(info);
      io::spawn(swarm->scheduler().executor(), dial(swarm, {info.peer, info.addresses}));
    });
  }

  static io::Task<> dial(std::shared_ptr<swarm::Swarm> on, swarm::DialRequest request) {
    co_await on->dial(std::move(request));
  }

  net::Host host;
  support::FaultyNetwork network;
  std::shared_ptr<swarm::Swarm> swarm;
  std::unique_ptr<Mdns> mdns;
  std::vector<swarm::AddressInfo> found;
  std::vector<std::string> traced;
};

/// Two peers in one home, and one in another that has the same addresses.
struct MdnsInALan : testing::Test {
  ~MdnsInALan() override {
    for (auto* peer : {&a, &b, &c}) {
      if (peer->mdns) peer->mdns->stop();
      peer->swarm->shut_down();
    }
    run_for(10s);
  }
  void run_for(io::Duration time) { world.simulation.run_for(time); }
  io::Task<> hear(io::DatagramSocket& socket, std::vector<io::Datagram>& into) {
    for (;;) {
      auto datagram = co_await socket.receive();
      if (!datagram) co_return;
      into.push_back(std::move(*datagram));
    }
  }

  net::SmallWorld world;
  Home home{world, "home", "198.51.100.1"};
  Home elsewhere{world, "elsewhere", "198.51.100.2"};
  Peer a{world, home, "192.168.1.10", 1};
  Peer b{world, home, "192.168.1.11", 2};
  Peer c{world, elsewhere, "192.168.1.12", 3};
};

TEST_F(MdnsInALan, PeersOfOneHomeFindEachOtherAndConnectDirectly) {
  a.start();
  b.start();
  run_for(2s);
  ASSERT_FALSE(a.found.empty());
  EXPECT_EQ(a.found[0].peer, b.swarm->id());
  EXPECT_THAT(a.found[0].addresses,
              ElementsAre(Multiaddr::from_string("/ip4/192.168.1.11/tcp/4001").value()));
  EXPECT_THAT(a.traced, ElementsAre(b.swarm->id().short_string()));
  EXPECT_EQ(a.swarm->peers().find(b.swarm->id()).addresses, a.found[0].addresses);

  const auto connection = a.swarm->direct_connection_to(b.swarm->id());
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->facts().remote_address.endpoint()->address, ip("192.168.1.11"));
  EXPECT_EQ(world.internet.counters().forwarded, 0u);  // nothing left the home
}

TEST_F(MdnsInALan, APeerInAnotherLanIsNotFound) {
  a.start();
  b.start();
  c.start();
  run_for(11min);
  EXPECT_THAT(c.found, IsEmpty());
  for (const auto& found : a.found) EXPECT_EQ(found.peer, b.swarm->id());
  EXPECT_GE(c.mdns->counters().queries_sent, 3u);
}

TEST_F(MdnsInALan, WhoComesLaterIsFoundByThoseWhoAreThere) {
  a.start();
  run_for(1min);
  EXPECT_THAT(a.found, IsEmpty());
  b.start();
  run_for(500ms);
  EXPECT_FALSE(a.found.empty());
  EXPECT_FALSE(b.found.empty());
  EXPECT_EQ(a.mdns->counters().queries_sent, 1u);
}

TEST_F(MdnsInALan, AsksAtEveryIntervalAndTellsNoMoreThanOnceASecond) {
  a.start({.query_interval = 100ms});
  run_for(10s + 120ms);
  EXPECT_GE(a.mdns->counters().queries_sent, 100u);
  EXPECT_GE(a.mdns->counters().answers_sent, 9u);
  EXPECT_LE(a.mdns->counters().answers_sent, 11u);
}

TEST_F(MdnsInALan, TellsAgainWhenItListensElsewhere) {
  a.start();
  b.start();
  run_for(2s);
  ASSERT_TRUE(b.swarm->listen(Multiaddr::from_string("/ip4/0.0.0.0/tcp/5001").value()));
  run_for(2s);
  EXPECT_THAT(a.swarm->peers().find(b.swarm->id()).addresses, SizeIs(2));
}

TEST_F(MdnsInALan, AnAskerFromAnotherPortIsAnsweredAlone) {
  b.start();
  run_for(2s);
  std::vector<io::Datagram> heard;
  auto socket = a.host.bind(at("0.0.0.0", 6000)).value();
  io::spawn(world.simulation.executor(), hear(*socket, heard));
  auto query = Announcer::make("_p2p._udp.local", "x")->query();
  query.id = 4711;
  ASSERT_TRUE(socket->send_to(encode(query).value(), at("224.0.0.251", 5353)));
  run_for(500ms);
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_EQ(heard[0].from, at("192.168.1.11", 5353));
  EXPECT_EQ(decode(heard[0].payload).value().id, 4711);
  socket->close();
  run_for(1s);
}

TEST_F(MdnsInALan, AnAskerWhoWantsItSoIsAnsweredAloneIfTheGroupWasToldLately) {
  b.start();
  run_for(2s);
  auto socket = a.host.bind(at("0.0.0.0", 5353)).value();
  std::vector<io::Datagram> heard;
  io::spawn(world.simulation.executor(), hear(*socket, heard));  // not a member of the group
  auto query = Announcer::make("_p2p._udp.local", "x")->query();
  query.questions[0].unicast_response = true;
  ASSERT_TRUE(socket->send_to(encode(query).value(), at("224.0.0.251", 5353)));
  run_for(2s);
  EXPECT_THAT(heard, SizeIs(1));
  run_for(1min);
  ASSERT_TRUE(socket->send_to(encode(query).value(), at("224.0.0.251", 5353)));
  run_for(2s);
  EXPECT_THAT(heard, SizeIs(1));  // the group was told
  socket->close();
  run_for(1s);
}

TEST_F(MdnsInALan, CountsWhatIsMalformedOrForeignAndGoesOn) {
  b.start();
  auto socket = a.host.bind(at("0.0.0.0", 6000)).value();
  const auto group = at("224.0.0.251", 5353);
  ASSERT_TRUE(socket->send_to(io::as_bytes("no DNS"), group));
  ASSERT_TRUE(socket->send_to(io::Bytes(9001), group));
  ASSERT_TRUE(socket->send_to(encode({.response = true}).value(), group));  // not from port 5353
  run_for(1s);
  EXPECT_EQ(b.mdns->counters().malformed, 2u);
  EXPECT_EQ(b.mdns->counters().foreign, 1u);
  a.start();
  run_for(1s);
  EXPECT_FALSE(b.found.empty());
}

TEST_F(MdnsInALan, AFloodOfAskersIsAnsweredWithinBounds) {
  b.start();
  run_for(2s);
  const auto before = b.mdns->counters().answers_sent;
  const auto query = encode(Announcer::make("_p2p._udp.local", "x")->query()).value();
  for (std::uint16_t port = 10'000; port < 10'100; ++port) {
    auto socket = a.host.bind(at("0.0.0.0", port)).value();
    ASSERT_TRUE(socket->send_to(query, at("224.0.0.251", 5353)));
  }
  run_for(19ms);
  run_for(1s);
  EXPECT_EQ(b.mdns->counters().answers_sent - before, MdnsProfile{}.max_pending_answers);
}

TEST_F(MdnsInALan, LeavesNothingBehindOnceStopped) {
  a.start();
  b.start();
  run_for(1s);
  for (auto* peer : {&a, &b}) {
    peer->mdns->stop();
    peer->swarm->shut_down();
  }
  const auto found = a.found.size();
  run_for(10s);
  EXPECT_EQ(world.simulation.armed_timers(), 0u);
  EXPECT_EQ(a.found.size(), found);
  EXPECT_TRUE(a.host.bind(at("0.0.0.0", 5353)));  // the port is free again
}

class SpoiltMdns : public testing::TestWithParam<std::pair<const char*, support::FaultProfile>> {};

TEST_P(SpoiltMdns, LeavesNothingBehind) {
  std::uint64_t spoilt = 0, found = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto& faults = GetParam().second;
    auto random = io::Random(seed).derive("test");
    net::SmallWorld world;
    Home home(world, "home", "198.51.100.1");
    Peer a(world, home, "192.168.1.10", 1, faults, seed);
    Peer b(world, home, "192.168.1.11", 2, faults, seed);
    for (auto* peer : {&a, &b}) peer->start({.query_interval = 10s});
    world.simulation.run_for(random.between(1s, 5min));
    for (auto* peer : {&a, &b}) {
      peer->mdns->stop();
      peer->swarm->shut_down();
      found += peer->found.size();
      spoilt += peer->network.spoilt();
    }
    world.simulation.run_for(faults.longest_delay + 10s);
    EXPECT_EQ(world.simulation.armed_timers(), 0u);
    EXPECT_TRUE(a.host.bind(at("0.0.0.0", 5353)));
  }
  EXPECT_GT(spoilt, 30u);
  EXPECT_GT(found, 60u);
}

INSTANTIATE_TEST_SUITE_P(EveryWay, SpoiltMdns, testing::ValuesIn(support::every_way_to_spoil),
                         [](const auto& way) { return way.param.first; });

TEST_F(MdnsInALan, IsSilentAndSaysWhyWhenThePortIsTaken) {
  auto taken = a.host.bind(at("0.0.0.0", 5353)).value();
  a.start();
  EXPECT_EQ(a.mdns->error(), std::errc::address_in_use);
  run_for(1s);
  EXPECT_EQ(a.mdns->counters().queries_sent, 0u);
}

}  // namespace
}  // namespace flaresim::mdns
