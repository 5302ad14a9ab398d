#include "protocols/kademlia/dht.h"

#include <gmock/gmock.h>

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

io::Bytes id_of(const DhtPeer& peer) { return io::to_bytes(peer.id().bytes()); }

io::Bytes public_key_name(const DhtPeer& peer) {
  auto key = io::to_bytes("/pk/");
  io::append(key, peer.id().bytes());
  return key;
}

/// Any value; the greatest is the best.
struct Greatest final : Validator {
  io::Result<> validate(io::BytesView, io::BytesView) const override { return {}; }
  std::size_t select(io::BytesView, const std::vector<io::Bytes>& values) const override {
    return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
  }
};

/// Two clients and a small network of servers, which began at the first of them.
struct DhtTest : testing::Test {
  static constexpr std::size_t servers = 12;

  explicit DhtTest(const DhtProfile& profile = {}) {
    for (std::size_t i = 0; i < servers; ++i) begin(world.add(Mode::server, profile));
    a = &begin(world.add(Mode::client, profile));
    b = &begin(world.add(Mode::client, profile));
    for (const auto& peer : world.peers) peer->dht.set_validator("n", std::make_shared<Greatest>());
    world.scheduler.run_for(30s);
  }
  DhtPeer& begin(DhtPeer& peer) {
    peer.dht.bootstrap({world.peers.front()->info()});
    world.scheduler.run_for(1s);
    return peer;
  }
  DhtPeer& server(std::size_t number) { return *world.peers.at(number); }
  Message get(std::size_t from, const io::Bytes& key) {
    auto& to = server(from);
    const bool connected = a->swarm->connection_to(to.id()) != nullptr;
    if (!connected) world.connect(*a, to);
    return world.ask(*a, to, {MessageType::get_value, key}).value();
  }

  DhtWorld world;
  DhtPeer* a;
  DhtPeer* b;
};

/// The same, looked at for days: tables are refreshed by nobody, so that days are short.
struct DhtForDays : DhtTest {
  static DhtProfile profile() {
    DhtProfile profile;
    profile.refresh = false;
    return profile;
  }
  DhtForDays() : DhtTest(profile()) {}
};

TEST_F(DhtTest, EverybodyFindsAllServersOfASmallNetworkAndNoClients) {
  for (std::size_t i = 0; i < servers; ++i) EXPECT_THAT(server(i).dht.table(), SizeIs(servers - 1)) << i;
  EXPECT_THAT(a->dht.table(), SizeIs(servers));
  EXPECT_THAT(a->dht.table(), Not(Contains(b->id())));
}

TEST_F(DhtTest, BootstrappedCompletesWithTheFirstLookupForItself) {
  const auto joined = support::start(world.scheduler, a->dht.bootstrapped());
  world.scheduler.settle();
  EXPECT_TRUE(joined.done());
  auto& late = world.add(Mode::client);
  const auto waiting = support::start(world.scheduler, late.dht.bootstrapped());
  world.scheduler.run_for(10s);
  EXPECT_FALSE(waiting.done());
  late.dht.bootstrap({world.peers.front()->info()});
  EXPECT_TRUE(world.scheduler.run_until([&] { return waiting.done(); }, 10s));
  EXPECT_THAT(late.lookups, SizeIs(1));
}

TEST_F(DhtTest, BootstrapPeersThatAreNotThereAreTriedAgain) {
  auto& late = world.add(Mode::client);
  const swarm::AddressInfo nobody{late.id(), {Multiaddr::from_string("/ip4/99.1.1.1/tcp/1").value()}};
  world.internet.rule = [&](const support::Syn& syn) {
    return syn.from.address == late.host.outside() ? support::Verdict::refuse : support::Verdict::pass;
  };
  late.dht.bootstrap({nobody, server(3).info()});
  world.scheduler.run_for(1min);
  EXPECT_THAT(late.dht.table(), IsEmpty());
  world.internet.rule = nullptr;
  world.scheduler.run_for(2min);
  EXPECT_THAT(late.dht.table(), SizeIs(servers));
}

