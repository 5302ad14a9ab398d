#include "protocols/transport/quic/endpoint.h"

#include <gmock/gmock.h>

#include "tests/protocols/security/tls_forger.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/transport/quic_fixture.h"

namespace flaresim::quic {
namespace {

using Result = io::Result<QuicConnection>;

TEST_F(QuicTest, ADiallerRefusesAnotherPeer) {
  make_nodes();
  const auto dialled = run_task(
      scheduler, alice->endpoint->dial(bob->endpoint->local(), host_key(7).public_key().peer_id(), 10s));
  EXPECT_EQ(error_of(dialled), security::TlsError::peer_mismatch);
  scheduler.run_for(100ms);
  EXPECT_EQ(alice->endpoint->connections() + bob->endpoint->connections(), 0u);
  EXPECT_THAT(bob->refusals, testing::ElementsAre(make_error_code(QuicError::rejected_by_peer)));
}

TEST_F(QuicTest, ADiallerRefusesAServerWithABadCertificate) {
  alice = make_node(net, "192.0.2.1", 1);
  support::Forgery forgery{.not_before = scheduler.calendar() - 1h, .not_after = scheduler.calendar() + 1h};
  forgery.prefix = "libp2p";
  const auto forged = support::forge(host_key(2), forgery);
  NodeOptions options;
  options.certificate = security::Certificate{forged.der, forged.private_key};
  bob = make_node(net, "192.0.2.2", 2, options);
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 5s))),
            security::TlsError::bad_host_signature);
  scheduler.run_for(100ms);
  EXPECT_EQ(alice->endpoint->connections() + bob->endpoint->connections(), 0u);
}

TEST_F(QuicTest, ADialToNobodyEndsInTime) {
  make_nodes();
  const auto begun = scheduler.now();
  const auto dialled = run_task(scheduler, alice->endpoint->dial(endpoint("192.0.2.9"), {}, 5s));
  EXPECT_EQ(error_of(dialled), std::make_error_code(std::errc::timed_out));
  EXPECT_EQ(scheduler.now() - begun, 5s);
  EXPECT_EQ(alice->endpoint->connections(), 0u);
}

TEST_F(QuicTest, ADialCanBeGivenUp) {
  make_nodes();
  const auto dial = alice->endpoint->begin_dial(endpoint("192.0.2.9"), {}, 5s);
  const auto dialling = start(scheduler, (*dial)->connected());
  scheduler.run_for(1s);
  (*dial)->reset(std::make_error_code(std::errc::owner_dead));
  scheduler.settle();
  EXPECT_EQ(error_of(dialling.value()), std::make_error_code(std::errc::owner_dead));
  EXPECT_EQ(alice->endpoint->connections(), 0u);
}

TEST_F(QuicTest, ADialGivenUpTooLateHasItsConnection) {
  make_nodes();
  auto dial = alice->endpoint->begin_dial(bob->endpoint->local(), {}, 5s);
  const auto connection = run_task(scheduler, (*dial)->connected());
  (*dial)->reset(std::make_error_code(std::errc::owner_dead));
  dial->reset();
  EXPECT_FALSE(connection->muxed->closed());
}

TEST_F(QuicTest, ADialThatCannotBeSentFailsAtOnce) {
  make_nodes();
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(endpoint("192.0.2.9", 1), {}, 5s))),
            std::make_error_code(std::errc::network_unreachable));
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(endpoint("2001:db8::9"), {}, 5s))),
            std::make_error_code(std::errc::address_family_not_supported));
  EXPECT_EQ(alice->endpoint->connections(), 0u);
}

TEST_F(QuicTest, ClosingTheEndpointEndsDialsAndAccepts) {
  make_nodes();
  const auto dialling = start(scheduler, alice->endpoint->dial(endpoint("192.0.2.9"), {}, 5s));
  const auto accepting = start(scheduler, alice->endpoint->accept());
  scheduler.run_for(1s);
  alice->endpoint->close();
  scheduler.settle();
  EXPECT_EQ(error_of(dialling.value()), std::make_error_code(std::errc::operation_canceled));
  EXPECT_EQ(error_of(accepting.value()), std::make_error_code(std::errc::operation_canceled));
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(endpoint("192.0.2.9"), {}, 5s))),
            std::make_error_code(std::errc::operation_canceled));
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

TEST_F(QuicTest, OneSocketListensAndDialsAtOnce) {
  make_nodes();
  const auto at_a = start(scheduler, alice->endpoint->accept());
  const auto at_b = start(scheduler, bob->endpoint->accept());
  const auto from_a = start(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 5s));
  const auto from_b = start(scheduler, bob->endpoint->dial(alice->endpoint->local(), alice->peer(), 5s));
  scheduler.run_for(1s);
  EXPECT_TRUE(from_a.value() && from_b.value() && at_a.value() && at_b.value());
  EXPECT_EQ(alice->endpoint->connections(), 2u);
  for (const auto& one : {from_a, from_b, at_a, at_b}) one.value() = io::fail(std::errc::operation_canceled);
}

