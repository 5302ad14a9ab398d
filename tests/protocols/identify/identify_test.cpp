#include "protocols/identify/identify.h"

#include <gmock/gmock.h>

#include "protocols/crypto/envelope.h"
#include "protocols/crypto/peer_record.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::identify {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::field;
using support::framed;
using support::joined;
using support::Peer;
using support::World;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

// Field numbers of the Identify message, libp2p/specs identify/README.md.
enum Field { public_key = 1, listen_addrs = 2, protocols = 3, observed_addr = 4, agent = 6, record = 8 };

Multiaddr address(std::string_view text) { return Multiaddr::from_string(text).value(); }

/// A node that connects to a remote whose side of identify is written by hand.
struct IdentifyTest : testing::Test {
  World world;
  Peer& a = world.add("1.1.1.1");
  Peer& b = world.add("2.2.2.2");

  /// What `a` makes of a remote that answers with these bytes.
  io::Result<> identified(const io::Bytes& bytes) { return identified_by(support::answers(bytes)); }

  io::Result<> identified_by(swarm::StreamHandler handler) {
    b.swarm().handle(std::string(identify_protocol), std::move(handler), swarm::OverLimited::yes);
    const auto report = world.run(a.swarm().dial({b.id(), b.addresses(), true}));
    connection = report.connection;
    began = world.scheduler.now();
    auto result = world.run(a.node.identify().wait_for(connection));
    took = world.scheduler.now() - began;
    return result;
  }
  const swarm::PeerInfo& known() { return a.swarm().peers().find(b.id()); }

  void expect_refused(const io::Bytes& bytes, Error error) {
    const auto result = identified(bytes);
    EXPECT_EQ(error_of(result), error);
    world.scheduler.run_for(1s);
    EXPECT_EQ(connection->streams(), 0u);
    EXPECT_THAT(known().addresses, IsEmpty());
    // The connection has survived, and what was wrong has left nothing behind.
    EXPECT_TRUE(world.run(a.node.ping().ping(connection)));
  }

  swarm::ConnectionPtr connection;
  io::TimePoint began;
  io::Duration took{};
};

