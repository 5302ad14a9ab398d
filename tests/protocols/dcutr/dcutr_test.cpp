#include <gmock/gmock.h>

#include <algorithm>

#include "protocols/dcutr/hole_puncher.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::dcutr {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using support::Syn;
using support::Verdict;
using support::World;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// The wire by hand: libp2p/specs relay/DCUtR.md, "RPC messages".
io::Bytes message(std::uint64_t type, const std::vector<io::Bytes>& addresses = {}) {
  auto out = number_field(1, type);
  for (const auto& address : addresses) io::append(out, field(2, address));
  return out;
}
constexpr std::uint64_t connect = 100;
constexpr std::uint64_t sync = 300;

io::Bytes bytes_of(std::string_view text) { return Multiaddr::from_string(text).value().bytes(); }

/// Two homes, each behind a gateway that keeps ports and lets in only what was asked for, and a relay.
/// `a` dials through the relay; `b` holds the reservation.
struct DcutrTest : testing::Test {
  explicit DcutrTest(const std::string& inside_of_a = "10.0.0.1")
      : relay(world.add("1.1.1.1")),
        a(world.add(inside_of_a, "2.2.2.1")),
        b(world.add("10.0.0.2", "2.2.2.2")) {
    a.host.raise_firewall();
    b.host.raise_firewall();
    a.node.hole_puncher().on_report([this](const PunchReport& report) { reports_of_a.push_back(report); });
    b.node.hole_puncher().on_report([this](const PunchReport& report) { reports_of_b.push_back(report); });
  }

  swarm::ConnectionPtr meet() { return relayed = world.connect_through(relay, a, b); }
  void meet_and_wait(io::Duration time = 30s) {
    ASSERT_TRUE(meet());
    world.scheduler.run_for(time);
  }

  /// When requests left for the other home.
  std::vector<io::TimePoint> dials(const Peer& from, const Peer& to) const {
    std::vector<io::TimePoint> out;
    for (const auto& syn : world.internet.syns) {
      if (syn.from.address == from.host.outside() && syn.to.address == to.host.outside())
        out.push_back(syn.at);
    }
    return out;
  }
  bool direct() { return a.swarm().direct_connection_to(b.id()) && b.swarm().direct_connection_to(a.id()); }

  std::vector<PunchReport> reports_of_a;
  std::vector<PunchReport> reports_of_b;
  World world;
  Peer& relay;
  Peer& a;
  Peer& b;
  swarm::ConnectionPtr relayed;
};

TEST_F(DcutrTest, TwoHomesMeetInOneConnectionWithTheAgreedRoles) {
  meet_and_wait();
  ASSERT_TRUE(direct());
  ASSERT_THAT(reports_of_b, SizeIs(1));
  const auto& report = reports_of_b[0];
  EXPECT_EQ(report.side, Side::opener);
  EXPECT_EQ(report.outcome, Outcome::punched);
  EXPECT_FALSE(report.cause);
  EXPECT_FALSE(report.reversal);
  EXPECT_THAT(report.attempts, SizeIs(1));
  EXPECT_EQ(report.round_trip(), 40ms);
  EXPECT_EQ(report.transport, multiformats::Transport::tcp);
  EXPECT_EQ(report.connection->facts().role, security::Role::server);
  ASSERT_THAT(reports_of_a, SizeIs(1));
  EXPECT_EQ(reports_of_a[0].side, Side::responder);
  EXPECT_EQ(reports_of_a[0].outcome, Outcome::punched);
  EXPECT_EQ(reports_of_a[0].connection->facts().role, security::Role::client);
  // Nothing else was tried, and the relayed connection was left alone.
  EXPECT_THAT(dials(a, b), SizeIs(1));
  EXPECT_THAT(dials(b, a), SizeIs(1));
  EXPECT_FALSE(relayed->closed());
}

