#include <gmock/gmock.h>

#include "protocols/transport/quic/engine.h"
#include "protocols/transport/quic/tokens.h"
#include "tests/protocols/security/tls_forger.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/transport/quic_fixture.h"
#include "tests/protocols/transport/raw_quic_client.h"

namespace flaresim::quic {
namespace {

using security::TlsError;
using testing::ElementsAre;

constexpr std::uint64_t crypto_error = 0x100;  // RFC 9001 §4.8: plus the TLS alert
constexpr std::uint64_t bad_certificate = crypto_error + 42;
constexpr std::uint64_t no_application_protocol = crypto_error + 120;
constexpr std::uint64_t certificate_required = crypto_error + 116;

const io::Endpoint mallory = endpoint("198.51.100.1");

/// Bob, and whatever is thrown at him.
struct QuicMalformed : QuicTest {
  QuicMalformed() { make_nodes(); }
  ~QuicMalformed() override {
    expect_nothing_left();
    EXPECT_EQ(scheduler.armed_timers(), 0u);
  }

  void expect_nothing_left() {
    scheduler.run_for(60s);
    EXPECT_EQ(bob->endpoint->connections(), 0u);
    EXPECT_EQ(bob->endpoint->lingering(), 0u);
  }
  void throw_at_bob(io::BytesView datagram) {
    net.inject(mallory, bob->endpoint->local(), datagram);
    scheduler.run_for(30ms);
  }
  /// Nothing is said to mallory, and nothing is kept.
  void expect_dropped(io::BytesView datagram) {
    const auto before = bob->endpoint->counters().dropped;
    net.trace.clear();
    throw_at_bob(datagram);
    EXPECT_TRUE(net.trace.empty());
    EXPECT_EQ(bob->endpoint->counters().dropped, before + 1);
    EXPECT_EQ(bob->endpoint->connections(), 0u);
  }
  /// The first datagram of a dial of Alice's, which never reaches Bob.
  io::Bytes an_initial() {
    io::Bytes initial;
    net.tap = [&](const io::Endpoint&, const io::Endpoint&, io::Bytes& payload) {
      if (initial.empty()) initial = payload;
      return false;
    };
    (void)run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 500ms));
    scheduler.run_for(10s);
    net.tap = nullptr;
    return initial;
  }
  std::uint64_t raw(const std::vector<support::ForgedCertificate>& chain,
                    const std::vector<std::string>& protocols) {
    const auto host = net.host("198.51.100.1");
    return support::run_raw_quic_client(net, *host, mallory, bob->endpoint->local(), chain, protocols, 2s);
  }
  support::ForgedCertificate forged(const std::function<void(support::Forgery&)>& twist = {}) {
    support::Forgery forgery{.not_before = scheduler.calendar() - 1h, .not_after = scheduler.calendar() + 1h};
    if (twist) twist(forgery);
    return support::forge(host_key(1), forgery);
  }
  /// What Bob says of a client with this certificate, and what the client hears.
  void expect_refused(const support::ForgedCertificate& certificate, std::error_code why) {
    EXPECT_EQ(raw({certificate}, {"libp2p"}), bad_certificate);
    EXPECT_THAT(bob->refusals, ElementsAre(why));
  }
};

TEST_F(QuicMalformed, RandomDatagramsOfEverySize) {
  io::Random random(5);
  for (std::size_t size = 1; size <= 1500; ++size) {
    io::Bytes datagram(size);
    random.fill(datagram);
    net.inject(mallory, bob->endpoint->local(), datagram);
  }
  scheduler.run_for(1s);
  EXPECT_EQ(bob->endpoint->connections(), 0u);
  const auto& counters = bob->endpoint->counters();
  EXPECT_EQ(counters.dropped + counters.version_negotiations + counters.stateless_resets, 1500u);
  for (const auto& passage : net.trace) EXPECT_LE(passage.bytes, 600u);
}

TEST_F(QuicMalformed, AnEmptyDatagram) { expect_dropped({}); }

TEST_F(QuicMalformed, ATruncatedInitial) {
  const auto initial = an_initial();
  ASSERT_EQ(initial.size(), 1200u);
  for (const std::size_t size : {1u, 5u, 6u, 20u, 50u, 1199u})
    expect_dropped(io::BytesView(initial).first(size));
}

TEST_F(QuicMalformed, AnInitialWithAShortDestination) {
  io::Bytes initial(1200);
  initial[0] = 0xc0;
  initial[4] = 1;  // version
  initial[5] = 4;  // bytes of the destination; RFC 9000 §7.2 wants 8
  initial[11] = 0;
  expect_dropped(initial);
}

TEST_F(QuicMalformed, AnInitialWithAnOverlongDestination) {
  io::Bytes initial(1200);
  initial[0] = 0xc0;
  initial[4] = 1;
  initial[5] = 21;
  expect_dropped(initial);
}

