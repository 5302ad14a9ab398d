#include "protocols/security/noise.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>

#include "protocols/security/noise_handshake.h"
#include "tests/protocols/security/noise_vectors.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::security {
namespace {

using namespace std::chrono_literals;
using Outcome = io::Result<Secured>;

const crypto::PrivateKey& key_of(char name) {
  static std::map<char, crypto::PrivateKey> keys;
  std::array<std::uint8_t, crypto::PrivateKey::seed_bytes> seed{};
  seed[0] = static_cast<std::uint8_t>(name);
  return keys.try_emplace(name, crypto::PrivateKey::from_seed(seed)).first->second;
}

const crypto::PrivateKey& alice = key_of('a');
const crypto::PrivateKey& bob = key_of('b');
const crypto::PrivateKey& mallory = key_of('m');

multiformats::PeerId id(const crypto::PrivateKey& key) { return key.public_key().peer_id(); }

// --- the handshake payload by hand, from its protobuf definition ---

void append_field(io::Bytes& to, std::uint8_t number, io::BytesView value) {
  ASSERT_LT(value.size(), 128u);
  to.push_back(static_cast<std::uint8_t>(number << 3 | 2));
  to.push_back(static_cast<std::uint8_t>(value.size()));
  io::append(to, value);
}

io::Bytes payload(io::BytesView key, io::BytesView signature) {
  io::Bytes bytes;
  append_field(bytes, 1, key);
  append_field(bytes, 2, signature);
  return bytes;
}

io::Bytes signature(const crypto::PrivateKey& key, const Block& static_key,
                    std::string_view prefix = "noise-libp2p-static-key:") {
  auto bytes = io::to_bytes(prefix);
  io::append(bytes, static_key);
  return key.sign(bytes);
}

/// What an honest peer sends.
io::Bytes honest_payload(const Block& static_key) {
  return payload(mallory.public_key().to_message(), signature(mallory, static_key));
}

using MakePayload = std::function<io::Bytes(const Block& static_key)>;

io::Task<> send_frame(io::Stream& stream, io::Bytes message) {
  io::Bytes frame{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
  io::append(frame, message);
  (void)co_await stream.write(frame);
}

io::Task<io::Bytes> receive_frame(io::Stream& stream) {
  std::array<std::uint8_t, 2> length;
  if (!co_await io::read_exactly(stream, length)) co_return io::Bytes();
  io::Bytes message(length[0] * 256u + length[1]);
  (void)co_await io::read_exactly(stream, message);
  co_return message;
}

/// A server whose cryptography is right and whose payload is what the test says.
io::Task<> rogue_server(io::Stream& stream, const MakePayload& make) {
  io::Random random(7);
  const auto fixed = KeyPair::generate(random);
  XxHandshake noise(Role::server, {}, fixed, KeyPair::generate(random));
  (void)noise.read_message(co_await receive_frame(stream));
  co_await send_frame(stream, *noise.write_message(make(fixed.shared)));
}

/// A client of that kind.
io::Task<> rogue_client(io::Stream& stream, const MakePayload& make) {
  io::Random random(8);
  const auto fixed = KeyPair::generate(random);
  XxHandshake noise(Role::client, {}, fixed, KeyPair::generate(random));
  co_await send_frame(stream, *noise.write_message({}));
  (void)noise.read_message(co_await receive_frame(stream));
  co_await send_frame(stream, *noise.write_message(make(fixed.shared)));
}

class Noise : public ::testing::Test {
 protected:
  ~Noise() override { EXPECT_EQ(scheduler.armed_timers(), 0u); }

  support::Started<Outcome> start(io::StreamPtr stream, const crypto::PrivateKey& key, Handshake handshake) {
    return support::start(scheduler, noise(scheduler, std::move(stream), key,
                                           io::Random(1).derive(id(key).to_string()), std::move(handshake)));
  }

  /// Alice dials Bob; each has these muxers.
  void shake_hands(std::vector<std::string> alices, std::vector<std::string> bobs) {
    client = start(pipe.a, alice, {Role::client, id(bob), std::move(alices)});
    server = start(pipe.b, bob, {Role::server, std::nullopt, std::move(bobs)});
    scheduler.run();
    ASSERT_TRUE(client->done() && server->done());
  }

  void expect_failed(const Outcome& outcome, std::error_code why, const support::PipeEnd& end) {
    EXPECT_EQ(error_of(outcome), why);
    EXPECT_EQ(end.reset_reason(), why);
    scheduler.run();
    EXPECT_TRUE(pipe.a->ended() && pipe.b->ended());
    EXPECT_EQ(scheduler.armed_timers(), 0u);
  }

  /// The same payload must be refused for the same reason by a client and by a server.
  void expect_refused(const MakePayload& make, std::error_code why) {
    auto rogue = support::start(scheduler, rogue_server(*pipe.b, make));
    client = start(pipe.a, alice, {Role::client, std::nullopt, {}});
    scheduler.run();
    expect_failed(client->value(), why, *pipe.a);

    pipe = support::pipe(scheduler);
    rogue = support::start(scheduler, rogue_client(*pipe.a, make));
    server = start(pipe.b, bob, {Role::server, std::nullopt, {}});
    scheduler.run();
    expect_failed(server->value(), why, *pipe.b);
  }

  support::TestScheduler scheduler;
  support::Pipe pipe = support::pipe(scheduler);
  std::optional<support::Started<Outcome>> client, server;
};

TEST_F(Noise, BothSidesLearnWhoTheOtherIs) {
  shake_hands({}, {});
  ASSERT_TRUE(client->value());
  ASSERT_TRUE(server->value());
  EXPECT_EQ(client->value()->remote, id(bob));
  EXPECT_EQ(client->value()->remote_key, bob.public_key());
  EXPECT_EQ(server->value()->remote, id(alice));
  EXPECT_EQ(server->value()->remote_key, alice.public_key());
  EXPECT_EQ(client->value()->muxer, "");
}

TEST_F(Noise, SecuredStreamsCarryBytesBothWays) {
  shake_hands({}, {});
  auto& at_alice = *client->value()->stream;
  auto& at_bob = *server->value()->stream;
  ASSERT_TRUE(run_task(scheduler, at_alice.write(io::as_bytes("ping"))));
  ASSERT_TRUE(run_task(scheduler, at_bob.write(io::as_bytes("pong"))));
  io::Bytes received(4);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(at_bob, received)));
  EXPECT_EQ(io::as_text(received), "ping");
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(at_alice, received)));
  EXPECT_EQ(io::as_text(received), "pong");
}

