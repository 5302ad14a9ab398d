#include "protocols/relay/relay_service.h"

#include <gmock/gmock.h>

#include "protocols/crypto/envelope.h"
#include "protocols/relay/circuit.h"
#include "protocols/relay/relay_client.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::relay {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using support::field;
using support::framed;
using support::joined;
using support::number_field;
using support::Peer;
using support::start;
using support::World;
using testing::ElementsAre;
using testing::IsEmpty;

// The wire by hand: libp2p/specs relay/circuit-v2.md, "Protobuf".
const io::Bytes reserve_message = number_field(1, 0);
io::Bytes connect_message(io::BytesView peer) {
  return joined({number_field(1, 1), field(2, field(1, peer))});
}
io::Bytes hop_status_message(std::uint64_t status) {
  return joined({number_field(1, 2), number_field(5, status)});
}
io::Bytes stop_connect_message(io::BytesView peer) {
  return joined({number_field(1, 0), field(2, field(1, peer))});
}
io::Bytes stop_status_message(std::uint64_t status) {
  return joined({number_field(1, 1), number_field(4, status)});
}

struct RelayTest : testing::Test {
  /// The status that the relay answers to this message of `from`; -1 when it resets.
  int asked(Peer& from, const io::Bytes& message) { return asked_framed(from, framed(message)); }
  int asked_framed(Peer& from, const io::Bytes& bytes) {
    const auto stream = world.open(from, relay, hop_protocol);
    EXPECT_TRUE(world.run(support::write_all(stream, bytes)));
    const auto reply = world.run(support::read_frame(stream));
    if (!reply) return -1;
    // STATUS first, the status itself last or before nothing else: small numbers in varints of two bytes.
    for (int status : {100, 200, 201, 202, 203, 204, 400, 401}) {
      if (*reply == hop_status_message(static_cast<std::uint64_t>(status))) return status;
    }
    EXPECT_GT(reply->size(), 2u);
    EXPECT_EQ((*reply)[1], 2);
    return 100;  // with a reservation or a limit
  }
  Peer& add_user(int number) {
    return world.add("3.3." + std::to_string(number / 200) + "." + std::to_string(number % 200 + 1));
  }
  Reservation reserve(Peer& peer) {
    auto reservation = world.run(peer.node.relay_client().reserve(relay.id(), relay.addresses()));
    EXPECT_TRUE(reservation) << reservation.error().message();
    world.scheduler.run_for(1s);
    return reservation.value();
  }
  Multiaddr circuit() { return relay.address().with_peer(relay.id()).encapsulate(Multiaddr::circuit()); }
  swarm::DialReport dial_through(Peer& from, const multiformats::PeerId& to) {
    return world.run(from.swarm().dial({to, std::vector<Multiaddr>(1, circuit()), false}));
  }
  const RelayCounters& counters() { return service.counters(); }

  World world;
  Peer& relay = world.add("1.1.1.1");
  Peer& a = world.add("2.2.2.1");
  Peer& b = world.add("2.2.2.2");
  RelayService& service = relay.node.start_relay_service();
};

/// A circuit as raw bytes: both ends speak hop and stop by hand, so that every byte is a circuit's.
struct RawCircuit {
  io::StreamPtr source;
  io::StreamPtr target;
};

struct CircuitTest : RelayTest {
  /// `a` to `b`, whose stop handler hands over its stream.
  RawCircuit open() {
    world.connect(a, relay);
    reserve(b);
    b.swarm().handle(std::string(stop_protocol),
                     [this](swarm::IncomingStream in) { return take(in.stream, &target); });
    const auto source = world.open(a, relay, hop_protocol);
    EXPECT_TRUE(world.run(support::write_all(source, framed(connect_message(b.id().bytes())))));
    const auto reply = world.run(support::read_frame(source));
    EXPECT_TRUE(reply);
    opened_at = world.scheduler.now() - 10ms;  // when the relay wrote its answer
    return {source, target};
  }
  static io::Task<> take(io::StreamPtr stream, io::StreamPtr* to) {
    const auto request = co_await io::read_delimited(*stream, 4096);
    if (!request) co_return;
    const auto answer = framed(stop_status_message(100));
    co_await stream->write(answer);
    *to = stream;
  }
  /// Counts what arrives until the stream ends or fails.
  struct Arrived {
    std::uint64_t bytes = 0;
    std::optional<std::error_code> end;
    io::TimePoint at{};
  };
  static io::Task<> count(io::Scheduler* scheduler, io::StreamPtr stream, Arrived* arrived) {
    std::array<std::uint8_t, 1000> chunk;
    for (;;) {
      const auto got = co_await stream->read(chunk);
      if (!got || *got == 0) {
        arrived->end = got ? std::error_code() : got.error();
        arrived->at = scheduler->now();
        co_return;
      }
      arrived->bytes += *got;
    }
  }
  void count(const io::StreamPtr& stream, Arrived& arrived) {
    io::spawn(world.scheduler.executor(), count(&world.scheduler, stream, &arrived));
  }