TEST_F(IdentifyTest, BothSidesLearnAddressesProtocolsAndAgent) {
  world.connect(a, b);
  for (const auto& [self, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const auto& info = self->swarm().peers().find(other->id());
    EXPECT_THAT(info.addresses, ElementsAre(other->address()));
    EXPECT_EQ(info.protocols(), other->swarm().protocols());
    EXPECT_EQ(info.agent, "flaresim/0.1.0");
  }
}

TEST_F(IdentifyTest, SpeaksTheMessageOfTheSpecification) {
  world.connect(a, b);
  const auto stream = world.open(a, b, identify_protocol);
  const auto bytes = world.run(support::read_all(stream));
  ASSERT_TRUE(bytes);
  // Written by hand: key, address, protocols, where `a` is seen, versions; then the record, whose bytes are signed.
  io::Bytes message = field(1, b.swarm().identity().public_key().to_message());
  io::append(message, field(2, b.address().bytes()));
  for (const auto& protocol : b.swarm().protocols()) io::append(message, field(3, protocol));
  io::append(message, field(4, a.address().bytes()));
  io::append(message, field(5, "ipfs/0.1.0"));
  io::append(message, field(6, "flaresim/0.1.0"));
  const auto length = support::varint(bytes->size() - 2).size();
  ASSERT_GT(bytes->size(), length + message.size());
  EXPECT_EQ(io::Bytes(bytes->begin() + static_cast<int>(length),
                      bytes->begin() + static_cast<int>(length + message.size())),
            message);
  EXPECT_EQ((*bytes)[length + message.size()], 8 << 3 | 2);
}

TEST_F(IdentifyTest, MalformedMessagesAreRefusedByWhatIsWrongWithThem) {
  expect_refused({}, Error::no_message);
}
TEST_F(IdentifyTest, RefusesALengthOfTenBytes) {
  expect_refused(joined({io::Bytes(9, 0x80), io::Bytes(1, 0x01)}), Error::bad_length);
}
TEST_F(IdentifyTest, RefusesAPartAbove8KiB) {
  expect_refused(framed(field(agent, std::string(8193 - 3, 'x'))), Error::part_too_long);
}
TEST_F(IdentifyTest, RefusesAnEleventhPart) {
  io::Bytes parts;
  for (int i = 0; i < 11; ++i) io::append(parts, framed(field(protocols, "/p/" + std::to_string(i))));
  expect_refused(parts, Error::too_many_parts);
}
TEST_F(IdentifyTest, RefusesAMessageThatEndsInside) {
  auto cut = framed(field(agent, "whole"));
  cut.pop_back();
  expect_refused(cut, Error::truncated);
}
TEST_F(IdentifyTest, RefusesASecondPartThatEndsInItsLength) {
  expect_refused(joined({framed(field(agent, "whole")), io::Bytes(1, 0x80)}), Error::truncated);
}
TEST_F(IdentifyTest, RefusesBytesThatAreNoMessage) {
  expect_refused(framed(io::Bytes{0x0a, 0x7f, 0x01}), Error::malformed);
}

TEST_F(IdentifyTest, TakesAnObservedAddressWithoutThePeerThatIsSeenThere) {
  const auto seen_at = address("/ip4/5.5.5.5/tcp/1");
  ASSERT_TRUE(identified(framed(field(observed_addr, seen_at.with_peer(a.id()).bytes()))));
  EXPECT_EQ(known().observed, seen_at);
}

TEST_F(IdentifyTest, GivesUpASilentRemoteAfterFiveSeconds) {
  const auto result = identified_by(support::silence());
  EXPECT_EQ(error_of(result), std::errc::timed_out);
  EXPECT_EQ(took, 5s);
}

TEST_F(IdentifyTest, GivesUpARemoteThatNeverStopsTalking) {
  b.swarm().handle(std::string(identify_protocol), support::answers(io::Bytes(200000, 0)),
                   swarm::OverLimited::yes);
  const auto result = identified(io::Bytes(200000, 0));
  EXPECT_EQ(error_of(result), Error::too_many_parts);  // parts of no bytes
}

TEST_F(IdentifyTest, ATenthPartIsStillRead) {
  io::Bytes parts;
  for (int i = 0; i < 10; ++i) io::append(parts, framed(field(protocols, "/p/" + std::to_string(i))));
  ASSERT_TRUE(identified(parts));
  EXPECT_EQ(known().protocols().size(), 10u);
}

TEST_F(IdentifyTest, AMessageWithoutFieldsTeachesNothing) {
  ASSERT_TRUE(identified(framed({})));
  EXPECT_THAT(known().addresses, IsEmpty());
}

TEST_F(IdentifyTest, OfARepeatedSingleFieldTheLastOneCounts) {
  ASSERT_TRUE(identified(
      joined({framed(joined({field(agent, "one"), field(agent, "two")})), framed(field(agent, "three"))})));
  EXPECT_EQ(known().agent, "three");
}

TEST_F(IdentifyTest, KeepsTheGoodAddressesAmongMalformedOnes) {
  const auto good = address("/ip4/9.9.9.9/tcp/1");
  ASSERT_TRUE(
      identified(framed(joined({field(listen_addrs, io::Bytes{0x04, 0x01}), field(listen_addrs, good.bytes()),
                                field(listen_addrs, "nonsense")}))));
  EXPECT_THAT(known().addresses, ElementsAre(good));
}

TEST_F(IdentifyTest, IgnoresUnknownFieldsAndAKeyThatIsNotTheRemotes) {
  const auto foreign = a.swarm().identity().public_key().to_message();
  ASSERT_TRUE(identified(framed(joined({field(public_key, foreign), field(agent, "x"), field(100, "y")}))));
  EXPECT_EQ(known().agent, "x");
  EXPECT_EQ(a.times_of("identify.key_ignored").size(), 1u);
}

TEST_F(IdentifyTest, PrefersTheAddressesOfAValidRecord) {
  const auto plain = address("/ip4/9.9.9.9/tcp/1");
  const std::vector<Multiaddr> certified(1, address("/ip4/8.8.8.8/tcp/2"));
  const auto sealed = crypto::seal_peer_record(b.swarm().identity(), 1, certified);
  ASSERT_TRUE(
      identified(joined({framed(field(listen_addrs, plain.bytes())), framed(field(record, sealed))})));
  EXPECT_EQ(known().addresses, certified);
}

TEST_F(IdentifyTest, TakesARecordInTheEnvelopeOfRfc0003) {
  const auto certified = address("/ip4/8.8.8.8/tcp/2");
  const auto payload =
      joined({field(1, b.id().bytes()), support::number_field(2, 7), field(3, field(1, certified.bytes()))});
  const crypto::EnvelopePurpose purpose{"libp2p-routing-state", io::as_bytes("/libp2p/routing-state-record")};
  const auto sealed = crypto::seal_envelope(b.swarm().identity(), purpose, payload);
  ASSERT_TRUE(identified(framed(field(record, sealed))));
  EXPECT_THAT(known().addresses, ElementsAre(certified));
}

TEST_F(IdentifyTest, FallsBackToPlainAddressesWhenTheRecordIsNotTheRemotes) {
  const auto plain = address("/ip4/9.9.9.9/tcp/1");
  const std::vector<Multiaddr> certified(1, address("/ip4/8.8.8.8/tcp/2"));
  const auto foreign = crypto::seal_peer_record(a.swarm().identity(), 1, certified);
  ASSERT_TRUE(identified(framed(joined({field(listen_addrs, plain.bytes()), field(record, foreign)}))));
  EXPECT_THAT(known().addresses, ElementsAre(plain));
}

TEST_F(IdentifyTest, FallsBackToPlainAddressesWhenTheRecordDoesNotVerify) {
  const auto plain = address("/ip4/9.9.9.9/tcp/1");
  const std::vector<Multiaddr> certified(1, address("/ip4/8.8.8.8/tcp/2"));
  auto tampered = crypto::seal_peer_record(b.swarm().identity(), 1, certified);
  tampered.back() ^= 1;
  ASSERT_TRUE(identified(framed(joined({field(listen_addrs, plain.bytes()), field(record, tampered)}))));
  EXPECT_THAT(known().addresses, ElementsAre(plain));
  EXPECT_EQ(a.times_of("identify.record_ignored").size(), 1u);
}

TEST_F(IdentifyTest, SendsARecordByItselfWhenTheWholeIsLongAndKeepsBelow4KiB) {
  std::vector<Multiaddr> many;
  for (int i = 0; i < 300; ++i) many.push_back(address("/ip4/8.8.8.8/tcp/" + std::to_string(1000 + i)));
  const auto private_one = address("/ip4/10.0.0.1/tcp/1");
  many.insert(many.begin(), private_one);
  world.connect(a, b);
  b.swarm().addresses().set_listening(many);
  const auto bytes = world.run(support::read_all(world.open(a, b, identify_protocol)));
  ASSERT_TRUE(bytes);
  EXPECT_LE(bytes->size(), 4096u);
  EXPECT_GT(bytes->size(), 3500u);

  // Two parts, and the second is nothing but field 8.
  const std::size_t first =
      static_cast<std::size_t>((*bytes)[0] & 0x7f) | static_cast<std::size_t>((*bytes)[1]) << 7;
  const auto second = io::BytesView(*bytes).subspan(2 + first);
  ASSERT_GT(second.size(), 3u);
  EXPECT_EQ(second[2], 8 << 3 | 2);
  const std::size_t sealed = static_cast<std::size_t>(second[3] & 0x7f) | static_cast<std::size_t>(second[4])
                                                                              << 7;
  EXPECT_EQ(second.size(), 5 + sealed);
  const auto opened = crypto::open_peer_record(second.subspan(5));
  ASSERT_TRUE(opened);
  EXPECT_GT(opened->addresses.size(), 50u);
  EXPECT_THAT(opened->addresses, Not(Contains(private_one)));  // the least useful goes first
}

TEST_F(IdentifyTest, HidesLoopbackFromOthers) {
  world.connect(a, b);
  const auto loopback = address("/ip4/127.0.0.1/tcp/4001");
  b.swarm().addresses().set_listening({loopback, b.address()});
  world.scheduler.run_for(3s);
  EXPECT_THAT(known().addresses, ElementsAre(b.address()));
}

TEST_F(IdentifyTest, PushesChangedAddressesOnceTheyHaveSettled) {
  world.connect(a, b);
  const auto changed_at = world.scheduler.now();
  b.swarm().addresses().set_circuits({address("/ip4/5.5.5.5/tcp/1/p2p-circuit")});
  world.scheduler.run_for(500ms);
  const auto final_circuit = address("/ip4/6.6.6.6/tcp/1/p2p-circuit");
  b.swarm().addresses().set_circuits({final_circuit});
  world.scheduler.run_for(3s);
  const auto received = a.times_of("identify.push.received");
  ASSERT_EQ(received.size(), 1u);
  EXPECT_GE(received[0] - changed_at, 1s);
  EXPECT_LE(received[0] - changed_at, 1100ms);
  EXPECT_THAT(known().addresses, ElementsAre(b.address(), final_circuit));
}

TEST_F(IdentifyTest, TellsOfAPushOnceItIsKnown) {
  const auto circuit = address("/ip4/5.5.5.5/tcp/1/p2p-circuit");
  std::vector<std::vector<Multiaddr>> known_when_told;
  a.node.identify().on_pushed(
      [&](const swarm::ConnectionPtr&) { known_when_told.push_back(known().addresses); });
  world.connect(a, b);
  b.swarm().addresses().set_circuits({circuit});
  world.scheduler.run_for(3s);
  EXPECT_THAT(known_when_told, ElementsAre(ElementsAre(b.address(), circuit)));
}

TEST_F(IdentifyTest, DoesNotPushWhatTheRemoteKnows) {
  world.connect(a, b);
  b.node.identify().announce();
  world.scheduler.run_for(3s);
  EXPECT_THAT(a.times_of("identify.push.received"), IsEmpty());
}

TEST_F(IdentifyTest, DoesNotPushToPeersThatDoNotListenToIt) {
  a.swarm().unhandle(push_protocol);
  world.connect(a, b);
  b.swarm().addresses().set_circuits({address("/ip4/5.5.5.5/tcp/1/p2p-circuit")});
  world.scheduler.run_for(3s);
  EXPECT_THAT(b.times_of("identify.push.sent"), IsEmpty());
}

TEST_F(IdentifyTest, APartialPushKeepsWhatItDoesNotMention) {
  world.connect(a, b);
  const auto stream = world.open(b, a, push_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, framed(field(protocols, "/only/this")))));
  ASSERT_TRUE(world.run(stream->close_write()));
  world.scheduler.run_for(1s);
  EXPECT_THAT(known().protocols(), ElementsAre("/only/this"));
  EXPECT_THAT(known().addresses, ElementsAre(b.address()));
  EXPECT_EQ(known().agent, "flaresim/0.1.0");
}