TEST_F(DhtTest, ALookupReturnsTheClosestInOrderWithTheirAddresses) {
  const auto key = io::to_bytes("some key");
  const auto report = world.run(a->dht.closest_peers(key));
  EXPECT_EQ(ids_of(report.closest), world.closest_servers(key_of(key), 20));
  for (const auto& info : report.closest) EXPECT_THAT(info.addresses, SizeIs(1));
  EXPECT_EQ(report.requests, servers);
  EXPECT_EQ(report.failures, 0u);
  EXPECT_EQ(report.hops, 0u);
  EXPECT_GT(report.took, 0s);
}

TEST_F(DhtTest, WhoDoesNotAnswerLeavesTheTableAndIsNotAmongTheClosest) {
  auto& gone = server(5);
  gone.dht.stop();
  gone.swarm->shut_down();
  world.scheduler.run_for(1s);
  ASSERT_THAT(a->dht.table(), Contains(gone.id()));
  const auto report = world.run(a->dht.closest_peers(id_of(gone)));
  EXPECT_EQ(report.failures, 1u);
  EXPECT_THAT(report.closest, SizeIs(servers - 1));
  EXPECT_THAT(a->dht.table(), Not(Contains(gone.id())));
}

TEST_F(DhtTest, WhoDidNotAnswerIsLeftAloneForItsBackoff) {
  // Silent, so that a dial costs the whole limit, and not a refusal.
  auto& gone = server(5);
  gone.dht.stop();
  gone.swarm->shut_down();
  gone.host.raise_firewall();
  world.scheduler.run_for(1s);
  const auto first = world.run(a->dht.closest_peers(id_of(gone)));
  const auto again = world.run(a->dht.closest_peers(id_of(gone)));
  EXPECT_GE(first.took, 5s);
  EXPECT_EQ(again.failures, 1u);  // others still tell of it
  EXPECT_LT(again.took, 1s);
}

TEST_F(DhtTest, AClientIsFoundByItsId) {
  const auto found = world.run(a->dht.find_peer(b->id()));
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->info, b->info());
}

TEST_F(DhtTest, ACircuitIsFoundSoonAfterItIsThere) {
  const auto circuit = server(2).address().with_peer(server(2).id()).encapsulate(Multiaddr::circuit());
  b->swarm->addresses().set_listening({Multiaddr::from_string("/ip4/192.168.1.2/tcp/4001").value()});
  b->swarm->addresses().set_circuits({circuit});
  world.scheduler.run_for(5s);
  const auto found = world.run(a->dht.find_peer(b->id()));
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(found->info.addresses, ElementsAre(circuit));
}

TEST_F(DhtTest, NobodyIsFoundWhoIsNotThere) {
  const auto stranger = world.add(Mode::client).id();
  EXPECT_EQ(error_of(world.run(a->dht.find_peer(stranger))), Error::not_found);
  auto& lonely = world.add(Mode::client);
  EXPECT_EQ(error_of(world.run(lonely.dht.find_peer(a->id()))), Error::no_peers);
}

TEST_F(DhtTest, AValueIsFoundByOthers) {
  const auto key = public_key_name(*a);
  const auto value = a->swarm->identity().public_key().to_message();
  EXPECT_TRUE(world.run(a->dht.put_value(key, value)));
  EXPECT_EQ(world.run(b->dht.get_value(key)), value);
  EXPECT_EQ(error_of(world.run(b->dht.get_value(public_key_name(*b)))), Error::not_found);
  EXPECT_EQ(error_of(world.run(b->dht.get_value(io::to_bytes("/unknown/x")))), Error::no_validator);
  EXPECT_EQ(error_of(world.run(a->dht.put_value(key, io::to_bytes("no key")))), Error::bad_public_key);
}