  io::StreamPtr target;
  io::TimePoint opened_at;
};

constexpr std::size_t limit_bytes = 131072;

// Reservations

TEST_F(RelayTest, AReservationLastsAnHourAndIsAdvertised) {
  const auto reservation = reserve(b);
  EXPECT_EQ(service.reservations(), 1u);
  const auto left = reservation.expires - world.scheduler.calendar();
  EXPECT_LE(left, 1h);
  EXPECT_GT(left, 1h - 3s);
  EXPECT_EQ(reservation.limit.duration, 120s);
  EXPECT_EQ(reservation.limit.bytes, limit_bytes);
  EXPECT_THAT(reservation.addresses, ElementsAre(relay.address().with_peer(relay.id())));
  EXPECT_THAT(b.swarm().addresses().circuits(), ElementsAre(circuit()));
  ASSERT_TRUE(reservation.voucher);
  EXPECT_EQ(reservation.voucher->relay, relay.id());
  EXPECT_EQ(reservation.voucher->peer, b.id());
  EXPECT_EQ(reservation.voucher->expires, reservation.expires);
}

TEST_F(RelayTest, AskingAgainRenewsAndTakesNoSecondPlace) {
  std::vector<multiformats::PeerId> told;
  b.node.relay_client().on_reserved(
      [&](const Reservation& reservation) { told.push_back(reservation.relay); });
  const auto first = reserve(b);
  world.scheduler.run_for(10min);
  const auto second = reserve(b);
  EXPECT_THAT(told, ElementsAre(relay.id()));
  EXPECT_EQ(service.reservations(), 1u);
  EXPECT_GE(second.expires - first.expires, 10min);
}

TEST_F(RelayTest, IsRenewedBetween58And59MinutesAndOutlivesItsFirstHour) {
  reserve(b);
  world.scheduler.run_for(58min - 5s);
  EXPECT_EQ(counters().reservations_granted, 1u);
  world.scheduler.run_for(1min + 10s);
  EXPECT_EQ(counters().reservations_granted, 2u);
  world.scheduler.run_for(30min);
  EXPECT_EQ(service.reservations(), 1u);
}

TEST_F(RelayTest, EndsWithTheLastDirectConnectionAndBothSidesKnow) {
  std::error_code why;
  b.node.relay_client().on_lost([&](const multiformats::PeerId&, std::error_code reason) { why = reason; });
  reserve(b);
  b.swarm().connection_to(relay.id())->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.run_for(1s);
  EXPECT_EQ(service.reservations(), 0u);
  EXPECT_THAT(b.node.relay_client().reservations(), IsEmpty());
  EXPECT_THAT(b.swarm().addresses().circuits(), IsEmpty());
  EXPECT_EQ(why, Error::connection_lost);
  // And who asks for that peer now is told so.
  world.connect(a, relay);
  EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 204);
}

TEST_F(RelayTest, ExpiresToTheInstantWhenNobodyRenewsIt) {
  world.connect(b, relay);
  EXPECT_EQ(asked(b, reserve_message), 100);
  const auto granted_at = relay.times_of("reserve.granted").at(0);
  world.scheduler.run_for(granted_at + 1h - 1ns - world.scheduler.now());
  EXPECT_EQ(service.reservations(), 1u);
  world.scheduler.run_for(1ns);
  EXPECT_EQ(service.reservations(), 0u);
}

TEST_F(RelayTest, ReleasingStopsAdvertisingAndRenewing) {
  reserve(b);
  b.node.relay_client().release(relay.id());
  EXPECT_THAT(b.swarm().addresses().circuits(), IsEmpty());
  world.scheduler.run_for(2h);
  EXPECT_EQ(counters().reservations_granted, 1u);
  EXPECT_EQ(service.reservations(), 0u);
}

TEST_F(RelayTest, ARefusedRenewalLosesTheReservation) {
  std::error_code why;
  b.node.relay_client().on_lost([&](const multiformats::PeerId&, std::error_code reason) { why = reason; });
  reserve(b);
  relay.swarm().handle(std::string(hop_protocol), support::replies(framed(hop_status_message(200))));
  world.scheduler.run_for(1h);
  EXPECT_EQ(why, Status::reservation_refused);
  EXPECT_THAT(b.node.relay_client().reservations(), IsEmpty());
}

TEST_F(RelayTest, TheNinthReservationFromOneIpv4AddressIsRefused) {
  // Nine peers in one household, with one outside address.
  for (int i = 0; i < 9; ++i) {
    auto& user =
        world.add("10.0.0." + std::to_string(i + 1), "3.3.3.3", {}, static_cast<std::uint16_t>(5000 + i));
    const auto result = world.run(user.node.relay_client().reserve(relay.id(), relay.addresses()));
    EXPECT_EQ(result.has_value(), i < 8) << i;
    if (!result) {
      EXPECT_EQ(error_of(result), Status::reservation_refused);
    }
  }
  EXPECT_EQ(service.reservations(), 8u);
}