TEST_F(DcutrTest, BothRequestsLeaveTogetherWhenTheRelayPathIsSymmetric) {
  world.internet.set_latency(a.host, relay.host, 35ms);
  world.internet.set_latency(relay.host, a.host, 35ms);
  world.internet.set_latency(b.host, relay.host, 5ms);
  world.internet.set_latency(relay.host, b.host, 5ms);
  meet_and_wait();
  ASSERT_THAT(dials(a, b), SizeIs(1));
  ASSERT_THAT(dials(b, a), SizeIs(1));
  // SYNC leaves at s; A has it, and dials, at s + 40 ms; B dials at s + 80 ms / 2.
  const auto synced = b.times_of("dcutr.sync.sent").at(0);
  EXPECT_EQ(dials(a, b)[0], synced + 40ms);
  EXPECT_EQ(dials(b, a)[0], synced + 40ms);
  EXPECT_TRUE(direct());
}

TEST_F(DcutrTest, FortyMillisecondsOfRelayAsymmetryAreTwentyOfSkew) {
  // From A to B over the relay takes 40 ms longer than back.
  world.internet.set_latency(a.host, relay.host, 50ms);
  world.internet.set_latency(relay.host, a.host, 10ms);
  world.internet.set_latency(b.host, relay.host, 10ms);
  world.internet.set_latency(relay.host, b.host, 10ms);
  meet_and_wait();
  ASSERT_FALSE(dials(a, b).empty());
  ASSERT_FALSE(dials(b, a).empty());
  const auto synced = b.times_of("dcutr.sync.sent").at(0);
  EXPECT_EQ(dials(a, b)[0], synced + 20ms);
  EXPECT_EQ(dials(b, a)[0], synced + 40ms);
}

struct PublicDcutrTest : DcutrTest {
  PublicDcutrTest() : DcutrTest("2.2.2.1") {}
};

TEST(ConnectionReversal, ComesFirstWhenTheDiallerAdvertisesAPublicAddress) {
  std::vector<PunchReport> reports;
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("2.2.2.1");
  auto& b = world.add("10.0.0.2", "2.2.2.2");
  b.host.raise_firewall();
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  ASSERT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(30s);
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].outcome, Outcome::reversed);
  ASSERT_TRUE(reports[0].reversal);
  EXPECT_FALSE(reports[0].reversal->cause);
  EXPECT_THAT(reports[0].attempts, IsEmpty());
  EXPECT_THAT(b.times_of("dcutr.connect.sent"), IsEmpty());
  EXPECT_TRUE(a.swarm().direct_connection_to(b.id()));
}

TEST_F(PublicDcutrTest, PunchesWhenTheAdvertisedAddressIsFirewalled) {
  meet_and_wait();
  ASSERT_THAT(reports_of_b, SizeIs(1));
  const auto& report = reports_of_b[0];
  EXPECT_EQ(report.outcome, Outcome::punched);
  ASSERT_TRUE(report.reversal);
  ASSERT_THAT(report.reversal->failures, SizeIs(1));
  EXPECT_EQ(report.reversal->failures[0].why, std::errc::timed_out);
  EXPECT_THAT(report.attempts, SizeIs(1));
}

/// What a reversal dials when the dialler advertises these, none of which answers.
std::vector<std::string> dialled_by_reversal(bool to_private, const std::vector<std::string>& advertised) {
  std::vector<PunchReport> reports;
  World world;
  node::NodeProfile profile;
  profile.dcutr.reversal_to_private = to_private;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("2.2.2.1");
  auto& b = world.add("10.0.0.2", "2.2.2.2", profile);
  world.internet.rule = [&](const Syn& syn) {
    return syn.to.address == relay.host.outside() ? Verdict::pass : Verdict::drop;
  };
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  io::Bytes identify;  // libp2p/specs identify/README.md: field 2 is listenAddrs
  for (const auto& address : advertised) io::append(identify, field(2, bytes_of(address)));
  a.swarm().handle("/ipfs/id/1.0.0", support::answers(framed(identify)), swarm::OverLimited::yes);
  EXPECT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(2min);
  EXPECT_THAT(reports, SizeIs(1));
  std::vector<std::string> out;
  if (reports.empty() || !reports[0].reversal) return out;
  for (const auto& failure : reports[0].reversal->failures) out.push_back(failure.address.to_string());
  return out;
}