TEST_F(QuicMalformed, AnotherVersionIsAnsweredByAListOfOurs) {
  auto initial = an_initial();
  initial[1] = 0xba;
  std::vector<io::Bytes> answers;
  net.tap = [&](const io::Endpoint&, const io::Endpoint& to, io::Bytes& payload) {
    if (to == mallory) answers.push_back(payload);
    return true;
  };
  throw_at_bob(initial);
  ASSERT_EQ(answers.size(), 1u);
  // RFC 9000 §17.2.1: version 0, the ids exchanged, then a list of versions.
  const auto& answer = answers[0];
  EXPECT_NE(answer[0] & 0x80, 0);
  EXPECT_THAT(io::Bytes(answer.begin() + 1, answer.begin() + 5), ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(answer[5], initial[6 + initial[5]]);
  EXPECT_THAT(io::Bytes(answer.end() - 4, answer.end()), ElementsAre(0, 0, 0, 1));
  EXPECT_LT(answer.size(), 60u);
  net.tap = nullptr;
}

TEST_F(QuicMalformed, AnotherVersionInAShortDatagramIsNot) {
  auto initial = an_initial();
  initial[1] = 0xba;
  expect_dropped(io::BytesView(initial).first(1199));
}

TEST_F(QuicMalformed, VersionTwoIsAnotherVersion) {
  auto initial = an_initial();
  const io::Bytes version_two{0x6b, 0x33, 0x43, 0xcf};  // RFC 9369
  std::copy(version_two.begin(), version_two.end(), initial.begin() + 1);
  throw_at_bob(initial);
  EXPECT_EQ(bob->endpoint->counters().version_negotiations, 1u);
}

TEST_F(QuicMalformed, AVersionNegotiationOfNobody) {
  auto initial = an_initial();
  std::fill(initial.begin() + 1, initial.begin() + 5, std::uint8_t{0});
  expect_dropped(initial);
}

TEST_F(QuicMalformed, AnInitialThatDoesNotDecrypt) {
  auto initial = an_initial();
  initial[600] ^= 1;
  net.trace.clear();
  throw_at_bob(initial);
  EXPECT_TRUE(net.trace.empty());
  EXPECT_EQ(bob->endpoint->connections(), 0u);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(QuicError::undecryptable_initial)));
}

TEST_F(QuicMalformed, AHandshakePacketOfNobody) {
  auto packet = an_initial();
  packet[0] = (packet[0] & 0xcf) | 0x20;
  expect_dropped(packet);
}

TEST_F(QuicMalformed, EarlyDataOfNobody) {
  auto packet = an_initial();
  packet[0] = (packet[0] & 0xcf) | 0x10;
  expect_dropped(packet);
}

TEST_F(QuicMalformed, AReplayedInitialOfALiveConnectionChangesNothing) {
  io::Bytes initial;
  net.tap = [&](const io::Endpoint&, const io::Endpoint&, io::Bytes& payload) {
    if (initial.empty()) initial = payload;
    return true;
  };
  connect();
  net.inject(alice->endpoint->local(), bob->endpoint->local(), initial);
  throw_at_bob(initial);
  EXPECT_EQ(bob->endpoint->connections(), 1u);
  echo_at_bob();
  EXPECT_EQ(run_task(scheduler, ask(at_alice->muxed, pattern(10))), pattern(10));
  net.tap = nullptr;
  at_alice.reset();
}

TEST_F(QuicMalformed, AReplayedInitialOfNobodyTimesOut) {
  const auto initial = an_initial();
  throw_at_bob(initial);
  EXPECT_EQ(bob->endpoint->connections(), 1u);
  scheduler.run_for(10s);
  EXPECT_EQ(bob->endpoint->connections(), 0u);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(QuicError::handshake_timeout)));
  // RFC 9000 §8.1: no more than three times what came in.
  std::size_t sent = 0;
  for (const auto& passage : net.trace) sent += passage.to == mallory ? passage.bytes : 0;
  EXPECT_LE(sent, 3 * initial.size());
}

TEST_F(QuicMalformed, GarbageBehindAGoodInitialIsIgnored) {
  net.tap = [](const io::Endpoint&, const io::Endpoint&, io::Bytes& payload) {
    if (payload.size() == 1200) io::append(payload, pattern(100));
    return true;
  };
  connect();
  net.tap = nullptr;
  at_alice.reset();
}

