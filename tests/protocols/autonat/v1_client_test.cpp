#include <gmock/gmock.h>

#include "protocols/autonat/v1.h"
#include "tests/protocols/autonat/autonat_world.h"

namespace flaresim::autonat {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using swarm::Reachability;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Answers by hand: libp2p/specs autonat/autonat-v1.md, "RPC messages".
io::Bytes answer(std::uint64_t status) {
  return framed(joined({number_field(1, 1), field(3, number_field(1, status))}));
}
const io::Bytes ok = answer(0);
const io::Bytes dial_error = answer(100);
const io::Bytes refused = answer(101);
const io::Bytes bad_request = answer(200);
const io::Bytes internal_error = answer(300);
const io::Bytes silence{};

struct V1ClientTest : testing::Test {
  Peer& add_server(const std::string& address, std::vector<io::Bytes> answers) {
    auto& peer = world.add(address);
    scripts.push_back(world.script(peer, v1_protocol, std::move(answers)));
    return peer;
  }
  /// One server with these answers, found while the client is there.
  void serve(std::vector<io::Bytes> answers) {
    world.connect(user, add_server("1.1.1.1", std::move(answers)));
  }
  std::vector<double> probes() { return world.seconds_of(user, "autonat.probe"); }
  /// Seconds between one probe and the next.
  std::vector<double> gaps() {
    const auto at = probes();
    std::vector<double> out;
    for (std::size_t i = 1; i < at.size(); ++i) out.push_back(std::round((at[i] - at[i - 1]) * 1e6) / 1e6);
    return out;
  }
  std::vector<std::string> verdicts() {
    std::vector<std::string> out;
    for (const auto& event : user.events) {
      if (event.what == "autonat.verdict") out.push_back(event.detail);
    }
    return out;
  }
  void run_until_second(double second) {
    const auto until = std::chrono::duration_cast<io::Duration>(std::chrono::duration<double>(second));
    world.scheduler.run_for(io::TimePoint(until) - world.scheduler.now());
  }