TEST(Ipv6Relay, CountsAddressesOfOneSiteAsOne) {
  World world;
  auto& relay = world.add("2600:1::1");
  relay.node.start_relay_service();
  const auto reserved = [&](const std::string& address) {
    return world.run(world.add(address).node.relay_client().reserve(relay.id(), relay.addresses()))
        .has_value();
  };
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(reserved("2600:2:0:" + std::to_string(i) + "::1")) << i;
  EXPECT_FALSE(reserved("2600:2:0:ff::1"));
  EXPECT_TRUE(reserved("2600:2:0:100::1"));  // the next /56
}

TEST_F(RelayTest, The129thReservationIsRefused) {
  for (int i = 0; i < 128; ++i) reserve(add_user(i));
  EXPECT_EQ(service.reservations(), 128u);
  auto& late = add_user(128);
  const auto refused = world.run(late.node.relay_client().reserve(relay.id(), relay.addresses()));
  EXPECT_EQ(error_of(refused), Status::reservation_refused);
  EXPECT_EQ(counters().refused.at(Status::reservation_refused), 1u);
  // A renewal needs no new place.
  reserve(*world.peers[3]);
  EXPECT_EQ(service.reservations(), 128u);
}

// Statuses, each from the situation that the specification and go-libp2p give it for.

TEST(OverloadedRelay, AskedTenTimesWhatItMayGrantKeepsToItsLimitsAndSaysWhy) {
  World world;
  node::NodeProfile profile;
  profile.relay.service.max_reservations = 4;
  profile.relay.service.max_circuits_per_peer = 2;
  auto& relay = world.add("1.1.1.1", "", profile);
  auto& service = relay.node.start_relay_service();
  std::vector<support::Started<io::Result<Reservation>>> asked;
  for (int i = 0; i < 40; ++i) {
    auto& user = world.add("3.3.3." + std::to_string(i + 1));
    asked.push_back(start(world.scheduler, user.node.relay_client().reserve(relay.id(), relay.addresses())));
    world.scheduler.run_for(20ms);  // so that no connection is refused for being one of too many handshakes
  }
  for (int i = 0; i < 500; ++i) {
    world.scheduler.run_for(10ms);
    ASSERT_LE(service.reservations(), 4u);
  }
  Peer* target = nullptr;
  std::size_t granted = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_TRUE(asked[i].done());
    if (asked[i].value()) {
      target = world.peers[i + 1].get();
      ++granted;
    } else {
      EXPECT_EQ(error_of(asked[i].value()), Status::reservation_refused);
    }
  }
  EXPECT_EQ(granted, 4u);
  EXPECT_EQ(service.counters().refused.at(Status::reservation_refused), 36u);

  // Twenty circuits to one of them, who may have two.
  ASSERT_TRUE(target);
  const auto circuit = relay.address().with_peer(relay.id()).encapsulate(Multiaddr::circuit());
  std::vector<support::Started<swarm::DialReport>> dials;
  for (std::size_t i = 1; i < world.peers.size() && dials.size() < 20; ++i) {
    auto& from = *world.peers[i];
    if (&from == target) continue;
    dials.push_back(
        start(world.scheduler, from.swarm().dial({target->id(), std::vector<Multiaddr>(1, circuit), false})));
  }
  for (int i = 0; i < 500; ++i) {
    world.scheduler.run_for(10ms);
    ASSERT_LE(service.circuits(), 2u);
  }
  EXPECT_EQ(service.counters().circuits_opened, 2u);
  EXPECT_EQ(service.counters().refused.at(Status::resource_limit_exceeded), 18u);
}

TEST_F(RelayTest, PeersWithAReservationAreTaggedAsLongAsItLasts) {
  reserve(b);
  EXPECT_EQ(relay.swarm().tags().value(b.id()), 10);
  for (const auto& connection : b.swarm().connections()) connection->close(swarm::Error::duplicate);
  world.scheduler.run_for(1s);
  EXPECT_EQ(relay.swarm().tags().value(b.id()), 0);
}

TEST_F(RelayTest, MalformedRequestsAre400) {
  world.connect(a, relay);
  EXPECT_EQ(asked(a, io::Bytes{0x0a, 0x7f, 0x00}), 400);                        // no message
  EXPECT_EQ(asked(a, {}), 400);                                                 // no type
  EXPECT_EQ(asked(a, number_field(1, 7)), 400);                                 // unknown type
  EXPECT_EQ(asked(a, hop_status_message(100)), 400);                            // not for a relay
  EXPECT_EQ(asked(a, number_field(1, 1)), 400);                                 // CONNECT to nobody
  EXPECT_EQ(asked(a, connect_message({})), 400);                                // CONNECT to an empty id
  EXPECT_EQ(asked(a, connect_message(io::as_bytes("garbage"))), 400);           // CONNECT to garbage
  EXPECT_EQ(asked_framed(a, support::varint(4097)), 400);                       // longer than 4096 bytes
  EXPECT_EQ(asked_framed(a, joined({io::Bytes(9, 0x80), io::Bytes{1}})), 400);  // a length of ten bytes
  EXPECT_EQ(counters().refused.at(Status::malformed_message), 9u);
  world.scheduler.run_for(1s);
  EXPECT_EQ(relay.swarm().connection_to(a.id())->streams(), 0u);
  EXPECT_EQ(service.circuits(), 0u);
  EXPECT_EQ(service.reservations(), 0u);
}