TEST_F(Noise, TakesOneAndAHalfRoundTrips) {
  pipe = support::pipe(scheduler, {.latency = 10ms});
  client = start(pipe.a, alice, {Role::client, std::nullopt, {}});
  server = start(pipe.b, bob, {Role::server, std::nullopt, {}});
  ASSERT_TRUE(scheduler.run_until([&] { return client->done(); }));
  EXPECT_EQ(scheduler.now().time_since_epoch(), 20ms);
  ASSERT_TRUE(scheduler.run_until([&] { return server->done(); }));
  EXPECT_EQ(scheduler.now().time_since_epoch(), 30ms);
}

TEST_F(Noise, FirstMessageIsTheEphemeralKeyAndNothingElse) {
  client = start(pipe.a, alice, {Role::client, std::nullopt, {"/yamux/1.0.0"}});
  scheduler.settle();
  EXPECT_EQ(pipe.b->unread_bytes(), 2u + 32u);
  pipe.a->reset();
  scheduler.run();
}

TEST_F(Noise, SurvivesBeingCutIntoSingleBytes) {
  pipe = support::pipe(scheduler, {.max_read_bytes = 1});
  shake_hands({"/yamux/1.0.0"}, {"/yamux/1.0.0"});
  ASSERT_TRUE(client->value());
  ASSERT_TRUE(server->value());
}