TEST_F(IdentifyTest, AMalformedPushIsResetAndChangesNothing) {
  world.connect(a, b);
  const auto stream = world.open(b, a, push_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, framed(io::Bytes{0x1a, 0x05, 'x'}))));
  ASSERT_TRUE(world.run(stream->close_write()));
  const auto end = world.run(support::read_all(stream));
  EXPECT_EQ(error_of(end), std::errc::connection_reset);
  EXPECT_EQ(known().protocols(), b.swarm().protocols());
}

/// The end of a push of these bytes from `b`.
struct PushTest : IdentifyTest {
  io::Result<io::Bytes> push(const io::Bytes& bytes) {
    const auto stream = world.open(b, a, push_protocol);
    // A stream that is refused may be reset before anything is written.
    (void)world.run(support::write_all(stream, bytes));
    (void)world.run(stream->close_write());
    return world.run(support::read_all(stream));
  }
  io::Result<io::Bytes> push_agent(const std::string& name) { return push(framed(field(agent, name))); }
};

TEST_F(PushTest, AnEleventhAtOnceIsResetAndChangesNothing) {
  world.connect(a, b);
  for (int i = 1; i <= 10; ++i) EXPECT_TRUE(push_agent(std::to_string(i)));
  const auto refused = push_agent("11");
  EXPECT_EQ(error_of(refused), std::errc::connection_reset);
  EXPECT_EQ(known().agent, "10");
  EXPECT_EQ(a.times_of("identify.push.refused").size(), 1u);
  world.scheduler.run_for(5s);
  EXPECT_TRUE(push_agent("12"));
  EXPECT_EQ(known().agent, "12");
  EXPECT_EQ(a.swarm().connection_to(b.id())->streams(), 0u);
}