TEST_F(RelayTest, ARequestThatEndsInsideIsReset) {
  world.connect(a, relay);
  const auto stream = world.open(a, relay, hop_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, io::Bytes{0x05, 0x08})));
  ASSERT_TRUE(world.run(stream->close_write()));
  const auto end = world.run(support::read_all(stream));
  EXPECT_EQ(error_of(end), std::errc::connection_reset);
}

TEST_F(RelayTest, ARequestThatNeverComesIsResetAfterAMinute) {
  world.connect(a, relay);
  const auto stream = world.open(a, relay, hop_protocol);
  const auto began = world.scheduler.now();
  EXPECT_FALSE(world.run(support::read_all(stream)));
  EXPECT_NEAR(std::chrono::duration<double>(world.scheduler.now() - began).count(), 60.0, 0.025);
}

TEST_F(RelayTest, UnknownFieldsAreIgnored) {
  world.connect(a, relay);
  EXPECT_EQ(asked(a, joined({reserve_message, number_field(100, 5), field(101, "later")})), 100);
}

TEST_F(RelayTest, ConnectingToAPeerWithoutReservationIs204) {
  world.connect(a, relay);
  world.connect(b, relay);
  EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 204);
  EXPECT_EQ(asked(a, connect_message(relay.id().bytes())), 204);
  EXPECT_EQ(asked(a, connect_message(a.id().bytes())), 204);
}

TEST_F(RelayTest, WhomTheRulesDoNotAllowIs202) {
  World other;
  auto& strict = other.add("1.1.1.1");
  auto& user = other.add("2.2.2.1");
  auto& target = other.add("2.2.2.2");
  RelayAcl acl;
  acl.may_reserve = [&](const multiformats::PeerId& peer, const Multiaddr&) { return peer != user.id(); };
  acl.may_connect = [&](const multiformats::PeerId& source, const multiformats::PeerId&) {
    return source != user.id();
  };
  strict.node.start_relay_service(acl);
  const auto refused = other.run(user.node.relay_client().reserve(strict.id(), strict.addresses()));
  EXPECT_EQ(error_of(refused), Status::permission_denied);
  ASSERT_TRUE(other.run(target.node.relay_client().reserve(strict.id(), strict.addresses())));
  const auto through = strict.address().with_peer(strict.id()).encapsulate(Multiaddr::circuit());
  const auto dial = other.run(
      user.swarm().dial({target.id(), std::vector<Multiaddr>(1, through), false, std::nullopt, 20s}));
  ASSERT_EQ(dial.failures.size(), 1u);
  EXPECT_EQ(dial.failures[0].why, Status::permission_denied);
}

TEST_F(RelayTest, RequestsThroughAnotherRelayAre202) {
  // `a` reaches `b` through the relay, and `b` is a relay itself.
  b.node.start_relay_service();
  a.swarm().handle("/none", support::silence());
  const auto relayed = world.connect_through(relay, a, b);
  ASSERT_TRUE(relayed);
  for (const auto& message : {reserve_message, connect_message(relay.id().bytes())}) {
    auto opened = world.run(relayed->open_stream(std::vector<std::string>(1, std::string(hop_protocol))));
    ASSERT_TRUE(opened);
    ASSERT_TRUE(world.run(support::write_all(opened->stream, framed(message))));
    EXPECT_EQ(world.run(support::read_frame(opened->stream)).value(), hop_status_message(202));
  }
  EXPECT_EQ(b.node.relay_service()->reservations(), 0u);
}

TEST_F(RelayTest, The17thCircuitOfAPeerIs201) {
  reserve(b);
  b.swarm().handle(std::string(stop_protocol), support::silence());
  world.connect(a, relay);
  std::vector<io::StreamPtr> held;
  for (int i = 0; i < 16; ++i) {
    held.push_back(world.open(a, relay, hop_protocol));
    ASSERT_TRUE(world.run(support::write_all(held.back(), framed(connect_message(b.id().bytes())))));
  }
  world.scheduler.run_for(1s);
  EXPECT_EQ(service.circuits(), 16u);
  EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 201);
  // The target has as many: others cannot reach it either.
  auto& c = world.add("2.2.2.3");
  world.connect(c, relay);
  EXPECT_EQ(asked(c, connect_message(b.id().bytes())), 201);
  world.scheduler.run_for(70s);  // the target never answers
  EXPECT_EQ(service.circuits(), 0u);
}

struct StopAnswer {
  std::string name;
  io::Bytes bytes;
};