TEST_F(DhtTest, TheBestValueWinsAndThoseWithAWorseOneAreCorrected) {
  const auto key = io::to_bytes("/n/key");
  EXPECT_TRUE(world.run(a->dht.put_value(key, io::to_bytes("1"))));
  // One server learns of a better one.
  world.connect(*b, server(4));
  Message put{MessageType::put_value, key, Record{key, io::to_bytes("2"), ""}};
  ASSERT_TRUE(world.ask(*b, server(4), put));
  EXPECT_EQ(world.run(b->dht.get_value(key)), io::to_bytes("2"));
  world.scheduler.run_for(5s);
  for (std::size_t i = 0; i < servers; ++i) EXPECT_EQ(get(i, key).record->value, io::to_bytes("2")) << i;
  EXPECT_TRUE(world.run(b->dht.put_value(key, io::to_bytes("3"))));
  EXPECT_EQ(error_of(world.run(b->dht.put_value(key, io::to_bytes("1")))), Error::outdated);
}

TEST_F(DhtForDays, AValueIsGoneAfter48Hours) {
  const auto key = io::to_bytes("/n/key");
  EXPECT_TRUE(world.run(a->dht.put_value(key, io::to_bytes("1"))));
  a->dht.stop();
  world.scheduler.run_for(47h);
  EXPECT_TRUE(get(0, key).record);
  world.scheduler.run_for(2h);
  EXPECT_EQ(error_of(world.run(b->dht.get_value(key))), Error::not_found);
}

TEST_F(DhtForDays, AProviderIsFoundAndSaysSoAgainInTime) {
  const auto key = io::to_bytes("content");
  EXPECT_TRUE(world.run(a->dht.provide(key)));
  EXPECT_THAT(world.run(b->dht.find_providers(key, 1)), ElementsAre(a->info()));
  world.scheduler.run_for(60h);
  EXPECT_THAT(world.run(b->dht.find_providers(key, 0)), ElementsAre(a->info()));
  a->dht.stop_providing(key);
  world.scheduler.run_for(49h);
  EXPECT_THAT(world.run(b->dht.find_providers(key, 0)), IsEmpty());
  EXPECT_EQ(error_of(world.run(a->dht.provide(io::Bytes(81)))), Error::bad_key);
}

TEST_F(DhtTest, PeersInTheTableAreTaggedOrProtected) {
  for (const auto& peer : a->dht.table()) {
    const bool is_far = common_prefix_length(key_of(peer), key_of(a->id())) < 2;
    EXPECT_EQ(a->swarm->tags().is_protected(peer), is_far);
    EXPECT_EQ(a->swarm->tags().value(peer), is_far ? 0 : 5);
  }
  const auto before = a->dht.table();
  a->dht.stop();
  for (const auto& peer : before) {
    EXPECT_FALSE(a->swarm->tags().is_protected(peer));
    EXPECT_EQ(a->swarm->tags().value(peer), 0);
  }
}

TEST_F(DhtTest, ThousandsOfPeersInAnAnswerAreNotAllTakenAndOneGroupOfAddressesNotAtAll) {
  auto& liar = world.add(Mode::client);
  Message answer{MessageType::find_node};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    auto random = io::Random(i + 100);
    const auto where = "/ip4/200." + std::to_string(i % 250) + ".1." + std::to_string(i / 250) + "/tcp/1";
    answer.closer_peers.push_back(
        {crypto::PrivateKey::generate(random).public_key().peer_id(),
         {Multiaddr::from_string(i < 10 ? "/ip4/201.1.1.1/tcp/1" : where).value()}});
  }
  world.internet.rule = [](const support::Syn& syn) {
    return syn.to.address.to_string().starts_with("20") ? support::Verdict::refuse : support::Verdict::pass;
  };
  liar.swarm->handle(kad_protocol, support::replies(support::framed(encode(answer))));
  liar.identify.announce();
  auto& victim = world.add(Mode::client);
  world.connect(victim, liar);
  ASSERT_THAT(victim.dht.table(), ElementsAre(liar.id()));
  world.internet.syns.clear();
  const auto report = world.run(victim.dht.closest_peers(io::to_bytes("anything")));
  EXPECT_LE(report.requests, 1u + 40u - 10u);
  EXPECT_GT(report.requests, 20u);
  for (const auto& syn : world.internet.syns) EXPECT_NE(syn.to.address.to_string(), "201.1.1.1");
}

