#include "protocols/security/noise_stream.h"

#include <gtest/gtest.h>

#include "protocols/security/noise.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::security {
namespace {

using namespace std::chrono_literals;

const Block one_key{1};
const Block other_key{2};

/// A frame as the specification draws it, made with the cipher alone.
io::Bytes frame(CipherState& cipher, io::BytesView plain) {
  const auto length = plain.size() + CipherState::tag_bytes;
  io::Bytes bytes(2 + length);
  bytes[0] = static_cast<std::uint8_t>(length / 256);
  bytes[1] = static_cast<std::uint8_t>(length % 256);
  EXPECT_TRUE(cipher.encrypt({}, plain, std::span(bytes).subspan(2)));
  return bytes;
}

io::Bytes noise_like(std::size_t size) {
  io::Bytes bytes(size);
  io::Random(size).fill(bytes);
  return bytes;
}

class NoiseStreams : public ::testing::Test {
 protected:
  ~NoiseStreams() override { EXPECT_EQ(scheduler.armed_timers(), 0u); }

  void connect(const support::PipeOptions& options) {
    pipe = support::pipe(scheduler, options);
    a = std::make_shared<NoiseStream>(pipe.a,
                                      XxHandshake::Ciphers{CipherState(one_key), CipherState(other_key)});
    b = std::make_shared<NoiseStream>(pipe.b,
                                      XxHandshake::Ciphers{CipherState(other_key), CipherState(one_key)});
  }
  void SetUp() override { connect({}); }

  io::Result<std::size_t> read_at_b() {
    io::Bytes into(16);
    return run_task(scheduler, b->read(into));
  }

  void expect_reset(const io::Result<std::size_t>& read, std::error_code why) {
    EXPECT_EQ(error_of(read), why);
    EXPECT_EQ(pipe.b->reset_reason(), why);
    scheduler.run();
    EXPECT_TRUE(pipe.a->ended());
  }

  support::TestScheduler scheduler;
  support::Pipe pipe;
  std::shared_ptr<NoiseStream> a, b;
};

TEST_F(NoiseStreams, WhatIsWrittenIsOneFrameOfLengthAndCiphertext) {
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes("hello"))));
  scheduler.run();
  io::Bytes seen(pipe.b->unread_bytes());
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*pipe.b, seen)));
  CipherState cipher(one_key);
  EXPECT_EQ(seen, frame(cipher, io::as_bytes("hello")));
}

TEST_F(NoiseStreams, LongWritesAreSplitIntoTheLongestFrames) {
  const auto data = noise_like(65'519 + 1);
  ASSERT_TRUE(run_task(scheduler, a->write(data)));
  scheduler.run();
  EXPECT_EQ(pipe.b->unread_bytes(), (2u + 65'535u) + (2u + 16u + 1u));
  io::Bytes received(data.size());
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*b, received)));
  EXPECT_EQ(received, data);
}

TEST_F(NoiseStreams, MegabytesCrossBothWaysThroughANarrowPipeInOddPieces) {
  connect({.latency = 1ms, .max_read_bytes = 777, .capacity_bytes = 10'000});
  const auto data = noise_like(1'000'000);
  io::Bytes at_a(data.size()), at_b(data.size());
  auto w1 = support::start(scheduler, a->write(data));
  auto w2 = support::start(scheduler, b->write(data));
  auto r1 = support::start(scheduler, io::read_exactly(*a, at_a));
  auto r2 = support::start(scheduler, io::read_exactly(*b, at_b));
  scheduler.run();
  ASSERT_TRUE(w1.value() && w2.value() && r1.value() && r2.value());
  EXPECT_EQ(at_a, data);
  EXPECT_EQ(at_b, data);
}

TEST_F(NoiseStreams, SingleBytesOfCiphertextAreEnoughToGoOn) {
  connect({.max_read_bytes = 1});
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes("hello"))));
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes(" world"))));
  io::Bytes received(11);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*b, received)));
  EXPECT_EQ(io::as_text(received), "hello world");
}

TEST_F(NoiseStreams, AFrameIsReadInAsManyPiecesAsTheReaderLikes) {
  ASSERT_TRUE(run_task(scheduler, a->write(noise_like(1000))));
  io::Bytes received;
  while (received.size() < 1000) {
    const auto got = read_at_b();
    ASSERT_TRUE(got);
    received.resize(received.size() + *got);
  }
  EXPECT_EQ(received.size(), 1000u);
}

TEST_F(NoiseStreams, FramesWithoutContentAreSkipped) {
  CipherState cipher(one_key);
  pipe.a->inject(frame(cipher, {}));
  pipe.a->inject(frame(cipher, {}));
  pipe.a->inject(frame(cipher, io::as_bytes("x")));
  EXPECT_EQ(read_at_b(), 1u);
}