TEST_F(Noise, SameSeedsMakeTheSameBytes) {
  shake_hands({}, {});
  const auto count = pipe.a->bytes_written();
  io::Bytes first, second;
  for (auto* seen : {&first, &second}) {
    pipe = support::pipe(scheduler);
    pipe.a->on_write([seen](io::Bytes& bytes) { io::append(*seen, bytes); });
    shake_hands({}, {});
  }
  EXPECT_EQ(first.size(), count);
  EXPECT_EQ(first, second);
}

TEST_F(Noise, ClientsOrderDecidesTheMuxer) {
  shake_hands({"/one", "/two", "/three"}, {"/three", "/two"});
  ASSERT_TRUE(client->value());
  ASSERT_TRUE(server->value());
  EXPECT_EQ(client->value()->muxer, "/two");
  EXPECT_EQ(server->value()->muxer, "/two");
}

TEST_F(Noise, MuxerIsLeftOpenWhenOneSideOffersNone) {
  shake_hands({"/yamux/1.0.0"}, {});
  ASSERT_TRUE(client->value());
  ASSERT_TRUE(server->value());
  EXPECT_EQ(client->value()->muxer, "");
  EXPECT_EQ(server->value()->muxer, "");
}

TEST_F(Noise, FailsWithoutACommonMuxer) {
  shake_hands({"/one"}, {"/two"});
  expect_failed(client->value(), NoiseError::no_common_muxer, *pipe.a);
  EXPECT_FALSE(server->value());
}

TEST_F(Noise, ServerFailsWithoutACommonMuxerToo) {
  const MakePayload make = [](const Block& static_key) {
    auto bytes = honest_payload(static_key);
    append_field(bytes, 4, io::as_bytes("\x12\x04/one"));
    return bytes;
  };
  auto rogue = support::start(scheduler, rogue_client(*pipe.a, make));
  server = start(pipe.b, bob, {Role::server, std::nullopt, {"/two"}});
  scheduler.run();
  expect_failed(server->value(), NoiseError::no_common_muxer, *pipe.b);
}

TEST_F(Noise, ReadsMuxersFromAForeignPayloadAndIgnoresWhatItDoesNotKnow) {
  const MakePayload make = [](const Block& static_key) {
    auto bytes = honest_payload(static_key);
    // A certificate hash, the muxer, an extension of tomorrow, and a field of tomorrow beside the extensions.
    append_field(bytes, 4, io::as_bytes("\x0a\x02zz\x12\x04/mux\xa2\x3e\x01?"));
    append_field(bytes, 9, io::as_bytes("tomorrow"));
    return bytes;
  };
  auto rogue = support::start(scheduler, rogue_server(*pipe.b, make));
  client = start(pipe.a, alice, {Role::client, id(mallory), {"/other", "/mux"}});
  scheduler.run();
  ASSERT_TRUE(client->value()) << client->value().error().message();
  EXPECT_EQ(client->value()->muxer, "/mux");
  EXPECT_EQ(client->value()->remote, id(mallory));
}

TEST_F(Noise, ClientRefusesAnotherPeerThanItDialled) {
  client = start(pipe.a, alice, {Role::client, id(bob), {}});
  server = start(pipe.b, mallory, {Role::server, std::nullopt, {}});
  scheduler.run();
  expect_failed(client->value(), NoiseError::peer_mismatch, *pipe.a);
  EXPECT_FALSE(server->value());
}

TEST_F(Noise, ServerRefusesAnotherPeerThanItPunchedFor) {
  client = start(pipe.a, mallory, {Role::client, std::nullopt, {}});
  server = start(pipe.b, bob, {Role::server, id(alice), {}});
  scheduler.run();
  expect_failed(server->value(), NoiseError::peer_mismatch, *pipe.b);
}

TEST_F(Noise, RefusesASignatureThatIsWrong) {
  expect_refused(
      [](const Block& key) {
        auto wrong = signature(mallory, key);
        wrong[0] ^= 1;
        return payload(mallory.public_key().to_message(), wrong);
      },
      NoiseError::bad_signature);
}