TEST_F(RelayTest, ATargetThatDoesNotTakeTheCircuitIs203) {
  reserve(b);
  world.connect(a, relay);
  const std::vector<StopAnswer> answers{
      {"refuses", framed(stop_status_message(203))},
      {"unknown status", framed(stop_status_message(999))},
      {"no status", framed(number_field(1, 1))},
      {"CONNECT back", framed(stop_connect_message(a.id().bytes()))},
      {"no message", framed(io::Bytes{0x0a, 0x7f})},
      {"no type", framed({})},
      {"too long", support::varint(4097)},
      {"length of ten bytes", joined({io::Bytes(9, 0x80), io::Bytes{1}})},
  };
  for (const auto& answer : answers) {
    SCOPED_TRACE(answer.name);
    b.swarm().handle(std::string(stop_protocol), support::replies(answer.bytes));
    EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 203);
    world.scheduler.run_for(1s);
    EXPECT_EQ(service.circuits(), 0u);
    EXPECT_EQ(relay.swarm().connection_to(b.id())->streams(), 0u);
    EXPECT_EQ(relay.swarm().connection_to(a.id())->streams(), 0u);
  }
  b.swarm().unhandle(stop_protocol);
  EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 203);
  EXPECT_EQ(counters().refused.at(Status::connection_failed), answers.size() + 1);
  EXPECT_EQ(service.reservations(), 1u);
}

TEST_F(RelayTest, ASilentTargetIs203AfterAMinute) {
  reserve(b);
  world.connect(a, relay);
  b.swarm().handle(std::string(stop_protocol), support::silence());
  const auto began = world.scheduler.now();
  EXPECT_EQ(asked(a, connect_message(b.id().bytes())), 203);
  EXPECT_NEAR(std::chrono::duration<double>(world.scheduler.now() - began).count(), 60.0, 0.1);
  EXPECT_EQ(service.circuits(), 0u);
}

// The stop side, as the target answers it.

struct StopTest : RelayTest {
  int answered_framed(const io::Bytes& bytes) {
    const auto stream = world.open(relay, b, stop_protocol);
    EXPECT_TRUE(world.run(support::write_all(stream, bytes)));
    const auto reply = world.run(support::read_frame(stream));
    if (!reply) return -1;
    for (int status : {100, 202, 203, 400, 401}) {
      if (*reply == stop_status_message(static_cast<std::uint64_t>(status))) return status;
    }
    return 0;
  }
  int answered(const io::Bytes& message) { return answered_framed(framed(message)); }
};

TEST_F(StopTest, AnswersMalformedRequestsWith400AndOthersWith401) {
  world.connect(relay, b);
  EXPECT_EQ(answered(stop_status_message(100)), 401);
  EXPECT_EQ(answered(number_field(1, 0)), 400);                        // from nobody
  EXPECT_EQ(answered(stop_connect_message({})), 400);                  // from an empty id
  EXPECT_EQ(answered(stop_connect_message(io::as_bytes("xx"))), 400);  // from garbage
  EXPECT_EQ(answered({}), 400);                                        // no type
  EXPECT_EQ(answered(io::Bytes{0x12, 0x70}), 400);                     // no message
  EXPECT_EQ(answered_framed(support::varint(4097)), 400);
  EXPECT_EQ(answered_framed(joined({io::Bytes(9, 0x80), io::Bytes{1}})), 400);
  world.scheduler.run_for(1s);
  EXPECT_EQ(b.swarm().connection_to(relay.id())->streams(), 0u);
  EXPECT_EQ(b.swarm().connections().size(), 1u);
}

TEST(Stop, CircuitsAreNotNestedSoOneThatComesThroughACircuitIs202) {
  World world;
  node::NodeProfile unlimited;
  unlimited.relay.service.limit = {};
  auto& relay = world.add("1.1.1.1", "", unlimited);
  auto& a = world.add("2.2.2.1");
  auto& b = world.add("10.0.0.2", "2.2.2.2");
  b.host.raise_firewall();
  const auto relayed = world.connect_through(relay, a, b);
  ASSERT_TRUE(relayed);
  ASSERT_FALSE(relayed->limited());  // over a limited one, stop is not spoken at all
  auto opened = world.run(relayed->open_stream(std::vector<std::string>(1, std::string(stop_protocol))));
  ASSERT_TRUE(opened);
  ASSERT_TRUE(
      world.run(support::write_all(opened->stream, framed(stop_connect_message(relay.id().bytes())))));
  EXPECT_EQ(world.run(support::read_frame(opened->stream)).value(), stop_status_message(202));
}

TEST_F(StopTest, ACircuitThatComesAfterTheClientHasStoppedIs203) {
  world.connect(relay, b);
  auto stream = world.open(relay, b, stop_protocol);
  b.node.relay_client().stop();
  ASSERT_TRUE(world.run(support::write_all(stream, framed(stop_connect_message(a.id().bytes())))));
  EXPECT_EQ(world.run(support::read_frame(stream)).value(), stop_status_message(203));
  stream = nullptr;  // the relay hangs up as well
  world.scheduler.run_for(1s);
  EXPECT_EQ(b.swarm().connection_to(relay.id())->streams(), 0u);
}

