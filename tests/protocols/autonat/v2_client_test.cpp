#include <gmock/gmock.h>

#include "protocols/autonat/v2.h"
#include "tests/protocols/autonat/autonat_world.h"
#include "tests/protocols/support/error_of.h"

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

/// One server, every step of which the test takes itself.
struct DialBackTest : testing::Test {
  /// Until a client with this profile has asked the server.
  void begin(V2ClientProfile profile = {}) {
    client = world.v2_client(user, profile);
    server.swarm().handle(std::string(v2_dial_request_protocol),
                          [this](swarm::IncomingStream in) { return take(this, std::move(in)); });
    world.connect(user, server);
    await_request();
  }
  void await_request() {
    ASSERT_TRUE(world.scheduler.run_until([&] { return request != nullptr; }, 5min));
  }
  static io::Task<> take(DialBackTest* self, swarm::IncomingStream in) {
    const auto frame = co_await support::read_frame(in.stream);
    // The nonce, a fixed64, is the last field.
    if (!frame || frame->size() < 9 || (*frame)[frame->size() - 9] != (2 << 3 | 1)) co_return;
    self->nonce.assign(frame->end() - 8, frame->end());
    self->request = in.stream;
  }
  /// Answers the request.
  void say(const io::Bytes& bytes) {
    const auto stream = std::exchange(request, nullptr);
    ASSERT_TRUE(world.run(support::write_all(stream, bytes)));
    ASSERT_TRUE(world.run(stream->close_write()));
    world.scheduler.run_for(one_way);
  }
  io::Bytes dial_back() const { return framed(joined({io::Bytes{1 << 3 | 1}, nonce})); }
  /// What `from` hears when it shows the nonce.
  io::Result<io::Bytes> show_nonce(Peer& from) {
    return world.ask(from, user, v2_dial_back_protocol, dial_back());
  }
  std::vector<std::string> failures() const {
    std::vector<std::string> out;
    for (const auto& event : user.events) {
      if (event.what == "autonat.probe_failed") out.push_back(event.detail);
    }
    return out;
  }
  static std::string text_of(Error error) { return make_error_code(error).message(); }

  static constexpr auto one_way = 10ms;
  static constexpr V2ClientProfile one_is_enough{.target_confidence = 1, .min_confidence = 1};
  const io::Bytes accepted;  // an empty message
  const multiformats::Multiaddr address = parsed("/ip4/2.2.2.2/tcp/4001");
  AutonatWorld world;
  Peer& user = world.add("2.2.2.2");
  Peer& server = world.add("1.1.1.1");
  std::unique_ptr<V2Client> client;
  io::StreamPtr request;
  io::Bytes nonce;
};

TEST_F(DialBackTest, ThatComesTwiceIsOneSuccess) {
  begin();
  EXPECT_EQ(show_nonce(server), accepted);
  EXPECT_EQ(error_of(show_nonce(server)), std::errc::connection_reset);
  say(dial_ok);
  world.scheduler.run_for(1s);
  EXPECT_THAT(client->verdicts(), ElementsAre(Pair(address, Reachability::unknown)));
  // It takes two, the second of which comes with the second probe.
  await_request();
  EXPECT_EQ(client->probes(), 2u);
  EXPECT_EQ(show_nonce(server), accepted);
  say(dial_ok);
  EXPECT_THAT(client->verdicts(), ElementsAre(Pair(address, Reachability::reachable)));
}

TEST_F(DialBackTest, ThatComesAgainAfterTheVerdictIsReset) {
  begin(one_is_enough);
  EXPECT_EQ(show_nonce(server), accepted);
  say(dial_ok);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
  EXPECT_EQ(error_of(show_nonce(server)), std::errc::connection_reset);
  EXPECT_THAT(world.seconds_of(user, "autonat.address"), SizeIs(1));
  EXPECT_EQ(client->active(), 0u);
}