TEST_F(PushTest, OneThatIsNoMessageCountsToo) {
  world.connect(a, b);
  for (int i = 1; i <= 10; ++i) EXPECT_FALSE(push(io::Bytes{0x80}));
  EXPECT_FALSE(push_agent("11"));
  EXPECT_EQ(known().agent, "flaresim/0.1.0");
}

TEST_F(PushTest, NeighboursShareTheirLimit) {
  auto& neighbour = world.add("2.2.2.3");
  auto& stranger = world.add("2.2.3.2");
  world.connect(a, b);
  world.connect(neighbour, a);
  world.connect(stranger, a);
  for (int i = 1; i <= 10; ++i) EXPECT_TRUE(push_agent(std::to_string(i)));
  for (auto* peer : {&neighbour, &stranger}) {
    peer->swarm().addresses().set_circuits({address("/ip4/5.5.5.5/tcp/1/p2p-circuit")});
  }
  world.scheduler.run_for(3s);
  EXPECT_EQ(a.swarm().peers().find(neighbour.id()).addresses, neighbour.addresses());
  EXPECT_EQ(a.swarm().peers().find(stranger.id()).addresses.size(), 2u);
}

/// What `a` keeps of what a remote says whom it sees there.
struct ScopeTest : testing::Test {
  std::vector<Multiaddr> kept(const std::string& seen_at, const std::vector<std::string>& told, bool keep) {
    World world;
    node::NodeProfile profile;
    profile.identify.keep_narrower_addresses = keep;
    auto& a = world.add("1.1.1.1", "", profile);
    auto& b = world.add(seen_at);
    io::Bytes message;
    for (const auto& each : told) io::append(message, field(listen_addrs, address(each).bytes()));
    b.swarm().handle(std::string(identify_protocol), support::answers(framed(message)),
                     swarm::OverLimited::yes);
    world.connect(a, b);
    return a.swarm().peers().find(b.id()).addresses;
  }
  static std::vector<Multiaddr> addresses(const std::vector<std::string>& texts) {
    std::vector<Multiaddr> out;
    for (const auto& text : texts) out.push_back(address(text));
    return out;
  }

