#include "protocols/transport/quic/connection.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/transport/quic_fixture.h"

namespace flaresim::quic {
namespace {

TEST_F(QuicTest, DialAndAcceptProveWhoIsThere) {
  make_nodes();
  connect();
  EXPECT_EQ(at_alice->remote_key, bob->key.public_key());
  EXPECT_EQ(at_bob->remote_key, alice->key.public_key());
  EXPECT_EQ(at_alice->remote, bob->endpoint->local());
  EXPECT_EQ(at_bob->remote, alice->endpoint->local());
  EXPECT_EQ(at_alice->role, security::Role::client);
  EXPECT_EQ(at_bob->role, security::Role::server);
}

TEST_F(QuicTest, ADialTakesOneRoundTrip) {
  make_nodes();
  const auto begun = scheduler.now();
  ASSERT_TRUE(run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), 10s)));
  EXPECT_EQ(scheduler.now() - begun, 50ms);
}

TEST_F(QuicTest, WorksOverIpv6) {
  alice = make_node(net, "2001:db8::1", 1);
  bob = make_node(net, "2001:db8::2", 2);
  connect();
  echo_at_bob();
  EXPECT_EQ(run_task(scheduler, ask(at_alice->muxed, pattern(5000))), pattern(5000));
}

TEST_F(QuicTest, WorksWithP256Certificates) {
  NodeOptions options;
  options.certificate_key = security::CertificateKey::p256;
  alice = make_node(net, "192.0.2.1", 1, options);
  bob = make_node(net, "192.0.2.2", 2, options);
  connect();
}

TEST_F(QuicTest, BothSidesCanOpenStreams) {
  make_nodes();
  connect();
  echo_at_bob();
  io::spawn(scheduler.executor(), echo_all(&scheduler, at_alice->muxed));
  EXPECT_EQ(run_task(scheduler, ask(at_alice->muxed, pattern(100))), pattern(100));
  EXPECT_EQ(run_task(scheduler, ask(at_bob->muxed, pattern(100))), pattern(100));
}

TEST_F(QuicTest, FiftyStreamsAtOnceKeepTheirBytesApart) {
  make_nodes();
  connect();
  echo_at_bob();
  std::vector<Started<io::Result<io::Bytes>>> answers;
  for (std::uint64_t i = 0; i < 50; ++i)
    answers.push_back(start(scheduler, ask(at_alice->muxed, pattern(20'000 + i, i))));
  scheduler.run_for(5s);
  for (std::uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(answers[i].done()) << i;
    EXPECT_EQ(answers[i].value(), pattern(20'000 + i, i));
  }
  scheduler.run_for(1s);
  EXPECT_EQ(at_alice->muxed->streams(), 0u);
  EXPECT_EQ(at_bob->muxed->streams(), 0u);
}

TEST_F(QuicTest, TenMegabytesArriveWhole) {
  make_nodes();
  connect();
  auto stream = run_task(scheduler, at_alice->muxed->open_stream());
  const auto sent = pattern(10'000'000);
  const auto writing = start(scheduler, write_and_close(*stream, sent));
  auto accepted = run_task(scheduler, at_bob->muxed->accept_stream());
  const auto received = run_task(scheduler, read_all(*accepted));
  ASSERT_TRUE(received);
  EXPECT_TRUE(*received == sent);
}

TEST_F(QuicTest, TenMegabytesArriveWholeInSpiteOfLoss) {
  make_nodes();
  connect();
  net.loss = 0.02;
  auto stream = run_task(scheduler, at_alice->muxed->open_stream());
  const auto sent = pattern(10'000'000);
  const auto writing = start(scheduler, write_and_close(*stream, sent));
  auto accepted = run_task(scheduler, at_bob->muxed->accept_stream());
  const auto received = run_task(scheduler, read_all(*accepted));
  ASSERT_TRUE(received);
  EXPECT_TRUE(*received == sent);
}

TEST_F(QuicTest, AWriterWaitsForAReaderThatDoesNotRead) {
  make_nodes();
  connect();
  auto stream = run_task(scheduler, at_alice->muxed->open_stream());
  const auto writing = start(scheduler, write_and_close(*stream, pattern(2'000'000)));
  auto accepted = run_task(scheduler, at_bob->muxed->accept_stream());
  scheduler.run_for(20s);
  EXPECT_FALSE(writing.done());
  const auto received = run_task(scheduler, read_all(*accepted));
  EXPECT_TRUE(received == pattern(2'000'000));
  EXPECT_TRUE(writing.done());
}

TEST_F(QuicTest, AHalfClosedStreamGoesOnInTheOtherDirection) {
  make_nodes();
  connect();
  auto here = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, write_and_close(*here, pattern(10))));
  auto there = run_task(scheduler, at_bob->muxed->accept_stream());
  EXPECT_EQ(run_task(scheduler, read_all(*there)), pattern(10));
  scheduler.run_for(5s);
  ASSERT_TRUE(run_task(scheduler, write_and_close(*there, pattern(7))));
  EXPECT_EQ(run_task(scheduler, read_all(*here)), pattern(7));
}

TEST_F(QuicTest, AResetEndsBothDirectionsOnBothSides) {
  make_nodes();
  connect();
  auto here = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*here)->write(pattern(10))));
  auto there = run_task(scheduler, at_bob->muxed->accept_stream());
  const auto reading_here = start(scheduler, read_all(*here));
  const auto reading_there = start(scheduler, read_all(*there));
  scheduler.run_for(100ms);
  (*here)->reset(std::errc::timed_out);
  (*here)->reset(std::errc::no_link);
  scheduler.run_for(200ms);
  EXPECT_EQ(error_of(reading_here.value()), std::make_error_code(std::errc::timed_out));
  EXPECT_EQ(error_of(reading_there.value()), std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(error_of(run_task(scheduler, (*there)->write(pattern(1)))),
            std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(error_of(run_task(scheduler, (*here)->write(pattern(1)))),
            std::make_error_code(std::errc::timed_out));
  EXPECT_EQ(at_alice->muxed->streams(), 0u);
  EXPECT_EQ(at_bob->muxed->streams(), 0u);
}

TEST_F(QuicTest, DroppingAStreamResetsIt) {
  make_nodes();
  connect();
  auto here = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*here)->write(pattern(10))));
  auto there = run_task(scheduler, at_bob->muxed->accept_stream());
  const auto reading = start(scheduler, read_all(*there));
  here = io::fail(std::errc::operation_canceled);
  scheduler.run_for(200ms);
  ASSERT_TRUE(reading.done());
  EXPECT_EQ(error_of(reading.value()), std::make_error_code(std::errc::connection_reset));
}