const std::vector<std::string> everywhere{"/ip4/127.0.0.1/tcp/4001", "/ip4/10.0.0.1/tcp/4001",
                                          "/ip4/2.2.2.1/tcp/4001"};

TEST(ConnectionReversal, DialsThePublicAddressAlone) {
  EXPECT_THAT(dialled_by_reversal(false, everywhere), ElementsAre("/ip4/2.2.2.1/tcp/4001"));
}

TEST(ConnectionReversal, ToPrivateDialsThePrivateAddressBesideThePublicOneButNotLoopback) {
  EXPECT_THAT(dialled_by_reversal(true, everywhere),
              UnorderedElementsAre("/ip4/2.2.2.1/tcp/4001", "/ip4/10.0.0.1/tcp/4001"));
}

TEST(ConnectionReversal, ToPrivateDialsNothingWhenNoPublicAddressIsAdvertised) {
  EXPECT_THAT(dialled_by_reversal(true, {"/ip4/10.0.0.1/tcp/4001"}), IsEmpty());
}

/// A node that tells `remote` which protocols it offers.
struct OwnAddressTest : testing::Test {
  Peer& join(bool waits) {
    node::NodeProfile profile;
    profile.dcutr.wait_for_own_address = waits;
    auto& node = world.add("10.0.0.2", "", profile);  // nobody shows it a public address
    world.connect(node, remote);
    return node;
  }
  static void learn_address(Peer& node) {
    node.swarm().addresses().set_mapped({Multiaddr::from_string("/ip4/2.2.2.2/tcp/4001").value()});
  }
  static bool offers(Peer& node) { return std::ranges::count(node.swarm().protocols(), dcutr_protocol) > 0; }
  bool is_told(Peer& node) {
    return std::ranges::count(remote.swarm().peers().find(node.id()).protocols(), dcutr_protocol) > 0;
  }

  World world;
  Peer& remote = world.add("1.1.1.1");
};

TEST_F(OwnAddressTest, IsNotWaitedForByDefault) {
  auto& node = join(false);
  EXPECT_TRUE(offers(node));
  EXPECT_TRUE(is_told(node));
}

TEST_F(OwnAddressTest, IsWaitedForBeforeTheProtocolIsTold) {
  auto& node = join(true);
  world.scheduler.run_for(1min);
  EXPECT_FALSE(offers(node));
  EXPECT_FALSE(is_told(node));
  learn_address(node);
  world.scheduler.run_for(10s);
  EXPECT_TRUE(offers(node));
  EXPECT_TRUE(is_told(node));
}

TEST_F(OwnAddressTest, IsLookedForAfterTwiceAsLongEachTimeUpToFiveSeconds) {
  // go-libp2p p2p/protocol/holepunch/svc.go waitForPublicAddr: 250 ms, doubled, at most 5 s.
  const std::vector<io::Duration> looks{250ms, 750ms, 1750ms, 3750ms, 7750ms, 12750ms, 17750ms};
  node::NodeProfile profile;
  profile.dcutr.wait_for_own_address = true;
  io::Duration last{};
  int hosts = 0;
  for (const auto look : looks) {
    auto& node = world.add("10.0.0." + std::to_string(++hosts), "", profile);
    world.scheduler.run_for(last + 1ms);  // just missed
    learn_address(node);
    world.scheduler.run_for(look - last - 2ms);
    EXPECT_FALSE(offers(node)) << look.count();
    world.scheduler.run_for(1ms);
    EXPECT_TRUE(offers(node)) << look.count();
    last = look;
  }
}