TEST_F(QuicTest, UnderLoadNewcomersProveTheirAddress) {
  QuicProfile profile;
  profile.retry_above = 5;
  make_nodes(profile);
  auto carol = make_node(net, "192.0.2.3", 3);
  net.tap = [&](const io::Endpoint&, const io::Endpoint& to, io::Bytes&) {
    return to != alice->endpoint->local();
  };
  std::vector<Started<Result>> stuck;
  for (int i = 0; i < 5; ++i)
    stuck.push_back(start(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 3s)));
  scheduler.run_for(100ms);
  EXPECT_EQ(bob->endpoint->connections(), 5u);
  EXPECT_EQ(bob->endpoint->counters().retries, 0u);

  const auto begun = scheduler.now();
  const auto dialled = run_task(scheduler, carol->endpoint->dial(bob->endpoint->local(), bob->peer(), 5s));
  ASSERT_TRUE(dialled) << dialled.error().message();
  EXPECT_EQ(scheduler.now() - begun, 100ms);  // one more round trip
  EXPECT_EQ(bob->endpoint->counters().retries, 1u);

  scheduler.run_for(20s);
  for (const auto& dial : stuck)
    EXPECT_EQ(error_of(dial.value()), std::make_error_code(std::errc::timed_out));
  EXPECT_EQ(bob->endpoint->connections(), 1u);
  net.tap = nullptr;
  const auto later = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 3s));
  EXPECT_TRUE(later);
  EXPECT_EQ(bob->endpoint->counters().retries, 1u);
  carol->endpoint->close();
}

TEST_F(QuicTest, AtTheLimitOfConnectionsDiallersAreRefused) {
  QuicProfile one;
  one.max_connections = 1;
  bob = make_node(net, "192.0.2.2", 2, {one});
  alice = make_node(net, "192.0.2.1", 1);
  connect();
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 5s))),
            QuicError::refused_by_peer);
  EXPECT_EQ(error_of(run_task(scheduler, bob->endpoint->dial(alice->endpoint->local(), {}, 5s))),
            std::make_error_code(std::errc::no_buffer_space));
  EXPECT_EQ(bob->endpoint->counters().refused, 1u);
}

TEST_F(QuicTest, WhenNobodyAcceptsTheBacklogIsTheLimit) {
  QuicProfile small;
  small.accept_backlog = 1;
  alice = make_node(net, "192.0.2.1", 1);
  bob = make_node(net, "192.0.2.2", 2, {small});
  auto first = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 5s));
  auto second = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), {}, 5s));
  scheduler.run_for(200ms);
  EXPECT_FALSE(first->muxed->closed());
  EXPECT_EQ(error_of(run_task(scheduler, second->muxed->accept_stream())), QuicError::refused_by_peer);
}

TEST_F(QuicTest, APeerThatHasForgottenTheConnectionEndsIt) {
  make_nodes();
  connect();
  auto stream = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*stream)->write(pattern(10))));
  scheduler.run_for(200ms);
  net.tap = [](const io::Endpoint&, const io::Endpoint&, io::Bytes&) { return false; };
  at_bob->muxed->close(std::make_error_code(std::errc::operation_canceled));
  scheduler.run_for(5s);
  EXPECT_EQ(bob->endpoint->lingering(), 0u);
  net.tap = nullptr;
  ASSERT_TRUE(run_task(scheduler, (*stream)->write(pattern(500))));
  scheduler.run_for(200ms);
  EXPECT_EQ(bob->endpoint->counters().stateless_resets, 1u);
  EXPECT_TRUE(at_alice->muxed->closed());
  EXPECT_EQ(error_of(run_task(scheduler, at_alice->muxed->accept_stream())), QuicError::stateless_reset);
}

// --- Hole punching: both behind a NAT that lets in only whom its inside has written to.