TEST_F(QuicMalformed, DatagramsDamagedOnTheWayAreLostOnes) {
  io::Random random(8);
  std::size_t damaged = 0;
  net.tap = [&](const io::Endpoint&, const io::Endpoint&, io::Bytes& payload) {
    if (random.uniform() < 0.1) {
      payload[static_cast<std::size_t>(random.uniform() * static_cast<double>(payload.size()))] ^= 1;
      ++damaged;
    }
    return true;
  };
  for (int i = 0; i < 100; ++i) {
    const auto accepting = start(scheduler, bob->endpoint->accept());
    auto dialled = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 60s));
    ASSERT_TRUE(dialled) << dialled.error().message();
    ASSERT_TRUE(scheduler.run_until([&] { return accepting.done(); }, 10s));
    at_bob = std::move(*accepting.value());
    echo_at_bob();
    EXPECT_EQ(run_task(scheduler, ask(dialled->muxed, pattern(5000))), pattern(5000));
    at_bob.reset();
  }
  EXPECT_GT(damaged, 100u);
  net.tap = nullptr;
}

TEST_F(QuicMalformed, TheCertificateOfAnotherPeer) {
  const auto carol = host_key(7).public_key().peer_id();
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), carol, 5s))),
            TlsError::peer_mismatch);
  scheduler.run_for(100ms);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(QuicError::rejected_by_peer)));
  EXPECT_EQ(alice->endpoint->connections(), 0u);
}

TEST_F(QuicMalformed, AShortPacketOfNobodyIsAnsweredByASmallerReset) {
  for (const std::size_t size : {65u, 100u, 1200u}) {
    auto packet = pattern(size);
    packet[0] = 0x41;
    net.trace.clear();
    throw_at_bob(packet);
    ASSERT_EQ(net.trace.size(), 1u);
    EXPECT_LT(net.trace[0].bytes, size);
    EXPECT_GE(net.trace[0].bytes, 21u);
  }
}

TEST_F(QuicMalformed, AResetWithAnotherTokenIsIgnored) {
  connect();
  auto reset = pattern(43);
  reset[0] = 0x41;
  net.inject(bob->endpoint->local(), alice->endpoint->local(), reset);
  scheduler.run_for(1s);
  EXPECT_FALSE(at_alice->muxed->closed());
  at_alice.reset();
}

TEST_F(QuicMalformed, AnAlienRetryIsIgnored) {
  net.tap = [&](const io::Endpoint& from, const io::Endpoint&, io::Bytes& payload) {
    if (from == alice->endpoint->local() && payload.size() == 1200) {
      const auto initial = read_initial(payload);
      if (initial) {
        auto retry = retry_packet(*initial, ConnectionId(pattern(8)), pattern(20));
        retry.back() ^= 1;  // of the integrity tag
        net.inject(bob->endpoint->local(), from, retry);
      }
    }
    return true;
  };
  connect();
  EXPECT_EQ(bob->endpoint->counters().retries, 0u);
  net.tap = nullptr;
  at_alice.reset();
}

TEST_F(QuicMalformed, AServerOfOtherVersionsEndsTheDial) {
  net.tap = [&](const io::Endpoint& from, const io::Endpoint&, io::Bytes& payload) {
    auto changed = payload;
    changed[4] = 99;  // what a server would answer that knows 1 but lists 2 only
    auto answer = version_negotiation(changed, 0);
    answer.back() = 2;
    net.inject(bob->endpoint->local(), from, answer);
    return false;
  };
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 5s))),
            QuicError::version_negotiation);
  EXPECT_EQ(alice->endpoint->connections(), 0u);
  net.tap = nullptr;
}

TEST_F(QuicMalformed, ARightCertificateFromElsewhereIsAccepted) {
  EXPECT_EQ(raw({forged()}, {"libp2p"}), 0u);
  EXPECT_TRUE(bob->refusals.empty());
  const auto accepted = run_task(scheduler, bob->endpoint->accept());
  EXPECT_EQ(accepted->remote_key, host_key(1).public_key());
}

TEST_F(QuicMalformed, AnotherApplicationProtocol) {
  EXPECT_EQ(raw({forged()}, {"h3"}), no_application_protocol);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(TlsError::no_common_protocol)));
}

TEST_F(QuicMalformed, NoApplicationProtocol) {
  EXPECT_EQ(raw({forged()}, {}), no_application_protocol);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(TlsError::no_common_protocol)));
}

TEST_F(QuicMalformed, NoClientCertificate) {
  EXPECT_EQ(raw({}, {"libp2p"}), certificate_required);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(TlsError::certificate_missing)));
}

TEST_F(QuicMalformed, TwoClientCertificates) {
  EXPECT_EQ(raw({forged(), forged()}, {"libp2p"}), bad_certificate);
  EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(TlsError::several_certificates)));
}

TEST_F(QuicMalformed, ABadSignatureInTheExtension) {
  expect_refused(forged([](auto& forgery) { forgery.prefix = "libp2p"; }), TlsError::bad_host_signature);
}

TEST_F(QuicMalformed, ABadSelfSignature) {
  auto certificate = forged();
  certificate.der.back() ^= 1;
  expect_refused(certificate, TlsError::bad_self_signature);
}