  AutonatWorld world;
  std::vector<std::shared_ptr<Script>> scripts;
  Peer& user = world.add("2.2.2.2");
  std::unique_ptr<V1Client> client = world.v1_client(user);
};

TEST_F(V1ClientTest, ProbesAtTheFirstEvent) {
  serve({ok});
  EXPECT_EQ(probes(), world.seconds_of(user, "identify.done"));
  EXPECT_EQ(client->verdict(), Reachability::reachable);
}

TEST_F(V1ClientTest, WithoutAnyEventTheFirstProbeComesAfterTheBootDelay) {
  serve({ok});
  world.scheduler.run_for(30s);
  const auto again = world.v1_client(user);
  const auto from = world.seconds();
  user.events.clear();
  world.scheduler.run_for(15s - 1ns);
  EXPECT_THAT(probes(), IsEmpty());
  world.scheduler.run_for(1ns);
  EXPECT_THAT(probes(), ElementsAre(from + 15));
}

TEST_F(V1ClientTest, AsksInTheWordsOfTheSpecification) {
  serve({ok});
  ASSERT_THAT(scripts[0]->requests, SizeIs(1));
  const io::Bytes address{0x04, 2, 2, 2, 2, 0x06, 0x0f, 0xa1};
  const auto peer = joined({field(1, bytes_of(user.id())), field(2, address)});
  EXPECT_EQ(scripts[0]->requests[0], joined({number_field(1, 0), field(2, field(1, peer))}));
}

TEST_F(V1ClientTest, NamesItsPrivateAddressesTooAsTheirPortsMayBeForwarded) {
  auto& hidden = world.add("10.0.0.2", "3.3.3.3");
  const auto of_hidden = world.v1_client(hidden);
  world.connect(hidden, add_server("1.1.1.1", {dial_error}));
  const io::Bytes address{0x04, 10, 0, 0, 2, 0x06, 0x0f, 0xa1};
  const auto peer = joined({field(1, bytes_of(hidden.id())), field(2, address)});
  ASSERT_THAT(scripts[0]->requests, SizeIs(1));
  EXPECT_EQ(scripts[0]->requests[0], joined({number_field(1, 0), field(2, field(1, peer))}));
}

TEST_F(V1ClientTest, TheFirstPrivateVerdictComesFifteenSecondsAfterTheFirstProbe) {
  auto& hidden = world.add("10.0.0.2", "3.3.3.3");
  hidden.host.raise_firewall();
  const auto of_hidden = world.v1_client(hidden);
  auto& server = world.add("1.1.1.1");
  const auto service = world.v1_server(server);
  world.connect(hidden, server);
  world.scheduler.run_for(20s);
  const auto probed = world.seconds_of(hidden, "autonat.probe");
  const auto told = world.seconds_of(hidden, "autonat.verdict");
  ASSERT_THAT(probed, SizeIs(1));
  ASSERT_THAT(told, SizeIs(1));
  // One round trip to agree on the protocol, one for the request; 10 ms each way.
  EXPECT_NEAR(told[0] - probed[0], 15 + 0.040, 1e-9);
  EXPECT_EQ(of_hidden->verdict(), Reachability::unreachable);
  EXPECT_EQ(hidden.events.back().detail, "private");
}

TEST_F(V1ClientTest, AFullConeLooksPublicAndIsToldItsAddress) {
  auto& behind = world.add("10.0.0.2", "3.3.3.3");
  const auto of_behind = world.v1_client(behind);
  auto& server = world.add("1.1.1.1");
  const auto service = world.v1_server(server);
  world.connect(behind, server);
  EXPECT_EQ(of_behind->verdict(), Reachability::reachable);
  EXPECT_EQ(of_behind->public_address(), parsed("/ip4/3.3.3.3/tcp/4001"));
}

TEST_F(V1ClientTest, BecomesPublicOverQuicAlone) {
  const auto quic = world.listen_quic(user);
  auto& server = world.add("1.1.1.1");
  const auto service = world.v1_server(server);
  world.internet.rule = [](const support::Syn& syn) {
    return syn.from.port == 4001 ? support::Verdict::pass : support::Verdict::drop;
  };
  world.connect(user, server);
  world.scheduler.run_for(2s);  // the first event was the new address, when nobody was there
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(client->public_address(), quic);
}

TEST_F(V1ClientTest, AFailureIsAskedAgainEvery90SecondsUntilConfidenceIsFullThenEvery15Minutes) {
  serve({dial_error});
  EXPECT_EQ(client->confidence(), 0);
  world.scheduler.run_for(50min);
  EXPECT_THAT(gaps(), ElementsAre(90, 90, 90, 900, 900, 900));
  EXPECT_EQ(client->confidence(), 3);
  EXPECT_THAT(verdicts(), ElementsAre("private"));
}

TEST_F(V1ClientTest, APublicPeerThatOthersConnectToAsksEvery30Minutes) {
  auto& server = world.add("1.1.1.1");
  const auto service = world.v1_server(server);
  world.connect(user, server);
  world.scheduler.run_for(70min);
  EXPECT_THAT(gaps(), ElementsAre(90, 90, 90, 1800, 1800));
}

TEST_F(V1ClientTest, APublicPeerThatNobodyConnectsToAsksEvery15Minutes) {
  serve({ok});
  world.scheduler.run_for(40min);
  EXPECT_THAT(gaps(), ElementsAre(90, 90, 90, 900, 900));
}

TEST_F(V1ClientTest, NoIntervalIsLongerThanADay) {
  V1ClientProfile profile;
  profile.refresh_interval = 20h;
  auto& patient = world.add("2.2.2.9");
  const auto of_patient = world.v1_client(patient, profile);
  auto& server = world.add("1.1.1.1");
  const auto service = world.v1_server(server);
  world.connect(patient, server);
  world.scheduler.run_for(30h);
  const auto at = world.seconds_of(patient, "autonat.probe");
  ASSERT_THAT(at, SizeIs(5));
  EXPECT_NEAR(at[4] - at[3], 24 * 3600, 1e-6);
}

TEST_F(V1ClientTest, ARefusalChangesNothingAndAnotherServerIsAskedTwoSecondsAfterTheLastProbe) {
  auto& first = add_server("1.1.1.1", {refused});
  auto& second = add_server("1.1.1.2", {refused});
  world.connect(user, first);
  EXPECT_EQ(client->verdict(), Reachability::unknown);
  const auto connected = world.seconds();
  world.connect(user, second);
  world.scheduler.run_for(5s);
  // The second server is found one second after the first probe, and forces a probe as the refusal does.
  EXPECT_LT(connected, probes()[0] + 2);
  EXPECT_THAT(gaps(), ElementsAre(2));
  EXPECT_EQ(scripts[0]->requests.size() + scripts[1]->requests.size(), 2u);
  EXPECT_EQ(scripts[1]->requests.size(), 1u);
  EXPECT_THAT(verdicts(), IsEmpty());
}

TEST_F(V1ClientTest, TheSameServerIsNotAskedAgainWithin90Seconds) {
  serve({refused});
  world.scheduler.run_for(5min);
  // Two seconds after the first probe nobody is left, which counts as a probe.
  EXPECT_THAT(gaps(), ElementsAre(92, 92, 92));
}

TEST_F(V1ClientTest, ARefusalLeavesAVerdictAlone) {
  serve({ok, ok, refused});
  world.scheduler.run_for(5min);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(client->confidence(), 1);
}

TEST_F(V1ClientTest, AProbeThatFindsNobodyCountsAsOne) {
  auto& stranger = world.add("1.1.1.9");
  world.connect(user, stranger);  // its identify is the first event
  const auto nobody = world.seconds_of(user, "identify.done")[0];
  auto& server = add_server("1.1.1.1", {ok});
  world.connect(user, server);
  world.scheduler.run_for(2s);
  ASSERT_THAT(probes(), SizeIs(1));
  EXPECT_NEAR(probes()[0], nobody + 2, 1e-9);
}

TEST_F(V1ClientTest, ANewServerIsAskedAtOnceWhenTheLastProbeIsOlder) {
  auto& stranger = world.add("1.1.1.9");
  world.connect(user, stranger);
  world.scheduler.run_for(10s);
  world.connect(user, add_server("1.1.1.1", {ok}));
  ASSERT_THAT(probes(), SizeIs(1));
  EXPECT_EQ(probes()[0], world.seconds_of(user, "identify.done")[1]);
}

TEST_F(V1ClientTest, AFailureTakesConfidenceBeforeItTakesTheVerdict) {
  serve({ok, ok, dial_error, dial_error, dial_error, ok});
  run_until_second(95);
  EXPECT_EQ(client->confidence(), 1);
  run_until_second(185);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(client->confidence(), 0);
  run_until_second(275);
  EXPECT_EQ(client->verdict(), Reachability::unreachable);
  EXPECT_EQ(client->public_address(), std::nullopt);
  run_until_second(365);
  EXPECT_EQ(client->confidence(), 1);
  run_until_second(455);  // one success turns it at once, with no confidence to begin with
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(client->confidence(), 0);
  EXPECT_THAT(verdicts(), ElementsAre("public", "private", "public"));
}

TEST_F(V1ClientTest, AnswersThatSayNothingTakeConfidenceThenTheVerdict) {
  for (const auto& nothing :
       {bad_request, internal_error, answer(77), framed(number_field(1, 1)), framed(number_field(1, 0)),
        framed(io::Bytes{0xff, 0xff}), io::Bytes{0x81, 0x80, 0x04}, silence}) {
    auto& other = world.add("2.2.3." + std::to_string(world.peers.size()));
    const auto of_other = world.v1_client(other);
    auto& server = add_server("1.1.2." + std::to_string(world.peers.size()), {ok, ok, nothing});
    world.connect(other, server);
    world.scheduler.run_for(215s);  // two more answers; silence takes 30 s
    EXPECT_EQ(of_other->verdict(), Reachability::reachable);
    EXPECT_EQ(of_other->confidence(), 0);
    world.scheduler.run_for(90s);
    EXPECT_EQ(of_other->verdict(), Reachability::unknown);
    of_other->stop();
  }
}

TEST_F(V1ClientTest, AMuteServerIsGivenUpAfterThirtySeconds) {
  serve({silence});
  run_until_second(probes()[0] + 30 - 0.001);
  EXPECT_EQ(client->active(), 1u);
  run_until_second(probes()[0] + 30);
  EXPECT_EQ(client->active(), 0u);
}

TEST_F(V1ClientTest, AServerThatSharesAnIpWithUsIsNotAsked) {
  user.swarm().addresses().set_mapped(std::vector<Multiaddr>(1, parsed("/ip4/1.1.1.1/tcp/7777")));
  serve({ok});
  world.scheduler.run_for(5min);
  EXPECT_THAT(probes(), IsEmpty());
}

TEST_F(V1ClientTest, AServerWithoutPublicAddressIsNotAsked) {
  world.connect(user, add_server("192.168.1.1", {ok}));
  world.scheduler.run_for(5min);
  EXPECT_THAT(probes(), IsEmpty());
}

TEST_F(V1ClientTest, AServerBehindARelayIsNotAsked) {
  auto& relay = world.add("3.3.3.3");
  auto& server = add_server("1.1.1.1", {ok});
  world.internet.rule = [&](const support::Syn& syn) {
    return syn.from.address != relay.host.outside() && syn.to.address != relay.host.outside()
               ? support::Verdict::drop
               : support::Verdict::pass;
  };
  world.connect_through(relay, user, server);
  world.scheduler.run_for(90s);
  EXPECT_FALSE(user.swarm().direct_connection_to(server.id()));
  EXPECT_THAT(probes(), IsEmpty());
}

TEST_F(V1ClientTest, AskingGoesRoundAmongServers) {
  for (int i = 1; i <= 4; ++i) world.connect(user, add_server("1.1.1." + std::to_string(i), {dial_error}));
  world.scheduler.run_for(10h);
  for (const auto& script : scripts) EXPECT_GT(script->requests.size(), 2u);
}

TEST_F(V1ClientTest, ANewPublicAddressIsProbedSoonAlthoughConfidenceIsFull) {
  serve({dial_error});
  world.scheduler.run_for(6min);
  ASSERT_EQ(client->confidence(), 3);
  const auto before = probes().size();
  user.swarm().addresses().set_mapped(std::vector<Multiaddr>(1, parsed("/ip4/5.5.5.5/tcp/7777")));
  EXPECT_EQ(client->confidence(), 2);
  world.scheduler.settle();
  ASSERT_THAT(probes(), SizeIs(before + 1));  // 90 s after the last one, which is past
}

TEST_F(V1ClientTest, APrivatePeerThatOthersConnectToAsksSoon) {
  serve({dial_error});
  world.scheduler.run_for(6min);
  ASSERT_EQ(client->confidence(), 3);
  const auto before = probes().size();
  auto& visitor = world.add("6.6.6.6");
  world.connect(visitor, user);
  EXPECT_THAT(probes(), SizeIs(before + 1));
}

TEST_F(V1ClientTest, AVisitorFromAPrivateAddressShowsNothing) {
  serve({dial_error});
  world.scheduler.run_for(6min);
  const auto before = probes().size();
  auto& visitor = world.add("192.168.3.3");
  world.connect(visitor, user);
  EXPECT_THAT(probes(), SizeIs(before));
}

TEST_F(V1ClientTest, TellsOfEveryChange) {
  std::vector<Reachability> told;
  client->on_change([&](Reachability what) { told.push_back(what); });
  serve({ok, dial_error, dial_error});
  world.scheduler.run_for(5min);
  EXPECT_THAT(told, ElementsAre(Reachability::reachable, Reachability::unreachable));
}

TEST_F(V1ClientTest, StoppingEndsWhatRunsAndKeepsTheVerdict) {
  serve({ok, silence});
  run_until_second(probes()[0] + 95);
  EXPECT_EQ(client->active(), 1u);
  client->stop();
  world.scheduler.settle();
  EXPECT_EQ(client->active(), 0u);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  const auto before = probes().size();
  world.scheduler.run_for(1h);
  EXPECT_THAT(probes(), SizeIs(before));
}

TEST_F(V1ClientTest, LeavesNoTimerBehind) {
  serve({silence});
  client->stop();
  for (const auto& each : world.peers) each->node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(client->active(), 0u);
  EXPECT_EQ(world.scheduler.armed_timers(), 0u);
}

}  // namespace
}  // namespace flaresim::autonat