TEST_F(QuicTest, StreamsResetUnreadGiveTheSharedWindowBack) {
  make_nodes();
  connect();
  const auto sent = pattern(256 * 1024);
  for (int i = 0; i < 20; ++i) {  // 20 × 256 KiB is more than the connection's window
    auto here = run_task(scheduler, at_alice->muxed->open_stream());
    ASSERT_TRUE(here);
    const auto writing = start(scheduler, (*here)->write(sent));
    auto there = run_task(scheduler, at_bob->muxed->accept_stream());
    scheduler.run_for(5s);
    ASSERT_TRUE(writing.done()) << i;
    (*there)->reset();
    scheduler.run_for(200ms);
  }
}

TEST_F(QuicTest, TheStreamLimitIsTheRemotes) {
  QuicProfile profile;
  profile.max_incoming_streams = 3;
  make_nodes(profile);
  connect();
  std::vector<io::StreamPtr> open;
  for (int i = 0; i < 3; ++i) {
    auto stream = run_task(scheduler, at_alice->muxed->open_stream());
    ASSERT_TRUE(stream);
    open.push_back(*stream);
  }
  EXPECT_EQ(error_of(run_task(scheduler, at_alice->muxed->open_stream())),
            std::make_error_code(std::errc::no_buffer_space));
  echo_at_bob();
  ASSERT_TRUE(run_task(scheduler, write_and_close(open[0], pattern(1))));
  ASSERT_TRUE(run_task(scheduler, read_all(open[0])));
  scheduler.run_for(200ms);
  EXPECT_TRUE(run_task(scheduler, at_alice->muxed->open_stream()));
}

TEST_F(QuicTest, ClosingFailsWhatWaitsHereAndThere) {
  make_nodes();
  connect();
  auto here = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*here)->write(pattern(10))));
  auto there = run_task(scheduler, at_bob->muxed->accept_stream());
  const auto reading_here = start(scheduler, read_all(*here));
  const auto reading_there = start(scheduler, read_all(*there));
  const auto accepting_there = start(scheduler, at_bob->muxed->accept_stream());
  scheduler.run_for(100ms);
  at_alice->muxed->close(std::make_error_code(std::errc::not_connected));
  scheduler.run_for(100ms);
  EXPECT_EQ(error_of(reading_here.value()), std::make_error_code(std::errc::not_connected));
  EXPECT_EQ(error_of(reading_there.value()), QuicError::closed_by_peer);
  EXPECT_EQ(error_of(accepting_there.value()), QuicError::closed_by_peer);
  EXPECT_TRUE(at_bob->muxed->closed());
  EXPECT_EQ(error_of(run_task(scheduler, at_bob->muxed->open_stream())), QuicError::closed_by_peer);
  EXPECT_EQ(alice->endpoint->connections(), 0u);
  EXPECT_EQ(bob->endpoint->connections(), 0u);
}

TEST_F(QuicTest, DroppingTheConnectionClosesIt) {
  make_nodes();
  connect();
  at_alice.reset();
  scheduler.run_for(100ms);
  EXPECT_TRUE(at_bob->muxed->closed());
}