  const std::string in_public = "/ip4/2.2.2.2/tcp/1";
  const std::string in_private = "/ip4/10.0.0.7/tcp/1";
  const std::string on_loopback = "/ip4/127.0.0.1/tcp/1";
  const std::string over_public_relay = "/ip4/3.3.3.3/tcp/1/p2p-circuit";
  const std::string over_private_relay = "/ip4/10.0.0.8/tcp/1/p2p-circuit";
  const std::string name = "/dns4/example.org/tcp/1";
  const std::vector<std::string> all{in_public,         in_private,         on_loopback,
                                     over_public_relay, over_private_relay, name};
};

TEST_F(ScopeTest, AllIsKeptUnlessTheProfileSaysOtherwise) {
  EXPECT_TRUE(IdentifyProfile().keep_narrower_addresses);
  EXPECT_EQ(kept("2.2.2.2", all, true), addresses(all));
  EXPECT_EQ(kept("10.0.0.7", all, true), addresses(all));
}

TEST_F(ScopeTest, OfAPublicRemoteOnlyPublicAddressesAndNamesAreKept) {
  EXPECT_EQ(kept("2.2.2.2", all, false), addresses({in_public, over_public_relay, name}));
}

TEST_F(ScopeTest, OfAPrivateRemoteAllButLoopbackIsKept) {
  EXPECT_EQ(kept("10.0.0.7", all, false),
            addresses({in_public, in_private, over_public_relay, over_private_relay, name}));
}