TEST_F(OwnAddressTest, ThatComesLateUpgradesNoConnectionFromBefore) {
  std::vector<PunchReport> reports;
  node::NodeProfile profile;
  profile.dcutr.wait_for_own_address = true;
  auto& a = world.add("10.0.0.1", "2.2.2.1");
  auto& b = world.add("10.0.0.3", "", profile);
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  const auto early = world.connect_through(remote, a, b);
  learn_address(b);
  world.scheduler.run_for(1min);
  EXPECT_THAT(reports, IsEmpty());
  early->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.run_for(1s);
  const auto circuit = remote.address().with_peer(remote.id()).encapsulate(Multiaddr::circuit());
  std::vector<Multiaddr> through(1, circuit);
  ASSERT_TRUE(world.run(a.swarm().dial({b.id(), through, false})).connection);
  world.scheduler.run_for(1min);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(DcutrTest, MakesThreeAttemptsEachWithAnExchangeOfItsOwn) {
  world.internet.rule = [&](const Syn& syn) {
    return syn.to.address == relay.host.outside() ? Verdict::pass : Verdict::drop;
  };
  meet_and_wait(60s);
  EXPECT_FALSE(direct());
  ASSERT_THAT(reports_of_b, SizeIs(1));
  const auto& report = reports_of_b[0];
  EXPECT_EQ(report.outcome, Outcome::failed);
  EXPECT_EQ(report.cause, Error::no_attempt_connected);
  ASSERT_THAT(report.attempts, SizeIs(3));
  for (const auto& attempt : report.attempts) {
    EXPECT_EQ(attempt.round_trip, 40ms);
    ASSERT_THAT(attempt.failures, SizeIs(1));
    EXPECT_EQ(attempt.failures[0].why, std::errc::timed_out);
    EXPECT_FALSE(attempt.failures[0].connected);
  }
  for (const auto* word : {"dcutr.connect.sent", "dcutr.connect.received", "dcutr.sync.sent"}) {
    EXPECT_THAT(b.times_of(word), SizeIs(3)) << word;
  }
  EXPECT_THAT(a.times_of("dcutr.sync.received"), SizeIs(3));
  EXPECT_THAT(reports_of_a, SizeIs(3));
  EXPECT_EQ(reports_of_a[0].outcome, Outcome::failed);
  // The relayed connection still serves.
  EXPECT_FALSE(relayed->closed());
  EXPECT_TRUE(world.run(a.node.ping().ping(relayed)));
}

TEST_F(DcutrTest, ASecondAttemptSucceedsAfterARefusedFirst) {
  // The first request of each meets a reset.
  int refused = 0;
  world.internet.rule = [&](const Syn& syn) {
    if (syn.to.address == relay.host.outside()) return Verdict::pass;
    return refused++ < 2 ? Verdict::refuse : Verdict::pass;
  };
  meet_and_wait();
  EXPECT_TRUE(direct());
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].outcome, Outcome::punched);
  ASSERT_THAT(reports_of_b[0].attempts, SizeIs(2));
  ASSERT_THAT(reports_of_b[0].attempts[0].failures, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].attempts[0].failures[0].why, std::errc::connection_refused);
}

TEST_F(DcutrTest, SuccessEndsTheUpgrade) {
  meet_and_wait();
  ASSERT_TRUE(direct());
  world.scheduler.run_for(60s);
  EXPECT_THAT(b.times_of("dcutr.dial"), SizeIs(1));
  EXPECT_THAT(a.times_of("dcutr.dial"), SizeIs(1));
  EXPECT_EQ(b.node.hole_puncher().active(), 0u);
  EXPECT_EQ(a.node.hole_puncher().active(), 0u);
}

TEST_F(DcutrTest, TheRelayMayGoAwayRightAfterSync) {
  ASSERT_TRUE(meet());
  ASSERT_TRUE(world.scheduler.run_until([&] { return !a.times_of("dcutr.sync.received").empty(); }));
  relay.node.shut_down();
  world.scheduler.run_for(10s);
  EXPECT_TRUE(direct());
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].outcome, Outcome::punched);
}