TEST_F(NoiseStreams, OneDirectionEndsWithoutTheOther) {
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes("bye"))));
  ASSERT_TRUE(run_task(scheduler, a->close_write()));
  EXPECT_EQ(read_at_b(), 3u);
  EXPECT_EQ(read_at_b(), 0u);
  ASSERT_TRUE(run_task(scheduler, b->write(io::as_bytes("later"))));
  io::Bytes received(5);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*a, received)));
  EXPECT_EQ(io::as_text(received), "later");
}

TEST_F(NoiseStreams, AnEndedStreamIsDroppedInPeace) {
  ASSERT_TRUE(run_task(scheduler, a->close_write()));
  ASSERT_TRUE(run_task(scheduler, b->close_write()));
  EXPECT_EQ(read_at_b(), 0u);
  b.reset();
  EXPECT_FALSE(pipe.b->reset_reason());
}

TEST_F(NoiseStreams, AStreamThatHasNotEndedIsResetWhenDropped) {
  b.reset();
  EXPECT_EQ(pipe.b->reset_reason(), std::make_error_code(std::errc::operation_canceled));
}

TEST_F(NoiseStreams, ResetFailsWhatWaitsAndForgetsWhatWasReceived) {
  auto write = support::start(scheduler, a->write(io::as_bytes("0123456789abcdef+")));
  scheduler.run();
  ASSERT_EQ(read_at_b(), 16u);
  b->reset(std::errc::timed_out);
  const auto after = read_at_b();
  EXPECT_EQ(error_of(after), std::errc::timed_out);

  io::Bytes into(1);
  const auto at_a = run_task(scheduler, a->read(into));
  EXPECT_EQ(error_of(at_a), std::errc::connection_reset);
}

TEST_F(NoiseStreams, AChangedByteInMidStreamEndsIt) {
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes("fine"))));
  EXPECT_EQ(read_at_b(), 4u);
  pipe.a->on_write([](io::Bytes& bytes) { bytes.back() ^= 1; });
  ASSERT_TRUE(run_task(scheduler, a->write(io::as_bytes("not fine"))));
  expect_reset(read_at_b(), NoiseError::decryption_failed);
}

TEST_F(NoiseStreams, AReplayedFrameEndsIt) {
  CipherState cipher(one_key);
  const auto once = frame(cipher, io::as_bytes("pay"));
  pipe.a->inject(once);
  pipe.a->inject(once);
  EXPECT_EQ(read_at_b(), 3u);
  expect_reset(read_at_b(), NoiseError::decryption_failed);
}

TEST_F(NoiseStreams, AFrameOfLengthZeroEndsIt) {
  pipe.a->inject(io::Bytes{0, 0});
  expect_reset(read_at_b(), NoiseError::decryption_failed);
}

TEST_F(NoiseStreams, AFrameShorterThanItsTagEndsIt) {
  pipe.a->inject(io::Bytes{0, 15});
  expect_reset(read_at_b(), NoiseError::decryption_failed);
}

TEST_F(NoiseStreams, ALongestFrameOfGarbageEndsIt) {
  io::Bytes bytes(2 + 65'535, 0xff);
  pipe.a->inject(bytes);
  expect_reset(read_at_b(), NoiseError::decryption_failed);
}

TEST_F(NoiseStreams, AStreamThatEndsInsideAFrameIsNotTakenForItsEnd) {
  pipe.a->inject(io::Bytes{0});
  ASSERT_TRUE(run_task(scheduler, pipe.a->close_write()));
  expect_reset(read_at_b(), std::make_error_code(std::errc::connection_aborted));
  connect({});
  pipe.a->inject(io::Bytes{0, 20, 1, 2, 3});
  ASSERT_TRUE(run_task(scheduler, pipe.a->close_write()));
  expect_reset(read_at_b(), std::make_error_code(std::errc::connection_aborted));
}

TEST_F(NoiseStreams, StopsWhenItsNoncesAreUsedUp) {
  NoiseStream last(pipe.a, {CipherState(one_key, ~std::uint64_t{0}), CipherState(other_key)});
  const auto written = run_task(scheduler, last.write(io::as_bytes("x")));
  EXPECT_EQ(error_of(written), NoiseError::nonce_exhausted);
  EXPECT_EQ(pipe.a->reset_reason(), NoiseError::nonce_exhausted);
}

TEST_F(NoiseStreams, SurvivesRandomBytes) {
  io::Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    connect({});
    io::Bytes bytes(random.below(100) + 1);
    random.fill(bytes);
    bytes[0] = 0;  // a short length, so that most frames are complete
    pipe.a->inject(bytes);
    ASSERT_TRUE(run_task(scheduler, pipe.a->close_write()));
    ASSERT_FALSE(read_at_b());
    ASSERT_TRUE(pipe.b->reset_reason());
  }
}

}  // namespace
}  // namespace flaresim::security