TEST_F(ScopeTest, OfARemoteOnLoopbackAllIsKept) { EXPECT_EQ(kept("127.0.0.2", all, false), addresses(all)); }

TEST_F(ScopeTest, APublicRemoteThatTellsOnlyPrivateAddressesHasNone) {
  EXPECT_EQ(kept("2.2.2.2", {in_private, on_loopback}, false), addresses({}));
}

TEST_F(ScopeTest, OverAPublicRelayThePrivateAddressesAreLost) {
  for (const bool keep : {true, false}) {
    World world;
    node::NodeProfile profile;
    profile.identify.keep_narrower_addresses = keep;
    auto& relay = world.add("1.1.1.1");
    auto& a = world.add("10.0.0.1", "2.2.2.1", profile);
    auto& b = world.add("10.0.0.2", "2.2.2.1", {}, 4002);
    a.host.raise_firewall();
    b.host.raise_firewall();
    b.node.hole_puncher().stop();
    ASSERT_TRUE(world.connect_through(relay, a, b));
    world.scheduler.run_for(1s);
    const auto& known = a.swarm().peers().find(b.id()).addresses;
    const auto private_one = address("/ip4/10.0.0.2/tcp/4002");
    EXPECT_EQ(std::ranges::count(known, private_one), keep ? 1 : 0);
  }
}

TEST_F(IdentifyTest, WaitingOnADeadConnectionFailsAtOnce) {
  const auto dead = world.connect(a, b);
  dead->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.run_for(1s);
  const auto result = world.run(a.node.identify().wait_for(dead));
  EXPECT_EQ(error_of(result), Error::connection_lost);
}

TEST(ObservedAddresses, AreAdvertisedFromFourObserversOnAndPunchableFromOne) {
  World world;
  auto& behind = world.add("10.0.0.2", "7.7.7.7");
  const auto outside = behind.address();
  for (int observers = 1; observers <= 4; ++observers) {
    auto& observer = world.add("1.1.1." + std::to_string(observers));
    world.connect(behind, observer);
    EXPECT_THAT(behind.swarm().addresses().punchable(), ElementsAre(outside)) << observers;
    if (observers < 4) {
      EXPECT_THAT(behind.swarm().addresses().advertised(), Not(Contains(outside))) << observers;
    } else {
      EXPECT_THAT(behind.swarm().addresses().advertised(), Contains(outside));
    }
  }
  // The first one hears of it by a push.
  world.scheduler.run_for(3s);
  EXPECT_THAT(world.peers[1]->swarm().peers().find(behind.id()).addresses, Contains(outside));
}

TEST(ObservedAddresses, AreForgottenWithTheConnection) {
  World world;
  auto& behind = world.add("10.0.0.2", "7.7.7.7");
  auto& observer = world.add("1.1.1.1");
  const auto connection = world.connect(behind, observer);
  ASSERT_THAT(behind.swarm().addresses().punchable(), ElementsAre(behind.address()));
  connection->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.run_for(1s);
  EXPECT_THAT(behind.swarm().addresses().punchable(), IsEmpty());
}

}  // namespace
}  // namespace flaresim::identify