TEST_F(DcutrTest, WithoutTheRelayThereIsNoSecondExchange) {
  world.internet.rule = [&](const Syn& syn) {
    return syn.to.address == relay.host.outside() ? Verdict::pass : Verdict::drop;
  };
  ASSERT_TRUE(meet());
  ASSERT_TRUE(world.scheduler.run_until([&] { return !a.times_of("dcutr.sync.received").empty(); }));
  relay.node.shut_down();
  world.scheduler.run_for(60s);
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].outcome, Outcome::failed);
  EXPECT_EQ(reports_of_b[0].cause, Error::relayed_connection_lost);
  EXPECT_THAT(reports_of_b[0].attempts, SizeIs(1));
}

TEST_F(DcutrTest, ShuttingDownInTheMiddleLeavesNothing) {
  ASSERT_TRUE(meet());
  ASSERT_TRUE(world.scheduler.run_until([&] { return !b.times_of("dcutr.sync.sent").empty(); }));
  a.node.shut_down();
  b.node.shut_down();
  world.scheduler.settle();
  EXPECT_EQ(b.node.hole_puncher().active(), 0u);
}

TEST(DirectConnection, LeavesNothingToUpgrade) {
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("2.2.2.1");
  auto& b = world.add("2.2.2.2");
  std::vector<PunchReport> reports;
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  // B dials A directly while the relayed connection is being made.
  relay.node.start_relay_service();
  ASSERT_TRUE(world.run(b.node.relay_client().reserve(relay.id(), relay.addresses())));
  world.connect(a, relay);
  const auto circuit = relay.address().with_peer(relay.id()).encapsulate(Multiaddr::circuit());
  const auto through =
      support::start(world.scheduler,
                     a.swarm().dial({b.id(), std::vector<Multiaddr>(1, circuit), false, std::nullopt, 10s}));
  world.scheduler.run_for(150ms);
  world.connect(b, a);
  world.scheduler.run_for(10s);
  ASSERT_TRUE(through.done());
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].outcome, Outcome::not_started);
  EXPECT_EQ(reports[0].cause, Error::direct_connection_exists);
}

io::Task<> connect_then_reset(Peer* from, Peer* to, swarm::IncomingStream in) {
  swarm::DialRequest request{.peer = to->id(), .addresses = {}, .direct_only = true, .punch_role = {}};
  request.addresses.push_back(to->address());
  co_await from->swarm().dial(std::move(request));
  in.stream->reset(std::make_error_code(std::errc::operation_canceled));
}

TEST(DirectConnection, ThatHasComeWhenAnExchangeBreaksIsNoFailure) {
  std::vector<PunchReport> reports;
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("10.0.0.1", "2.2.2.1");
  auto& b = world.add("2.2.2.2");
  a.host.raise_firewall();
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  a.swarm().handle(
      std::string(dcutr_protocol),
      [&](swarm::IncomingStream in) { return connect_then_reset(&a, &b, std::move(in)); },
      swarm::OverLimited::yes);
  ASSERT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(30s);
  EXPECT_TRUE(b.swarm().direct_connection_to(a.id()));
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].outcome, Outcome::reversed);
  EXPECT_FALSE(reports[0].cause);
  ASSERT_THAT(reports[0].attempts, SizeIs(1));
  EXPECT_EQ(reports[0].attempts[0].cause, std::errc::connection_reset);
}

TEST(DcutrAddresses, AnOpenerWithoutAPublicAddressDoesNotStart) {
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("10.0.0.1", "2.2.2.1");
  // No gateway translates this one: everybody sees its private address, which is nothing to send.
  auto& b = world.add("10.0.0.2");
  std::vector<PunchReport> reports;
  b.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  ASSERT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(10s);
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].outcome, Outcome::not_started);
  EXPECT_EQ(reports[0].cause, Error::no_address_to_send);
  EXPECT_THAT(b.times_of("dcutr.connect.sent"), IsEmpty());
}