TEST_F(QuicMalformed, AnEmptyExtension) {
  expect_refused(forged([](auto& forgery) { forgery.empty_extension = true; }),
                 TlsError::malformed_extension);
}

TEST_F(QuicMalformed, AnExpiredCertificate) {
  expect_refused(forged([&](auto& forgery) { forgery.not_after = scheduler.calendar() - 1s; }),
                 TlsError::expired);
}

TEST_F(QuicMalformed, ACertificateOfTheFuture) {
  expect_refused(forged([&](auto& forgery) { forgery.not_before = scheduler.calendar() + 1min; }),
                 TlsError::not_yet_valid);
}

TEST_F(QuicMalformed, AnUnknownCriticalExtension) {
  expect_refused(forged([](auto& forgery) {
                   forgery.more.push_back({"1.2.3.4", {5, 0}, true});
                 }),
                 TlsError::unknown_critical_extension);
}

TEST_F(QuicMalformed, ACertificateWithoutTheExtension) {
  expect_refused(forged([](auto& forgery) { forgery.libp2p_extension = false; }),
                 TlsError::missing_extension);
}

/// Bob asks everybody to prove their address, and Alice's second Initial, with the token, is at hand.
struct QuicToken : QuicMalformed {
  QuicToken() {
    bob->endpoint->close();
    scheduler.settle();
    QuicProfile profile;
    profile.retry_above = 0;
    bob = make_node(net, "192.0.2.2", 2, {profile});
    net.tap = [this](const io::Endpoint& from, const io::Endpoint&, io::Bytes& payload) {
      if (from != alice->endpoint->local()) return true;
      const auto initial = read_initial(payload);
      if (initial && !initial->token.empty() && with_token.empty()) with_token = payload;
      return !initial || initial->token.empty();
    };
    (void)run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 500ms));
    EXPECT_FALSE(with_token.empty());
    net.tap = nullptr;
    net.trace.clear();
  }
  void throw_from(const io::Endpoint& from, const io::Bytes& datagram) {
    net.inject(from, bob->endpoint->local(), datagram);
    scheduler.run_for(30ms);
  }
  void expect_invalid() {
    EXPECT_EQ(bob->endpoint->connections(), 0u);
    EXPECT_EQ(bob->endpoint->counters().refused, 1u);
    EXPECT_THAT(bob->refusals, ElementsAre(make_error_code(QuicError::invalid_token)));
  }

  io::Bytes with_token;
};

TEST_F(QuicToken, ATokenIsGoodForItsAddress) {
  throw_from(alice->endpoint->local(), with_token);
  EXPECT_EQ(bob->endpoint->connections(), 1u);
}

TEST_F(QuicToken, ATokenOfAnotherAddress) {
  throw_from(mallory, with_token);
  expect_invalid();
}

TEST_F(QuicToken, ATamperedToken) {
  // Behind type, version, both ids and the token's length: its first bytes are the purpose and the time.
  const auto ids = 5 + 1 + with_token[5] + 1 + with_token[6 + with_token[5]];
  with_token[static_cast<std::size_t>(ids) + 5] ^= 1;
  throw_from(alice->endpoint->local(), with_token);
  expect_invalid();
}

TEST_F(QuicToken, AnOldToken) {
  scheduler.run_for(10s);
  throw_from(alice->endpoint->local(), with_token);
  expect_invalid();
}

TEST(QuicTokens, ARetryTokenSaysWhereTheClientFirstWent) {
  io::Random random(1), other(2);
  const Tokens tokens(random), others(other);
  const ConnectionId source(pattern(8)), original(pattern(18, 3));
  const auto address = endpoint("2001:db8::1");
  const io::TimePoint now{100s};
  const auto token = tokens.retry_token(address, source, original, now);
  EXPECT_EQ(tokens.open_retry_token(token, address, source, now + 10s, 10s), original);
  EXPECT_FALSE(tokens.open_retry_token(token, address, source, now + 11s, 10s));
  EXPECT_FALSE(tokens.open_retry_token(token, endpoint("2001:db8::2"), source, now, 10s));
  EXPECT_FALSE(tokens.open_retry_token(token, endpoint("2001:db8::1", 1), source, now, 10s));
  EXPECT_FALSE(tokens.open_retry_token(token, address, original, now, 10s));
  EXPECT_FALSE(others.open_retry_token(token, address, source, now, 10s));
  for (std::size_t size = 0; size < token.size(); ++size)
    EXPECT_FALSE(tokens.open_retry_token(io::BytesView(token).first(size), address, source, now, 10s));
  EXPECT_NE(tokens.reset_token(source), tokens.reset_token(original));
  EXPECT_NE(tokens.reset_token(source), others.reset_token(source));
}

}  // namespace
}  // namespace flaresim::quic
