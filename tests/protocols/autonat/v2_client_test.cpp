#include <gmock/gmock.h>

#include "protocols/autonat/v2.h"
#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using swarm::Reachability;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

io::Bytes answer(std::initializer_list<io::Bytes> fields) { return framed(field(2, joined(fields))); }
const io::Bytes dial_error = answer({number_field(1, 200), number_field(3, 100)});
const io::Bytes dial_ok = answer({number_field(1, 200), number_field(3, 200)});

struct V2ClientTest : testing::Test {
  /// Servers of their own kind, all found while the client is there.
  void add_servers(int count) {
    for (int i = 1; i <= count; ++i) {
      auto& server = world.add("1.1.1." + std::to_string(i));
      servers.push_back(world.v2_server(server));
      world.connect(user, server);
    }
  }
  std::shared_ptr<Script> add_script(const io::Bytes& says) {
    auto& server = world.add("1.1.2." + std::to_string(world.peers.size()));
    auto script = world.script(server, v2_dial_request_protocol, {says});
    world.connect(user, server);
    return script;
  }

  AutonatWorld world;
  Peer& user = world.add("2.2.2.2");
  std::unique_ptr<V2Client> client = world.v2_client(user);
  std::vector<std::unique_ptr<V2Server>> servers;
  const multiformats::Multiaddr address = parsed("/ip4/2.2.2.2/tcp/4001");
};

TEST_F(V2ClientTest, AnAddressThatThreeServersReachIsReachable) {
  add_servers(3);
  world.scheduler.run_for(10s);
  EXPECT_THAT(client->verdicts(), ElementsAre(Pair(address, Reachability::reachable)));
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(client->probes(), 3u);
  EXPECT_EQ(client->active(), 0u);
}

TEST_F(V2ClientTest, WaitsASecondThenFiveThenTenUntilThereIsAServer) {
  world.scheduler.run_for(10s);  // tried in vain after 1 and 6 seconds, from the first address on
  add_servers(3);
  world.scheduler.run_for(10s);
  const auto probed = world.seconds_of(user, "autonat.probe");
  ASSERT_THAT(probed, SizeIs(3));
  EXPECT_NEAR(probed[0], 16, 1e-9);
}

TEST_F(V2ClientTest, AnAddressBehindAFirewallIsUnreachable) {
  user.host.raise_firewall();
  add_servers(3);
  world.scheduler.run_for(30s);
  EXPECT_EQ(client->verdict(), Reachability::unreachable);
}

TEST_F(V2ClientTest, AddressDependentFilteringLooksReachable) {
  add_servers(3);
  world.internet.rule = [&](const support::Syn& syn) {
    if (syn.to.address != user.host.outside()) return support::Verdict::pass;
    const bool called = std::ranges::any_of(world.internet.syns, [&](const support::Syn& sent) {
      return sent.from == syn.to && sent.to.address == syn.from.address;
    });
    return called ? support::Verdict::pass : support::Verdict::drop;
  };
  world.scheduler.run_for(30s);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
}

TEST_F(V2ClientTest, PrivateAddressesAreNotProbed) {
  auto& hidden = world.add("10.0.0.2", "3.3.3.3");
  const auto of_hidden = world.v2_client(hidden);
  const auto script = add_script(dial_error);
  world.connect(hidden, *world.peers.back());
  world.scheduler.run_for(30s);
  EXPECT_THAT(of_hidden->verdicts(), IsEmpty());
  EXPECT_EQ(of_hidden->probes(), 0u);
  EXPECT_EQ(of_hidden->verdict(), Reachability::unknown);
}

TEST_F(V2ClientTest, TheSameServerIsAskedAgainAfterTwoMinutes) {
  const auto script = add_script(dial_error);
  world.scheduler.run_for(10min);
  const auto probed = world.seconds_of(user, "autonat.probe");
  ASSERT_GE(probed.size(), 2u);
  EXPECT_GE(probed[1] - probed[0], 120);
}

TEST_F(V2ClientTest, ASuccessWithoutNonceCountsForNothing) {
  for (const auto& says :
       {dial_ok, answer({number_field(1, 200), number_field(3, 101)}), answer({number_field(1, 200)}),
        answer({number_field(1, 200), number_field(2, 1), number_field(3, 100)}),
        answer({number_field(1, 77)}),
        framed(field(3, joined({number_field(1, 0), number_field(2, 100001)}))),
        framed(io::Bytes{0xff, 0xff})}) {
    add_script(says);
  }
  world.scheduler.run_for(10min);
  EXPECT_GE(client->probes(), 7u);
  EXPECT_THAT(client->verdicts(), ElementsAre(Pair(address, Reachability::unknown)));
}

TEST_F(V2ClientTest, PaysForAnAddressWithAnotherIp) {
  const auto mapped = parsed("/ip4/2.2.2.77/tcp/4001");
  world.scheduler.run_for(500ms);
  user.swarm().addresses().set_mapped(std::vector<multiformats::Multiaddr>(1, mapped));
  add_servers(6);
  world.scheduler.run_for(60s);
  EXPECT_EQ(client->verdicts().at(mapped), Reachability::unreachable);
  EXPECT_EQ(client->verdicts().at(address), Reachability::reachable);
  std::uint64_t paid = 0;
  for (const auto& server : servers) paid += server->counters().dial_data_bytes;
  EXPECT_GE(paid, 3u * 30000);
  EXPECT_LE(paid, 3u * 100000);
}

TEST_F(V2ClientTest, StoppingEndsWhatRunsAndLeavesNoTimer) {
  add_script(io::Bytes());
  world.scheduler.run_for(10s);
  EXPECT_EQ(client->active(), 1u);
  client->stop();
  for (const auto& each : world.peers) each->node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(client->active(), 0u);
  EXPECT_EQ(world.scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::autonat