TEST(DcutrAddresses, AResponderWithoutAPublicAddressResets) {
  World world;
  auto& relay = world.add("1.1.1.1");
  auto& a = world.add("10.0.0.1");
  auto& b = world.add("10.0.0.2", "2.2.2.2");
  std::vector<PunchReport> of_a;
  std::vector<PunchReport> of_b;
  a.node.hole_puncher().on_report([&](const PunchReport& report) { of_a.push_back(report); });
  b.node.hole_puncher().on_report([&](const PunchReport& report) { of_b.push_back(report); });
  ASSERT_TRUE(world.connect_through(relay, a, b));
  world.scheduler.run_for(10s);
  ASSERT_THAT(of_a, SizeIs(1));
  EXPECT_EQ(of_a[0].cause, Error::no_address_to_send);
  ASSERT_THAT(of_b, SizeIs(1));
  EXPECT_EQ(of_b[0].outcome, Outcome::failed);
  EXPECT_EQ(of_b[0].cause, std::errc::connection_reset);
}

/// One end is written by hand: the real one must refuse it by what is wrong with it, and have nothing left.
struct MalformedTest : DcutrTest {
  /// What B makes of a responder that answers its CONNECT with these bytes.
  std::error_code refused_by_opener(const io::Bytes& answer) {
    a.swarm().handle(std::string(dcutr_protocol), support::replies(answer), swarm::OverLimited::yes);
    meet();
    world.scheduler.run_for(10s);
    EXPECT_THAT(reports_of_b, SizeIs(1));
    EXPECT_EQ(reports_of_b.at(0).outcome, Outcome::failed);
    EXPECT_THAT(b.times_of("dcutr.dial"), IsEmpty());
    expect_nothing_left();
    return reports_of_b.at(0).cause;
  }

  /// What A makes of an opener that writes these bytes, and ends its direction.
  std::error_code refused_by_responder(const io::Bytes& bytes) {
    b.node.hole_puncher().stop();
    meet();
    world.scheduler.run_for(1s);
    const auto stream = world.open(b, a, dcutr_protocol);
    EXPECT_TRUE(world.run(support::write_all(stream, bytes)));
    EXPECT_TRUE(world.run(stream->close_write()));
    world.run(support::read_all(stream));
    world.scheduler.run_for(1s);
    EXPECT_THAT(reports_of_a, SizeIs(1));
    EXPECT_EQ(reports_of_a.at(0).outcome, Outcome::failed);
    EXPECT_THAT(a.times_of("dcutr.dial"), IsEmpty());
    expect_nothing_left();
    return reports_of_a.at(0).cause;
  }

  void expect_nothing_left() {
    EXPECT_EQ(a.node.hole_puncher().active(), 0u);
    EXPECT_EQ(b.node.hole_puncher().active(), 0u);
    EXPECT_EQ(a.swarm().connection_to(b.id())->streams(), 0u);
    EXPECT_EQ(b.swarm().connection_to(a.id())->streams(), 0u);
    EXPECT_FALSE(relayed->closed());
  }
};

const io::Bytes good_address = bytes_of("/ip4/8.8.8.8/tcp/1");
const io::Bytes too_long_frame = framed(message(connect, {io::Bytes(4097 - 2 - 3, 0x01)}));