/// Closes the connection at the first requests, and answers the others.
io::Task<> answer_late(swarm::IncomingStream in, std::shared_ptr<int> to_refuse, io::Bytes answer) {
  for (;;) {
    const auto request = co_await io::read_delimited(*in.stream, 4096);
    if (!request) co_return;
    if (*to_refuse > 0) {
      --*to_refuse;
      in.connection->close(swarm::Error::too_many_connections);
      co_return;
    }
    co_await in.stream->write(answer);
  }
}

TEST_F(DhtTest, AsksOnceMoreWhenTheConnectionIsClosedAndNotAThirdTime) {
  auto& moody = world.add(Mode::client);
  const auto to_refuse = std::make_shared<int>(0);
  Message named{MessageType::find_node};
  named.closer_peers = {{server(3).id(), {server(3).address()}}};
  const auto answer = support::framed(encode(named));
  moody.swarm->handle(
      kad_protocol, [=](swarm::IncomingStream in) { return answer_late(std::move(in), to_refuse, answer); });
  moody.identify.announce();
  auto& asker = world.add(Mode::client);
  world.connect(asker, moody);
  ASSERT_THAT(asker.dht.table(), Contains(moody.id()));

  *to_refuse = 1;
  auto report = world.run(asker.dht.closest_peers(id_of(moody)));
  EXPECT_THAT(ids_of(report.closest), Contains(moody.id()));
  EXPECT_EQ(*to_refuse, 0);
  ASSERT_THAT(asker.dht.table(), Contains(moody.id()));

  *to_refuse = 2;
  report = world.run(asker.dht.closest_peers(id_of(moody)));
  EXPECT_THAT(ids_of(report.closest), Not(Contains(moody.id())));
  EXPECT_EQ(*to_refuse, 0);
}

TEST_F(DhtTest, StopEndsWhatIsPending) {
  const auto lookup = support::start(world.scheduler, a->dht.closest_peers(io::to_bytes("anything")));
  const auto get = support::start(world.scheduler, a->dht.get_value(io::to_bytes("/n/anything")));
  const auto provide = support::start(world.scheduler, a->dht.provide(io::to_bytes("anything")));
  world.scheduler.run_for(5ms);
  EXPECT_GT(a->dht.active(), 0u);
  a->dht.stop();
  world.scheduler.settle();
  EXPECT_TRUE(lookup.done());
  ASSERT_TRUE(get.done());
  EXPECT_EQ(error_of(get.value()), Error::stopped);
  ASSERT_TRUE(provide.done());
  EXPECT_FALSE(provide.value());
  world.scheduler.run_for(1s);  // streams that were being opened
  EXPECT_EQ(a->dht.active(), 0u);
}

TEST(DhtPrivate, PrivateAddressesAreGoodOnlyWhereTheProfileSaysSo) {
  DhtWorld world;
  DhtProfile anywhere;
  anywhere.public_only = false;
  auto& a = world.add(Mode::server, anywhere);
  auto& b = world.add(Mode::server, {});
  auto& c = world.add(Mode::server, anywhere);
  c.swarm->addresses().set_listening({Multiaddr::from_string("/ip4/10.0.0.1/tcp/4001").value()});
  world.connect(a, c);
  world.connect(b, c);
  EXPECT_THAT(a.dht.table(), ElementsAre(c.id()));
  EXPECT_THAT(b.dht.table(), IsEmpty());
}

}  // namespace
}  // namespace flaresim::kademlia