TEST_F(Noise, RefusesASignatureUnderAnotherPrefix) {
  expect_refused(
      [](const Block& key) {
        return payload(mallory.public_key().to_message(), signature(mallory, key, "noise-libp2p-static-key"));
      },
      NoiseError::bad_signature);
}

TEST_F(Noise, RefusesASignatureOfAnotherStaticKey) {
  expect_refused(
      [](const Block&) { return payload(mallory.public_key().to_message(), signature(mallory, Block{9})); },
      NoiseError::bad_signature);
}

TEST_F(Noise, RefusesAnIdentityThatSomebodyElseSignedFor) {
  expect_refused(
      [](const Block& key) { return payload(alice.public_key().to_message(), signature(mallory, key)); },
      NoiseError::bad_signature);
}

TEST_F(Noise, JudgesTheSignatureBeforeThePeer) {
  const MakePayload make = [](const Block& key) {
    return payload(alice.public_key().to_message(), signature(mallory, key));
  };
  auto rogue = support::start(scheduler, rogue_server(*pipe.b, make));
  client = start(pipe.a, alice, {Role::client, id(bob), {}});
  scheduler.run();
  expect_failed(client->value(), NoiseError::bad_signature, *pipe.a);
}

TEST_F(Noise, RefusesAPayloadWithoutAKey) {
  expect_refused(
      [](const Block& key) {
        io::Bytes bytes;
        append_field(bytes, 2, signature(mallory, key));
        return bytes;
      },
      NoiseError::malformed_payload);
}

TEST_F(Noise, RefusesAPayloadWithoutASignature) {
  expect_refused(
      [](const Block&) {
        io::Bytes bytes;
        append_field(bytes, 1, mallory.public_key().to_message());
        return bytes;
      },
      NoiseError::malformed_payload);
}

TEST_F(Noise, RefusesAPayloadThatIsNoMessage) {
  expect_refused([](const Block&) { return io::to_bytes("\x0a\x7fshort"); }, NoiseError::malformed_payload);
}

TEST_F(Noise, RefusesAnEmptyPayload) {
  expect_refused([](const Block&) { return io::Bytes(); }, NoiseError::malformed_payload);
}

TEST_F(Noise, RefusesAnIdentityKeyThatIsNone) {
  expect_refused([](const Block& key) { return payload(io::as_bytes("not a key"), signature(mallory, key)); },
                 NoiseError::bad_identity_key);
}

TEST_F(Noise, RefusesAnIdentityItCannotVerify) {
  expect_refused(
      [](const Block& key) {
        // An ECDSA key on the curve P-384, in PKIX, inside its key message.
        const auto p384 = from_hex(
            "080312783076301006072a8648ce3d020106052b81040022036200044c3a8a297ed9ff9589376032f4f96172effd0bbc"
            "a8d5"
            "19d684432b3573bcb5bc2faf256a62a8237f859acfb57d8b97c5006d43f20b2d0c39336c7a87b35c6a6c4b7ef4c9215a"
            "92fb"
            "1662f2da783708c0a1f916947d9ffcea5aae2cd51101cddd");
        return payload(p384, signature(mallory, key));
      },
      crypto::KeyError::unsupported_key_type);
}

class NoiseFrames : public Noise {
 protected:
  /// What a server makes of bytes from a client that then says no more.
  void expect_server_fails(io::BytesView bytes, std::error_code why) {
    pipe.a->inject(bytes);
    ASSERT_TRUE(run_task(scheduler, pipe.a->close_write()));
    server = start(pipe.b, bob, {Role::server, std::nullopt, {}});
    scheduler.run();
    expect_failed(server->value(), why, *pipe.b);
  }
};

TEST_F(NoiseFrames, FirstMessageWithoutAWholeKeyIsRefused) {
  io::Bytes bytes{0, 31};
  bytes.resize(2 + 31);
  expect_server_fails(bytes, NoiseError::handshake_truncated);
}