TEST_F(MalformedTest, OpenerRefusesSyncForConnect) {
  EXPECT_EQ(refused_by_opener(framed(message(sync, {good_address}))), Error::unexpected_type);
}
TEST_F(MalformedTest, OpenerRefusesAMissingType) {
  EXPECT_EQ(refused_by_opener(framed(field(2, good_address))), Error::missing_type);
}
TEST_F(MalformedTest, OpenerRefusesAnUnknownType) {
  EXPECT_EQ(refused_by_opener(framed(message(200, {good_address}))), Error::missing_type);
}
TEST_F(MalformedTest, OpenerRefusesNoAddresses) {
  EXPECT_EQ(refused_by_opener(framed(message(connect))), Error::no_usable_address);
}
TEST_F(MalformedTest, OpenerRefusesOnlyPrivateRelayedAndMalformedAddresses) {
  EXPECT_EQ(refused_by_opener(framed(message(connect, {bytes_of("/ip4/10.0.0.9/tcp/1"),
                                                       bytes_of("/ip4/127.0.0.1/tcp/1"),
                                                       bytes_of("/ip4/8.8.8.8/tcp/1/p2p-circuit"),
                                                       {0x04, 0x01}}))),
            Error::no_usable_address);
}
TEST_F(MalformedTest, OpenerRefusesAMessageAbove4KiB) {
  EXPECT_EQ(refused_by_opener(too_long_frame), Error::message_too_long);
}
TEST_F(MalformedTest, OpenerRefusesGarbage) {
  EXPECT_EQ(refused_by_opener(framed(io::Bytes{0x12, 0x50})), Error::malformed);
}
TEST_F(MalformedTest, OpenerRefusesALengthOfTenBytes) {
  EXPECT_EQ(refused_by_opener(joined({io::Bytes(9, 0x80), io::Bytes{1}})), Error::malformed);
}
TEST_F(MalformedTest, OpenerGivesUpASilentResponderAfterAMinute) {
  a.swarm().handle(std::string(dcutr_protocol), support::silence(), swarm::OverLimited::yes);
  meet();
  world.scheduler.run_for(59s);
  EXPECT_THAT(reports_of_b, IsEmpty());
  world.scheduler.run_for(3s);
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].cause, std::errc::timed_out);
}
TEST_F(MalformedTest, OpenerReportsAResponderWithoutTheProtocol) {
  a.swarm().unhandle(dcutr_protocol);
  meet();
  world.scheduler.run_for(10s);
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].cause, negotiation::Error::no_protocol);
}

TEST_F(MalformedTest, OneGoodAddressAmongBadOnesIsEnough) {
  std::vector<io::Bytes> mixed{{0x04, 0x01}, bytes_of("/ip4/192.168.0.1/tcp/1"), a.address().bytes()};
  a.swarm().handle(std::string(dcutr_protocol), support::replies(framed(message(connect, mixed))),
                   swarm::OverLimited::yes);
  meet();
  world.scheduler.run_for(1s);
  EXPECT_THAT(dials(b, a), SizeIs(1));
}

TEST_F(MalformedTest, ResponderRefusesSyncForConnect) {
  EXPECT_EQ(refused_by_responder(framed(message(sync))), Error::unexpected_type);
}
TEST_F(MalformedTest, ResponderRefusesASecondConnectForSync) {
  const auto twice = framed(message(connect, {good_address}));
  EXPECT_EQ(refused_by_responder(joined({twice, twice})), Error::unexpected_type);
}
TEST_F(MalformedTest, ResponderRefusesNoAddresses) {
  EXPECT_EQ(refused_by_responder(framed(message(connect))), Error::no_usable_address);
}
TEST_F(MalformedTest, ResponderRefusesAMessageAbove4KiB) {
  EXPECT_EQ(refused_by_responder(too_long_frame), Error::message_too_long);
}
TEST_F(MalformedTest, ResponderRefusesGarbage) {
  EXPECT_EQ(refused_by_responder(framed(io::Bytes{0xff, 0xff})), Error::malformed);
}
TEST_F(MalformedTest, ResponderRefusesAMissingType) {
  EXPECT_EQ(refused_by_responder(framed(field(2, good_address))), Error::missing_type);
}
TEST_F(MalformedTest, ResponderRefusesAnExchangeThatEndsBeforeSync) {
  EXPECT_EQ(refused_by_responder(framed(message(connect, {good_address}))), Error::truncated);
}
TEST_F(MalformedTest, ResponderRefusesAMessageThatEndsInside) {
  auto cut = framed(message(connect, {good_address}));
  cut.pop_back();
  EXPECT_EQ(refused_by_responder(cut), Error::truncated);
}
TEST_F(MalformedTest, ResponderGivesUpWhenSyncDoesNotCome) {
  b.node.hole_puncher().stop();
  meet();
  world.scheduler.run_for(1s);
  const auto stream = world.open(b, a, dcutr_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, framed(message(connect, {good_address})))));
  world.scheduler.run_for(59s);
  EXPECT_THAT(reports_of_a, IsEmpty());
  world.scheduler.run_for(2s);
  ASSERT_THAT(reports_of_a, SizeIs(1));
  EXPECT_EQ(reports_of_a[0].cause, std::errc::timed_out);
}
TEST_F(MalformedTest, ResponderDialsWhenALateSyncComes) {
  b.node.hole_puncher().stop();
  meet();
  world.scheduler.run_for(1s);
  const auto stream = world.open(b, a, dcutr_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, framed(message(connect, {b.address().bytes()})))));
  world.scheduler.run_for(7s);
  EXPECT_THAT(dials(a, b), IsEmpty());
  ASSERT_TRUE(world.run(support::write_all(stream, framed(message(sync)))));
  const auto written = world.scheduler.now();
  world.scheduler.run_for(100ms);
  ASSERT_THAT(dials(a, b), SizeIs(1));
  EXPECT_EQ(dials(a, b)[0], written + 20ms);
}
TEST_F(MalformedTest, ASecondExchangeBeforeTheFirstHasReachedSyncIsRefused) {
  b.node.hole_puncher().stop();
  meet();
  world.scheduler.run_for(1s);
  const auto first = world.open(b, a, dcutr_protocol);
  const auto second = world.open(b, a, dcutr_protocol);
  EXPECT_EQ(error_of(world.run(support::read_all(second))), std::errc::connection_reset);
  ASSERT_THAT(reports_of_a, SizeIs(1));
  EXPECT_EQ(reports_of_a[0].outcome, Outcome::not_started);
  EXPECT_EQ(reports_of_a[0].cause, Error::already_active);
}