TEST_F(StopTest, ACircuitThatCarriesNoHandshakeIsDroppedInTime) {
  world.connect(relay, b);
  const auto stream = world.open(relay, b, stop_protocol);
  ASSERT_TRUE(world.run(support::write_all(stream, framed(stop_connect_message(a.id().bytes())))));
  EXPECT_EQ(world.run(support::read_frame(stream)).value(), stop_status_message(100));
  EXPECT_FALSE(world.run(support::read_all(stream)));  // multistream header, then reset
  EXPECT_EQ(b.swarm().connections().size(), 1u);
}

TEST_F(StopTest, ACircuitIsKnownByItsRelayAndLimitedWhenTheRelaySaysSo) {
  world.internet.rule = [&](const support::Syn& syn) {
    return syn.to.address == relay.host.outside() ? support::Verdict::pass : support::Verdict::drop;
  };
  const auto relayed = world.connect_through(relay, a, b);
  ASSERT_TRUE(relayed);
  world.scheduler.run_for(100ms);
  const auto inbound = b.swarm().connection_to(a.id());
  ASSERT_TRUE(inbound);
  EXPECT_EQ(inbound->facts().remote_address, circuit());
  EXPECT_EQ(inbound->facts().direction, swarm::Direction::inbound);
  EXPECT_TRUE(inbound->relayed());
  EXPECT_TRUE(inbound->limited());
  EXPECT_TRUE(relayed->limited());
  EXPECT_EQ(relayed->facts().limit.bytes, limit_bytes);
  EXPECT_EQ(relayed->facts().limit.duration, 120s);
  EXPECT_TRUE(world.run(a.node.identify().wait_for(relayed)));
  // What a peer sees through the relay is the relay's address: nothing is learnt from it.
  world.scheduler.run_for(1s);
  EXPECT_THAT(b.swarm().addresses().punchable(), ElementsAre(b.address()));
}

TEST(Relay, WithoutLimitsItsCircuitsAreNotLimited) {
  World world;
  node::NodeProfile generous;
  generous.relay.service.limit = {};
  auto& relay = world.add("1.1.1.1", "", generous);
  auto& a = world.add("10.0.0.1", "2.2.2.1");
  auto& b = world.add("10.0.0.2", "2.2.2.2");
  a.host.raise_firewall();
  b.host.raise_firewall();
  world.internet.rule = [&](const support::Syn& syn) {
    return syn.to.address == relay.host.outside() ? support::Verdict::pass : support::Verdict::drop;
  };
  const auto relayed = world.connect_through(relay, a, b);
  ASSERT_TRUE(relayed);
  EXPECT_FALSE(relayed->limited());
  world.scheduler.run_for(10min);
  EXPECT_FALSE(relayed->closed());
}

// Circuits

TEST_F(CircuitTest, CarriesBothDirections) {
  const auto circuit = open();
  EXPECT_EQ(service.circuits(), 1u);
  ASSERT_TRUE(world.run(support::write_all(circuit.source, io::to_bytes("to b"))));
  ASSERT_TRUE(world.run(support::write_all(circuit.target, io::to_bytes("to a!"))));
  io::Bytes at_b(4);
  io::Bytes at_a(5);
  ASSERT_TRUE(world.run(io::read_exactly(*circuit.target, at_b)));
  ASSERT_TRUE(world.run(io::read_exactly(*circuit.source, at_a)));
  EXPECT_EQ(io::as_text(at_b), "to b");
  EXPECT_EQ(io::as_text(at_a), "to a!");
}

TEST_F(CircuitTest, AHalfCloseIsPassedOnAndTheOtherDirectionGoesOn) {
  const auto circuit = open();
  ASSERT_TRUE(world.run(support::write_all(circuit.source, io::to_bytes("request"))));
  ASSERT_TRUE(world.run(circuit.source->close_write()));
  EXPECT_EQ(io::as_text(world.run(support::read_all(circuit.target)).value()), "request");
  ASSERT_TRUE(world.run(support::write_all(circuit.target, io::to_bytes("response"))));
  ASSERT_TRUE(world.run(circuit.target->close_write()));
  EXPECT_EQ(io::as_text(world.run(support::read_all(circuit.source)).value()), "response");
  world.scheduler.run_for(1s);
  EXPECT_EQ(service.circuits(), 0u);
}