struct QuicPunch : QuicTest {
  QuicPunch() {
    NodeOptions at_a, at_b;
    at_a.nat = &net.nat("203.0.113.1");
    at_b.nat = &net.nat("203.0.113.2");
    alice = make_node(net, "10.0.0.1", 1, at_a);
    bob = make_node(net, "10.0.0.2", 2, at_b);
  }
  /// DCUtR's part of the side that does not dial: random datagrams, until the connection is there.
  static io::Task<> punch(QuicPunch* test, io::Duration after, std::shared_ptr<bool> stop) {
    co_await test->scheduler.sleep_for(after);
    io::Random random(5);
    while (!*stop) {
      io::Bytes datagram(64);
      random.fill(datagram);
      (void)test->bob->endpoint->send_raw(endpoint("203.0.113.1"), datagram);
      co_await test->scheduler.sleep_for(random.between(10ms, 200ms));
    }
  }
  /// How long the dial takes when the other side's datagrams begin at this time; nothing when it fails.
  std::optional<io::Duration> dial_with_punch(io::Duration after) {
    const auto begun = scheduler.now();
    const auto stop = std::make_shared<bool>(false);
    io::spawn(scheduler.executor(), punch(this, after, stop));
    auto dialled = run_task(scheduler, alice->endpoint->dial(endpoint("203.0.113.2"), bob->peer(), 5s));
    const auto took = scheduler.now() - begun;
    *stop = true;
    scheduler.run_for(1s);
    if (!dialled) return std::nullopt;
    EXPECT_EQ(dialled->remote_key, bob->key.public_key());
    return took;
  }
};

TEST_F(QuicPunch, WithoutHelpNothingGetsThrough) {
  EXPECT_EQ(error_of(run_task(scheduler, alice->endpoint->dial(endpoint("203.0.113.2"), {}, 5s))),
            std::make_error_code(std::errc::timed_out));
  EXPECT_GE(net.nat("203.0.113.2").dropped(), 2u);
}

TEST_F(QuicPunch, RandomDatagramsOfTheOtherSideLetTheDialIn) {
  EXPECT_EQ(dial_with_punch(0ms), 50ms);
  EXPECT_EQ(bob->endpoint->counters().stateless_resets, 0u);
}

TEST_F(QuicPunch, ALateStartCostsOneProbeTimeout) { EXPECT_EQ(dial_with_punch(60ms), 3 * 333ms + 50ms); }

TEST_F(QuicPunch, PunchesAreDroppedSilently) {
  make_nodes();
  io::Random random(5);
  for (int i = 0; i < 10'000; ++i) {
    io::Bytes datagram(64);
    random.fill(datagram);
    net.inject(endpoint("198.51.100.1"), bob->endpoint->local(), datagram);
  }
  net.trace.clear();
  scheduler.run_for(1s);
  EXPECT_EQ(bob->endpoint->counters().dropped, 10'000u);
  EXPECT_EQ(bob->endpoint->connections(), 0u);
  EXPECT_TRUE(net.trace.empty());
}

// --- What others see.

std::vector<support::Passage> traced_run(std::uint64_t seed) {
  support::TestScheduler scheduler;
  support::DatagramNet net(scheduler, seed);
  net.loss = 0.05;
  auto alice = make_node(net, "192.0.2.1", 1);
  auto bob = make_node(net, "192.0.2.2", 2);
  for (int i = 0; i < 10; ++i) {
    const auto accepting = start(scheduler, bob->endpoint->accept());
    auto dialled = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 60s));
    scheduler.run_until([&] { return accepting.done(); }, 60s);
    io::spawn(scheduler.executor(), echo_all(&scheduler, accepting.value()->muxed));
    (void)run_task(scheduler, ask(dialled->muxed, pattern(30'000)));
    accepting.value() = io::fail(std::errc::operation_canceled);
  }
  alice->endpoint->close();
  bob->endpoint->close();
  scheduler.run();
  return net.trace;
}

TEST(QuicTrace, OneSeedHasOneTraceAlthoughTlsIsRandom) {
  const auto first = traced_run(1);
  EXPECT_TRUE(first == traced_run(1));
  EXPECT_FALSE(first == traced_run(2));
}

TEST_F(QuicTest, TheKeyLogHasTheSecretsOfBothDirections) {
  std::string log;
  NodeOptions options;
  options.key_log = [&](std::string_view line) { log += line; };
  alice = make_node(net, "192.0.2.1", 1, options);
  bob = make_node(net, "192.0.2.2", 2);
  connect();
  for (const auto* label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
                            "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "})
    EXPECT_THAT(log, testing::HasSubstr(label));
}

TEST_F(QuicTest, EveryConnectionHasAQlog) {
  std::map<std::string, std::string> logs;
  QuicProfile profile;
  profile.open_qlog = [&](std::string_view name) {
    return [&logs, key = std::string(name)](std::string_view piece) { logs[key] += piece; };
  };
  make_nodes(profile);
  connect();
  shut();
  ASSERT_EQ(logs.size(), 2u);
  const auto& [client, server] = std::pair(logs.begin()->first, logs.rbegin()->first);
  EXPECT_EQ(client.substr(0, 36), server.substr(0, 36));
  EXPECT_THAT(client, testing::EndsWith("_client"));
  EXPECT_THAT(server, testing::EndsWith("_server"));
  for (const auto& [name, log] : logs) {
    EXPECT_THAT(log, testing::HasSubstr("qlog_version"));
    EXPECT_THAT(log, testing::HasSubstr("packet_received"));
  }
}

}  // namespace
}  // namespace flaresim::quic