TEST_F(MalformedTest, AFourthExchangeWhileThreeAreDiallingIsRefused) {
  b.node.hole_puncher().stop();
  meet();
  world.scheduler.run_for(1s);
  const auto exchange = [&] {
    const auto stream = world.open(b, a, dcutr_protocol);
    const auto messages = joined({framed(message(connect, {good_address})), framed(message(sync))});
    const auto written = world.run(support::write_all(stream, messages));
    world.scheduler.run_for(100ms);
    return written.has_value();
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(exchange());
  exchange();
  EXPECT_THAT(a.times_of("dcutr.dial"), SizeIs(3));
  ASSERT_THAT(reports_of_a, SizeIs(1));
  EXPECT_EQ(reports_of_a[0].cause, Error::already_active);
  world.scheduler.run_for(10s);
  EXPECT_TRUE(exchange());
  EXPECT_THAT(a.times_of("dcutr.dial"), SizeIs(4));
}

TEST_F(DcutrTest, AStreamOpenedByThePeerThatDialledIsRefused) {
  world.internet.rule = [&](const Syn& syn) {
    return syn.to.address == relay.host.outside() ? Verdict::pass : Verdict::drop;
  };
  meet_and_wait(60s);  // the regular upgrade is over
  reports_of_b.clear();
  const auto stream = world.open(a, b, dcutr_protocol);
  EXPECT_EQ(error_of(world.run(support::read_all(stream))), std::errc::connection_reset);
  ASSERT_THAT(reports_of_b, SizeIs(1));
  EXPECT_EQ(reports_of_b[0].outcome, Outcome::not_started);
  EXPECT_EQ(reports_of_b[0].cause, Error::not_dialled_by_us);
}

TEST_F(DcutrTest, AStreamOnADirectConnectionIsRefused) {
  world.connect(a, relay);
  std::vector<PunchReport> reports;
  relay.node.hole_puncher().on_report([&](const PunchReport& report) { reports.push_back(report); });
  const auto stream = world.open(a, relay, dcutr_protocol);
  EXPECT_EQ(error_of(world.run(support::read_all(stream))), std::errc::connection_reset);
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].cause, Error::not_relayed);
}

}  // namespace
}  // namespace flaresim::dcutr
