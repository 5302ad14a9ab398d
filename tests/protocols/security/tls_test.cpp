#include "protocols/security/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/protocols/security/tls_forger.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::security {
namespace {

using namespace std::chrono_literals;
using support::Started;

constexpr auto modern = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

Handshake expecting(const multiformats::PeerId& peer) {
  Handshake handshake;
  handshake.expected = peer;
  return handshake;
}

Handshake offering(std::vector<std::string> muxers) {
  Handshake handshake;
  handshake.muxers = std::move(muxers);
  return handshake;
}

struct TlsTest : testing::Test {
  support::TestScheduler scheduler;
  support::Pipe pipe = support::pipe(scheduler, {.latency = 10ms});
  crypto::PrivateKey alice = key(1);
  crypto::PrivateKey bob = key(2);

  ~TlsTest() override {
    pipe = {};
    scheduler.run();
  }

  static crypto::PrivateKey key(std::uint64_t number) {
    io::Random random(number);
    return crypto::PrivateKey::generate(random);
  }
  TlsIdentityPtr identity(const crypto::PrivateKey& host, TlsOptions options = {}) {
    io::Random random(3);
    return std::make_shared<const TlsIdentity>(host, random, scheduler.calendar(), std::move(options));
  }
  Started<io::Result<Secured>> client(Handshake handshake = {}, TlsOptions options = {}) {
    handshake.role = Role::client;
    return support::start(scheduler, tls(scheduler, pipe.a, identity(alice, std::move(options)), handshake));
  }
  Started<io::Result<Secured>> server(Handshake handshake = {}) {
    handshake.role = Role::server;
    return support::start(scheduler, tls(scheduler, pipe.b, identity(bob), handshake));
  }
  support::ForgedCertificate forged(const crypto::PrivateKey& host) {
    return support::forge(host,
                          {.not_before = scheduler.calendar() - 1h, .not_after = scheduler.calendar() + 1h});
  }
  /// What the server makes of a client that shows these certificates and offers these protocols.
  Failure server_refusal(std::vector<support::ForgedCertificate> chain, std::vector<std::string> protocols,
                         const char* priorities = modern) {
    const auto accepted = server();
    const auto raw =
        support::start(scheduler, support::raw_client(*pipe.a, std::move(chain), protocols, priorities));
    scheduler.run();
    EXPECT_TRUE(accepted.done() && raw.done());
    EXPECT_TRUE(pipe.b->reset_reason());
    return error_of(accepted.value());
  }
  /// What the server makes of these bytes.
  Failure server_refusal(io::BytesView bytes) {
    const auto accepted = server();
    pipe.a->inject(bytes);
    (void)support::run_task(scheduler, pipe.a->close_write());
    scheduler.run();
    EXPECT_TRUE(accepted.done());
    return error_of(accepted.value());
  }
};

io::Task<io::Result<io::Bytes>> read_all(io::StreamPtr stream) {
  io::Bytes all;
  std::array<std::uint8_t, 1000> buffer;
  for (;;) {
    const auto got = co_await stream->read(buffer);
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) co_return all;
    io::append(all, io::BytesView(buffer).first(*got));
  }
}

io::Task<io::Result<>> write_and_close(io::StreamPtr stream, io::Bytes bytes) {
  if (auto sent = co_await stream->write(bytes); !sent) co_return sent;
  co_return co_await stream->close_write();
}

io::Task<io::Result<>> echo(io::StreamPtr stream) {
  const auto all = co_await read_all(stream);
  if (!all) co_return tl::unexpected(all.error());
  co_return co_await write_and_close(stream, *all);
}

io::Bytes pattern(std::size_t size) {
  io::Bytes bytes(size);
  io::Random random(9);
  random.fill(bytes);
  return bytes;
}

TEST_F(TlsTest, EachSideLearnsTheOther) {
  const auto a = client(expecting(bob.public_key().peer_id()));
  const auto b = server(expecting(alice.public_key().peer_id()));
  scheduler.run();
  ASSERT_TRUE(a.value()) << a.value().error().message();
  ASSERT_TRUE(b.value()) << b.value().error().message();
  EXPECT_EQ(a.value()->remote_key, bob.public_key());
  EXPECT_EQ(b.value()->remote_key, alice.public_key());
  EXPECT_EQ(a.value()->remote, bob.public_key().peer_id());
}