TEST_F(QuicTest, AfterItsEndAConnectionLingersForThreeProbeTimeouts) {
  make_nodes();
  connect();
  scheduler.run_for(1s);
  at_alice->muxed->close(std::make_error_code(std::errc::operation_canceled));
  scheduler.run_for(100ms);
  EXPECT_EQ(alice->endpoint->lingering(), 1u);  // closing
  EXPECT_EQ(bob->endpoint->lingering(), 1u);    // draining
  // 50 ms round trip: a probe timeout of some 50 + 4·variance + 25 ms, so three are over after a second.
  scheduler.run_for(1s);
  EXPECT_EQ(alice->endpoint->lingering(), 0u);
  EXPECT_EQ(bob->endpoint->lingering(), 0u);
}

TEST_F(QuicTest, WhileClosingLateDatagramsAreAnsweredByTheCloseEverLessOften) {
  make_nodes();
  connect();
  io::Bytes late;
  net.tap = [&](const io::Endpoint& from, const io::Endpoint&, io::Bytes& payload) {
    if (from == bob->endpoint->local()) late = payload;
    return true;
  };
  auto stream = run_task(scheduler, at_bob->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*stream)->write(pattern(10))));
  scheduler.run_for(100ms);
  at_alice->muxed->close(std::make_error_code(std::errc::operation_canceled));
  net.tap = nullptr;
  net.trace.clear();
  for (int i = 0; i < 8; ++i) net.inject(bob->endpoint->local(), alice->endpoint->local(), late);
  scheduler.run_for(30ms);
  EXPECT_EQ(net.trace.size(), 4u);  // to the first, second, fourth and eighth
}

TEST_F(QuicTest, WhileDrainingNothingIsSent) {
  make_nodes();
  connect();
  io::Bytes late;
  net.tap = [&](const io::Endpoint& from, const io::Endpoint&, io::Bytes& payload) {
    if (from == alice->endpoint->local()) late = payload;
    return true;
  };
  auto stream = run_task(scheduler, at_alice->muxed->open_stream());
  ASSERT_TRUE(run_task(scheduler, (*stream)->write(pattern(10))));
  scheduler.run_for(100ms);
  net.tap = nullptr;
  ASSERT_FALSE(late.empty());
  at_alice->muxed->close(std::make_error_code(std::errc::operation_canceled));
  scheduler.run_for(30ms);
  ASSERT_EQ(bob->endpoint->lingering(), 1u);
  net.trace.clear();
  for (int i = 0; i < 8; ++i) net.inject(alice->endpoint->local(), bob->endpoint->local(), late);
  scheduler.run_for(30ms);
  EXPECT_TRUE(net.trace.empty());
}

TEST_F(QuicTest, WithoutKeepAliveAnIdleConnectionIsForgotten) {
  QuicProfile profile;
  profile.keep_alive = 0s;
  make_nodes(profile);
  connect();
  scheduler.run_for(29s);
  EXPECT_FALSE(at_alice->muxed->closed());
  net.trace.clear();
  scheduler.run_for(2s);
  EXPECT_TRUE(at_alice->muxed->closed());
  EXPECT_TRUE(net.trace.empty());
  EXPECT_EQ(error_of(run_task(scheduler, at_alice->muxed->accept_stream())), QuicError::idle_timeout);
  EXPECT_EQ(alice->endpoint->connections() + bob->endpoint->connections(), 0u);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

TEST_F(QuicTest, KeepAliveHoldsAnIdleConnection) {
  make_nodes();
  connect();
  net.trace.clear();
  scheduler.run_for(10min);
  EXPECT_FALSE(at_alice->muxed->closed());
  EXPECT_FALSE(at_bob->muxed->closed());
  EXPECT_GE(net.trace.size(), 10 * 60 / 15u);
  EXPECT_LE(net.trace.size(), 10 * 60 / 15u * 4);  // a PING and its acknowledgement, at most by either side
}

TEST_F(QuicTest, WhenTheRemoteVanishesTheConnectionEndsByItself) {
  make_nodes();
  connect();
  net.tap = [](const io::Endpoint&, const io::Endpoint&, io::Bytes&) { return false; };
  scheduler.run_for(60s);
  EXPECT_EQ(error_of(run_task(scheduler, at_alice->muxed->accept_stream())), QuicError::idle_timeout);
  EXPECT_EQ(alice->endpoint->connections() + bob->endpoint->connections(), 0u);
}

TEST_F(QuicTest, AfterANatRebindingTheConnectionGoesOn) {
  auto& nat = net.nat("203.0.113.1");
  NodeOptions options;
  options.nat = &nat;
  alice = make_node(net, "10.0.0.1", 1, options);
  bob = make_node(net, "192.0.2.2", 2);
  connect();
  echo_at_bob();
  ASSERT_EQ(run_task(scheduler, ask(at_alice->muxed, pattern(10))), pattern(10));
  nat.rebind();
  const auto begun = scheduler.now();
  EXPECT_EQ(run_task(scheduler, ask(at_alice->muxed, pattern(3000))), pattern(3000));
  EXPECT_LT(scheduler.now() - begun, 1s);
  EXPECT_FALSE(at_bob->muxed->closed());
}

}  // namespace
}  // namespace flaresim::quic