TEST_F(NoiseFrames, FirstMessageOfLengthZeroIsRefused) {
  expect_server_fails(io::Bytes{0, 0}, NoiseError::handshake_truncated);
}

TEST_F(NoiseFrames, ClientKeyOfSmallOrderIsRefused) {
  io::Bytes bytes{0, 32};
  bytes.resize(2 + 32);
  expect_server_fails(bytes, NoiseError::weak_key);
}

TEST_F(NoiseFrames, StreamThatEndsInsideAMessageIsRefused) {
  expect_server_fails(io::Bytes{0, 32, 1, 2, 3}, std::make_error_code(std::errc::connection_aborted));
}

TEST_F(NoiseFrames, ThirdMessageOfGarbageIsRefused) {
  io::Bytes bytes{0, 32, 9};  // the base point: a fine ephemeral key
  bytes.resize(2 + 32);
  bytes.insert(bytes.end(), {0xff, 0xff});
  bytes.resize(bytes.size() + 65'535, 0x55);
  expect_server_fails(bytes, NoiseError::decryption_failed);
}

TEST_F(NoiseFrames, ThirdMessageThatIsTooShortIsRefused) {
  io::Bytes bytes{0, 32, 9};
  bytes.resize(2 + 32);
  bytes.insert(bytes.end(), {0, 0});
  expect_server_fails(bytes, NoiseError::handshake_truncated);
}

TEST_F(Noise, ChangedTagInTheHandshakeIsRefused) {
  pipe.b->on_write([](io::Bytes& bytes) { bytes.back() ^= 1; });
  shake_hands({}, {});
  expect_failed(client->value(), NoiseError::decryption_failed, *pipe.a);
  EXPECT_FALSE(server->value());
}

TEST_F(Noise, TwoClientsRefuseEachOther) {
  client = start(pipe.a, alice, {Role::client, std::nullopt, {}});
  server = start(pipe.b, bob, {Role::client, std::nullopt, {}});
  scheduler.run();
  expect_failed(client->value(), NoiseError::handshake_truncated, *pipe.a);
  EXPECT_FALSE(server->value());
}

TEST_F(Noise, TwoServersWaitUntilTheTimeLimit) {
  client = start(pipe.a, alice, {Role::server, std::nullopt, {}});
  server = start(pipe.b, bob, {Role::server, std::nullopt, {}});
  {
    const io::Deadline limit(scheduler, pipe.a, 15s);
    scheduler.run_for(14s);
    EXPECT_FALSE(client->done() || server->done());
    scheduler.run_for(1s);
  }
  expect_failed(client->value(), std::make_error_code(std::errc::timed_out), *pipe.a);
  expect_failed(server->value(), std::make_error_code(std::errc::connection_reset), *pipe.b);
}

TEST_F(Noise, SurvivesRandomBytes) {
  io::Random random(4);
  for (int i = 0; i < 2'000; ++i) {
    pipe = support::pipe(scheduler);
    // Two frames with lengths that a handshake might have, so that both messages are reached.
    io::Bytes bytes(2 + 32 + 2 + 200);
    random.fill(bytes);
    bytes[0] = 0, bytes[1] = i % 4 == 0 ? bytes[1] : 32;
    bytes[34] = 0, bytes[35] = static_cast<std::uint8_t>(random.below(200));
    pipe.a->inject(bytes);
    ASSERT_TRUE(run_task(scheduler, pipe.a->close_write()));
    const auto role = i % 2 == 0 ? Role::server : Role::client;
    auto outcome = start(pipe.b, bob, {role, std::nullopt, {}});
    scheduler.run();
    ASSERT_TRUE(outcome.done());
    ASSERT_FALSE(outcome.value());
    ASSERT_TRUE(pipe.b->reset_reason());
    ASSERT_EQ(scheduler.armed_timers(), 0u);
  }
}

}  // namespace
}  // namespace flaresim::security