TEST_F(TlsTest, AClientIsThroughAfterOneRoundTrip) {
  const auto a = client();
  const auto b = server();
  scheduler.run_for(20ms);
  EXPECT_TRUE(a.done());
  EXPECT_FALSE(b.done());
  scheduler.run_for(10ms);
  EXPECT_TRUE(b.done());
}

TEST_F(TlsTest, WhatIsWrittenComesBackThroughHalfClosedStreams) {
  const auto a = client();
  const auto b = server();
  scheduler.run();
  const auto sent = pattern(300'000);
  const auto echoed = support::start(scheduler, echo(b.value()->stream));
  const auto written = support::start(scheduler, write_and_close(a.value()->stream, sent));
  const auto received = support::run_task(scheduler, read_all(a.value()->stream));
  ASSERT_TRUE(received) << received.error().message();
  EXPECT_TRUE(*received == sent);
  scheduler.run();
  EXPECT_TRUE(pipe.a->ended());
}

TEST_F(TlsTest, AnIdentityForOneConnectionWorksToo) {
  const auto a = support::start(scheduler, tls(scheduler, pipe.a, alice, io::Random(5), Handshake()));
  const auto b = server();
  scheduler.run();
  ASSERT_TRUE(a.value());
  EXPECT_EQ(b.value()->remote_key, alice.public_key());
}

TEST_F(TlsTest, TheClientsFirstCommonMuxerIsAgreed) {
  const auto a = client(offering({"/mplex/6.7.0", "/yamux/1.0.0", "/other"}));
  const auto b = server(offering({"/other", "/yamux/1.0.0"}));
  scheduler.run();
  EXPECT_EQ(a.value()->muxer, "/yamux/1.0.0");
  EXPECT_EQ(b.value()->muxer, "/yamux/1.0.0");
}

TEST_F(TlsTest, WithoutACommonMuxerItIsLeftToMultistream) {
  const auto a = client(offering({"/yamux/1.0.0"}));
  const auto b = server(offering({"/other"}));
  scheduler.run();
  EXPECT_EQ(a.value()->muxer, "");
  EXPECT_EQ(b.value()->muxer, "");
}

TEST_F(TlsTest, AClientRefusesAnotherServer) {
  const auto a = client(expecting(key(7).public_key().peer_id()));
  const auto b = server();
  scheduler.run();
  EXPECT_EQ(error_of(a.value()), TlsError::peer_mismatch);
  EXPECT_EQ(error_of(b.value()), TlsError::alert_received);
}

TEST_F(TlsTest, AServerRefusesAnotherClientWhichLearnsByReading) {
  const auto a = client();
  const auto b = server(expecting(key(7).public_key().peer_id()));
  scheduler.run_for(25ms);
  ASSERT_TRUE(a.value());
  const auto received = support::run_task(scheduler, read_all(a.value()->stream));
  EXPECT_EQ(error_of(received), TlsError::alert_received);
  EXPECT_EQ(error_of(b.value()), TlsError::peer_mismatch);
}

TEST_F(TlsTest, AClientWithAForgedButRightCertificateIsAccepted) {
  const auto accepted = server();
  const auto raw =
      support::start(scheduler, support::raw_client(*pipe.a, {forged(alice)}, {"libp2p"}, modern));
  scheduler.run_for(100ms);
  ASSERT_TRUE(accepted.done());
  ASSERT_TRUE(accepted.value()) << accepted.value().error().message();
  EXPECT_EQ(accepted.value()->remote_key, alice.public_key());
}

TEST_F(TlsTest, AClientWithoutACertificateIsRefused) {
  EXPECT_EQ(server_refusal({}, {"libp2p"}), TlsError::certificate_missing);
}

TEST_F(TlsTest, AClientWithTwoCertificatesIsRefused) {
  EXPECT_EQ(server_refusal({forged(alice), forged(alice)}, {"libp2p"}), TlsError::several_certificates);
}

TEST_F(TlsTest, AClientOfAnotherProtocolIsRefused) {
  EXPECT_EQ(server_refusal({forged(alice)}, {"h2"}), TlsError::no_common_protocol);
}

TEST_F(TlsTest, AClientWithoutAnyProtocolIsRefused) {
  EXPECT_EQ(server_refusal({forged(alice)}, {}), TlsError::no_common_protocol);
}

TEST_F(TlsTest, AClientOfTls12IsRefused) {
  EXPECT_EQ(server_refusal({forged(alice)}, {"libp2p"}, "NORMAL:-VERS-ALL:+VERS-TLS1.2"),
            TlsError::unsupported_version);
}

TEST_F(TlsTest, AnExpiredCertificateIsRefusedByTheWorldsCalendar) {
  auto old = support::forge(
      alice, {.not_before = scheduler.calendar() - 2h, .not_after = scheduler.calendar() - 1h});
  EXPECT_EQ(server_refusal({old}, {"libp2p"}), TlsError::expired);
}

TEST_F(TlsTest, GarbageIsRefused) { EXPECT_EQ(server_refusal(pattern(500)), TlsError::malformed_message); }

TEST_F(TlsTest, AnOversizedRecordIsRefused) {
  EXPECT_EQ(server_refusal(io::Bytes{22, 3, 1, 0xff, 0xff, 1, 0, 0, 0}), TlsError::malformed_message);
}

TEST_F(TlsTest, ATruncatedHelloIsAnAbortedConnection) {
  EXPECT_EQ(server_refusal(io::Bytes{22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3}),
            std::make_error_code(std::errc::connection_aborted));
}

TEST_F(TlsTest, AnEmptyConnectionIsAnAbortedOne) {
  EXPECT_EQ(server_refusal(io::Bytes{}), std::make_error_code(std::errc::connection_aborted));
}

TEST_F(TlsTest, ATamperedRecordResetsTheStream) {
  const auto a = client();
  const auto b = server();
  scheduler.run();
  pipe.a->on_write([](io::Bytes& bytes) { bytes.back() ^= 1; });
  const auto written = support::start(scheduler, write_and_close(a.value()->stream, pattern(10)));
  const auto received = support::run_task(scheduler, read_all(b.value()->stream));
  EXPECT_EQ(error_of(received), TlsError::decryption_failed);
  EXPECT_TRUE(pipe.b->reset_reason());
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsACut) {
  const auto a = client();
  const auto b = server();
  scheduler.run();
  const auto received = support::start(scheduler, read_all(b.value()->stream));
  (void)support::run_task(scheduler, pipe.a->close_write());
  scheduler.run();
  ASSERT_TRUE(received.done());
  EXPECT_EQ(error_of(received.value()), std::make_error_code(std::errc::connection_aborted));
}

TEST_F(TlsTest, AResetPassesThroughBothWays) {
  const auto a = client();
  const auto b = server();
  scheduler.run();
  const auto here = support::start(scheduler, read_all(a.value()->stream));
  const auto there = support::start(scheduler, read_all(b.value()->stream));
  scheduler.settle();
  a.value()->stream->reset(std::errc::timed_out);
  a.value()->stream->reset(std::errc::no_link);
  scheduler.run();
  EXPECT_EQ(error_of(here.value()), std::make_error_code(std::errc::timed_out));
  EXPECT_EQ(error_of(there.value()), std::make_error_code(std::errc::connection_reset));
  const auto later = support::run_task(scheduler, write_and_close(a.value()->stream, pattern(1)));
  EXPECT_EQ(error_of(later), std::make_error_code(std::errc::timed_out));
}

TEST_F(TlsTest, DroppingTheStreamResetsTheConnection) {
  auto a = client();
  auto b = server();
  scheduler.run();
  a.value() = io::fail(std::errc::operation_canceled);
  EXPECT_TRUE(pipe.a->reset_reason());
}

TEST_F(TlsTest, TheKeyLogNamesEverySecretOfTheConnection) {
  std::vector<std::string> lines;
  TlsOptions options;
  options.key_log = [&](std::string_view line) { lines.emplace_back(line); };
  const auto a = client({}, options);
  const auto b = server();
  scheduler.run();
  ASSERT_TRUE(a.value());
  using testing::Contains;
  for (const std::string label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                                  "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"}) {
    EXPECT_THAT(lines, Contains(testing::MatchesRegex(label + " [0-9a-f]{64} [0-9a-f]{64,96}\n")));
  }
}

TEST_F(TlsTest, RecordsOfOneSeedHaveOneSize) {
  std::vector<std::uint64_t> sizes;
  for (int run = 0; run < 2; ++run) {
    pipe = support::pipe(scheduler, {.latency = 10ms});
    const auto a = client();
    const auto b = server();
    scheduler.run();
    sizes.push_back(pipe.a->bytes_written());
    sizes.push_back(pipe.b->bytes_written());
  }
  EXPECT_EQ(sizes[0], sizes[2]);
  EXPECT_EQ(sizes[1], sizes[3]);
}

}  // namespace
}  // namespace flaresim::security