TEST_F(DialBackTest, OfANonceThatNobodyWasGivenIsReset) {
  begin(one_is_enough);
  ++nonce[0];
  EXPECT_EQ(error_of(show_nonce(server)), std::errc::connection_reset);
  say(dial_ok);
  world.scheduler.run_for(10s);
  EXPECT_EQ(client->verdict(), Reachability::unknown);
  EXPECT_THAT(failures(), ElementsAre(text_of(Error::no_dial_back)));
}

/// The user listens on QUIC too, over which a stranger has come.
struct QuicDialBackTest : DialBackTest {
  void show_nonce_over_quic() {
    const auto dialled =
        world.run(stranger.swarm().dial({user.id(), std::vector<multiformats::Multiaddr>(1, quic), true}));
    ASSERT_TRUE(dialled.connection);
    ASSERT_EQ(dialled.connection->facts().remote_address.transport(), multiformats::Transport::quic_v1);
    EXPECT_EQ(show_nonce(stranger), accepted);
  }

  const multiformats::Multiaddr quic = world.listen_quic(user);
  Peer& stranger = world.add("3.3.3.3");
};

TEST_F(QuicDialBackTest, CountsForNothingWhenTheServerSaysTcp) {
  begin(one_is_enough);
  show_nonce_over_quic();
  say(dial_ok);
  EXPECT_THAT(client->verdicts(),
              ElementsAre(Pair(address, Reachability::unknown), Pair(quic, Reachability::unknown)));
  EXPECT_THAT(failures(), ElementsAre(text_of(Error::wrong_transport)));
}

TEST_F(QuicDialBackTest, CountsForTheQuicAddressThatTheServerNames) {
  begin(one_is_enough);
  show_nonce_over_quic();
  say(answer({number_field(1, 200), number_field(2, 1), number_field(3, 200)}));
  EXPECT_THAT(client->verdicts(),
              ElementsAre(Pair(address, Reachability::unknown), Pair(quic, Reachability::reachable)));
  EXPECT_THAT(failures(), IsEmpty());
}

/// The nonce arrives some time after the answer.
struct LateDialBackTest : DialBackTest {
  void show_nonce_after(io::Duration time, const io::Bytes& says) {
    begin(one_is_enough);
    say(says);
    const auto answered = world.scheduler.now();
    // No sooner: of a stream that is open already, the client expects the nonce within five seconds.
    world.scheduler.run_for(500ms);
    const auto stream = world.open(server, user, v2_dial_back_protocol);
    world.scheduler.run_for(answered + time - one_way - world.scheduler.now());
    ASSERT_TRUE(world.run(support::write_all(stream, dial_back())));
    ASSERT_EQ(world.scheduler.now(), answered + time - one_way);
    heard = world.run(support::read_frame(stream));
  }
  io::Result<io::Bytes> heard;
};

TEST_F(LateDialBackTest, CountsWithinFiveSeconds) {
  show_nonce_after(4999ms, dial_ok);
  EXPECT_EQ(heard, accepted);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
}

TEST_F(LateDialBackTest, IsResetAfterFiveSeconds) {
  show_nonce_after(5001ms, dial_ok);
  EXPECT_EQ(error_of(heard), std::errc::connection_reset);
  EXPECT_EQ(client->verdict(), Reachability::unknown);
  EXPECT_THAT(failures(), ElementsAre(text_of(Error::no_dial_back)));
}

const io::Bytes dial_back_error = answer({number_field(1, 200), number_field(3, 101)});

TEST_F(LateDialBackTest, IsResetWhenTheServerHadGivenUpAndCountsForNothing) {
  show_nonce_after(1s, dial_back_error);
  EXPECT_EQ(error_of(heard), std::errc::connection_reset);
  EXPECT_EQ(client->verdict(), Reachability::unknown);
}

TEST_F(DialBackTest, CountsAlthoughTheServerThinksThatItFailed) {
  begin(one_is_enough);
  EXPECT_EQ(show_nonce(server), accepted);
  say(dial_back_error);
  EXPECT_EQ(client->verdict(), Reachability::reachable);
}

}  // namespace
}  // namespace flaresim::autonat