TEST_F(CircuitTest, CarriesExactly131072BytesEachWay) {
  const auto circuit = open();
  Arrived at_a;
  Arrived at_b;
  count(circuit.source, at_a);
  count(circuit.target, at_b);
  ASSERT_TRUE(world.run(support::write_all(circuit.source, io::Bytes(limit_bytes, 1))));
  ASSERT_TRUE(world.run(support::write_all(circuit.target, io::Bytes(limit_bytes, 2))));
  world.scheduler.run_for(10s);
  EXPECT_EQ(at_b.bytes, limit_bytes);
  EXPECT_EQ(at_a.bytes, limit_bytes);
  EXPECT_FALSE(at_a.end);
  EXPECT_FALSE(at_b.end);
  EXPECT_EQ(service.circuits(), 1u);

  // One byte more, in one direction, resets both.
  ASSERT_TRUE(world.run(support::write_all(circuit.source, io::Bytes(1, 3))));
  world.scheduler.run_for(1s);
  EXPECT_EQ(at_b.bytes, limit_bytes);
  EXPECT_EQ(at_a.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_b.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(service.circuits(), 0u);
  EXPECT_EQ(counters().cut_by_data, 1u);
  EXPECT_EQ(counters().bytes_relayed, 2 * limit_bytes);
}

TEST_F(CircuitTest, AllTheBytesItMayCarryAndAHalfCloseAreNoOffence) {
  const auto circuit = open();
  const auto sending = start(world.scheduler, support::write_all(circuit.source, io::Bytes(limit_bytes, 1)));
  Arrived at_b;
  count(circuit.target, at_b);
  world.scheduler.run_for(5s);
  ASSERT_TRUE(sending.done());
  ASSERT_TRUE(world.run(circuit.source->close_write()));
  world.scheduler.run_for(1s);
  EXPECT_EQ(at_b.bytes, limit_bytes);
  EXPECT_EQ(at_b.end, std::error_code());
  EXPECT_EQ(counters().cut_by_data, 0u);
}

TEST_F(CircuitTest, IsResetExactly120SecondsAfterItWasGranted) {
  const auto circuit = open();
  Arrived at_a;
  Arrived at_b;
  count(circuit.source, at_a);
  count(circuit.target, at_b);
  world.scheduler.run_for(opened_at + 120s - 1ns - world.scheduler.now());
  EXPECT_EQ(service.circuits(), 1u);
  world.scheduler.run_for(1ns);
  EXPECT_EQ(service.circuits(), 0u);
  EXPECT_EQ(counters().cut_by_duration, 1u);
  world.scheduler.run_for(1s);
  EXPECT_EQ(at_a.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_b.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_a.at, opened_at + 120s + 10ms);
}

TEST_F(CircuitTest, AResetOfOneEndReachesTheOther) {
  const auto circuit = open();
  Arrived at_a;
  count(circuit.source, at_a);
  circuit.target->reset();
  world.scheduler.run_for(1s);
  EXPECT_EQ(at_a.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(service.circuits(), 0u);
}

TEST_F(CircuitTest, EndsWithTheConnectionOfEitherPeer) {
  const auto circuit = open();
  Arrived at_b;
  count(circuit.target, at_b);
  a.swarm().connection_to(relay.id())->close(std::make_error_code(std::errc::operation_canceled));
  world.scheduler.run_for(1s);
  EXPECT_TRUE(at_b.end);
  EXPECT_EQ(service.circuits(), 0u);
}

TEST_F(CircuitTest, StoppingTheServiceEndsItsCircuitsAndReservations) {
  const auto circuit = open();
  Arrived at_b;
  count(circuit.target, at_b);
  service.stop();
  world.scheduler.run_for(1s);
  EXPECT_TRUE(at_b.end);
  EXPECT_EQ(service.circuits(), 0u);
  EXPECT_EQ(service.reservations(), 0u);
}

TEST(HalfClosingRelay, EndsTheDirectionThatHasCarriedItsShareAndLeavesTheOther) {
  support::TestScheduler scheduler;
  auto source = support::pipe(scheduler);
  auto target = support::pipe(scheduler);
  RelayServiceProfile profile;
  profile.limit = {std::nullopt, 1000};
  profile.at_data_limit = AtDataLimit::half_close;
  const auto running = start(scheduler, run_circuit(scheduler, source.b, target.a, profile));
  ASSERT_TRUE(run_task(scheduler, support::write_all(source.a, io::Bytes(1500, 1))));
  const auto arrived = run_task(scheduler, support::read_all(target.b));
  ASSERT_TRUE(arrived);
  EXPECT_EQ(arrived->size(), 1000u);
  ASSERT_TRUE(run_task(scheduler, support::write_all(target.b, io::Bytes(400, 2))));
  ASSERT_TRUE(run_task(scheduler, target.b->close_write()));
  EXPECT_EQ(run_task(scheduler, support::read_all(source.a)).value().size(), 400u);
  ASSERT_TRUE(running.done());
  EXPECT_FALSE(running.value().why);
  EXPECT_EQ(running.value().bytes, 1400u);
}

// What a client makes of a relay's answers.

struct ClientTest : RelayTest {
  Failure refused(const io::Bytes& reply) {
    relay.swarm().handle(std::string(hop_protocol), support::replies(reply));
    const auto result = world.run(b.node.relay_client().reserve(relay.id(), relay.addresses()));
    world.scheduler.run_for(1s);
    EXPECT_THAT(b.node.relay_client().reservations(), IsEmpty());
    EXPECT_THAT(b.swarm().addresses().circuits(), IsEmpty());
    EXPECT_EQ(b.swarm().connection_to(relay.id())->streams(), 0u);
    return error_of(result);
  }
  std::uint64_t in_an_hour() {
    const auto now = std::chrono::floor<std::chrono::seconds>(world.scheduler.calendar());
    return static_cast<std::uint64_t>(now.time_since_epoch().count()) + 3600;
  }
  io::Bytes granted(std::uint64_t expire, const io::Bytes& voucher) {
    auto reservation = number_field(1, expire);
    io::append(reservation, field(2, relay.address().with_peer(relay.id()).bytes()));
    if (!voucher.empty()) io::append(reservation, field(3, voucher));
    return framed(joined({number_field(1, 2), field(3, reservation), number_field(5, 100)}));
  }
  io::Bytes voucher_by(const crypto::PrivateKey& signer, std::string_view domain,
                       const multiformats::PeerId& of, const multiformats::PeerId& to) {
    const io::Bytes type{0x03, 0x02};
    const auto payload = joined({field(1, of.bytes()), field(2, to.bytes()), number_field(3, in_an_hour())});
    return crypto::seal_envelope(signer, {domain, type}, payload);
  }
};

TEST_F(ClientTest, RefusesMalformedAnswersByWhatIsWrongWithThem) {
  EXPECT_EQ(refused(framed(io::Bytes{0x0a, 0x7f})), Error::malformed);
  EXPECT_EQ(refused(framed({})), Error::malformed);
  EXPECT_EQ(refused(support::varint(4097)), Error::message_too_long);
  EXPECT_EQ(refused(framed(reserve_message)), Error::unexpected_type);
  EXPECT_EQ(refused(framed(number_field(1, 2))), Error::missing_status);
  EXPECT_EQ(refused(framed(hop_status_message(100))), Error::missing_reservation);
  EXPECT_EQ(refused(granted(1, {})), Error::expired);
}

TEST_F(ClientTest, RefusesVouchersThatAreNotTheRelaysWordToUs) {
  const std::string domain = "libp2p-relay-rsvp";
  const auto& relay_key = relay.swarm().identity();
  const auto& other_key = a.swarm().identity();
  const auto with = [&](const io::Bytes& voucher) { return granted(in_an_hour(), voucher); };
  EXPECT_EQ(refused(with(io::to_bytes("garbage"))), crypto::EnvelopeError::malformed);
  EXPECT_EQ(refused(with(voucher_by(relay_key, "libp2p-peer-record", relay.id(), b.id()))),
            crypto::EnvelopeError::bad_signature);
  EXPECT_EQ(refused(with(voucher_by(other_key, domain, relay.id(), b.id()))), Error::voucher_not_by_relay);
  EXPECT_EQ(refused(with(voucher_by(other_key, domain, a.id(), b.id()))), Error::voucher_not_by_relay);
  EXPECT_EQ(refused(with(voucher_by(relay_key, domain, relay.id(), a.id()))), Error::voucher_not_for_us);
}

TEST_F(ClientTest, AcceptsItsOwnVoucherMadeByHandAndAMissingOne) {
  const auto good = voucher_by(relay.swarm().identity(), "libp2p-relay-rsvp", relay.id(), b.id());
  for (const auto& voucher : {good, io::Bytes()}) {
    relay.swarm().handle(std::string(hop_protocol), support::replies(granted(in_an_hour(), voucher)));
    const auto result = world.run(b.node.relay_client().reserve(relay.id(), relay.addresses()));
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->voucher.has_value(), !voucher.empty());
    EXPECT_FALSE(result->limit.limits());
  }
}

TEST_F(ClientTest, AVeryLateExpiryIsNoOverflow) {
  relay.swarm().handle(std::string(hop_protocol), support::replies(granted(~std::uint64_t{0}, {})));
  EXPECT_TRUE(world.run(b.node.relay_client().reserve(relay.id(), relay.addresses())));
  world.scheduler.run_for(2h);
  EXPECT_EQ(b.node.relay_client().reservations().size(), 1u);
}

TEST_F(ClientTest, KnownAndUnknownRefusalsKeepTheirNumber) {
  EXPECT_EQ(refused(framed(hop_status_message(200))), Status::reservation_refused);
  EXPECT_EQ(refused(framed(hop_status_message(999))), static_cast<Status>(999));
}

TEST_F(ClientTest, GivesUpASilentRelayAfterAMinute) {
  relay.swarm().handle(std::string(hop_protocol), support::silence());
  world.connect(b, relay);
  const auto began = world.scheduler.now();
  const auto result = world.run(b.node.relay_client().reserve(relay.id(), relay.addresses()));
  EXPECT_EQ(error_of(result), std::errc::timed_out);
  EXPECT_NEAR(std::chrono::duration<double>(world.scheduler.now() - began).count(), 60.0, 0.1);
}

TEST_F(ClientTest, ADialThroughARelayFailsWithItsStatus) {
  const auto report = dial_through(a, b.id());
  EXPECT_FALSE(report.connection);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].why, Status::no_reservation);
}

TEST_F(ClientTest, ADialThroughANamelessRelayFails) {
  const auto nameless = relay.address().encapsulate(Multiaddr::circuit());
  const auto report =
      world.run(a.swarm().dial({b.id(), std::vector<Multiaddr>(1, nameless), false, std::nullopt, 5s}));
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].why, Error::bad_address);
}

}  // namespace
}  // namespace flaresim::relay
