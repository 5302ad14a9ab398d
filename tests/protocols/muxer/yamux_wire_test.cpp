// One end is a yamux session; the other end is bytes written by hand from hashicorp/yamux spec.md.

#include <gtest/gtest.h>

#include <optional>

#include "protocols/io/random.h"
#include "protocols/muxer/yamux.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::muxer {
namespace {

using namespace std::chrono_literals;
using security::Role;

/// Bytes from hexadecimal digits; blanks are for the reader.
io::Bytes hex(std::string_view text) {
  io::Bytes bytes;
  int digits = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    const auto digit = static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (digits++ % 2 == 0) {
      bytes.push_back(static_cast<std::uint8_t>(digit << 4));
    } else {
      bytes.back() |= digit;
    }
  }
  return bytes;
}

io::Bytes operator+(io::Bytes first, const io::Bytes& second) {
  io::append(first, second);
  return first;
}

/// Reads until the stream is reset.
io::Task<> collect(std::shared_ptr<support::PipeEnd> from, std::shared_ptr<io::Bytes> into) {
  std::array<std::uint8_t, 1024> piece;
  for (;;) {
    const auto got = co_await from->read(piece);
    if (!got || *got == 0) co_return;
    io::append(*into, io::BytesView(piece).first(*got));
  }
}

/// Opens a stream and writes to it at once.
io::Task<io::StreamPtr> open_and_write(MuxedConnectionPtr session, io::Bytes bytes) {
  auto stream = co_await session->open_stream();
  (void)co_await (*stream)->write(bytes);
  co_return *stream;
}

const auto go_away_normal = hex("00 03 0000 00000000 00000000");
const auto go_away_protocol = hex("00 03 0000 00000000 00000001");

class YamuxWire : public ::testing::Test {
 protected:
  void SetUp() override { begin(Role::server); }
  void TearDown() override { finish(); }

  /// A session at `pipe.a`; the test is the remote at `pipe.b`.
  void begin(Role role, const YamuxProfile& profile = {}, const support::PipeOptions& options = {}) {
    if (session) finish();
    pipe = support::pipe(scheduler, options);
    session = yamux(scheduler, pipe.a, role, profile);
    heard_bytes = std::make_shared<io::Bytes>();
    io::spawn(scheduler.executor(), collect(pipe.b, heard_bytes));
    scheduler.settle();
  }

  /// Whatever happened before: closing leaves nothing behind.
  void finish() {
    if (session == nullptr) return;
    session->close(std::make_error_code(std::errc::operation_canceled));
    EXPECT_EQ(session->streams(), 0u);
    session.reset();
    accepted.clear();
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    scheduler.run();
    EXPECT_TRUE(pipe.a->ended());
    EXPECT_EQ(pipe.a.use_count(), 1) << "somebody still holds the stream below";
  }

  void say(const io::Bytes& bytes) {
    pipe.b->inject(bytes);
    scheduler.settle();
  }

  /// What the session has sent since the last time.
  io::Bytes heard() {
    scheduler.settle();
    return std::exchange(*heard_bytes, {});
  }

  io::StreamPtr open() { return run_task(scheduler, session->open_stream()).value(); }
  io::StreamPtr accept() {
    accepted.push_back(run_task(scheduler, session->accept_stream()).value());
    return accepted.back();
  }
  void write(io::Stream& stream, std::string_view text) {
    ASSERT_TRUE(run_task(scheduler, stream.write(io::as_bytes(text))));
  }
  /// What one read gives: text, nothing at the end of the stream, or an error.
  io::Result<std::string> read(io::Stream& stream) {
    io::Bytes into(300'000);
    const auto got = run_task(scheduler, stream.read(into));
    if (!got) return tl::unexpected(got.error());
    return io::as_text(io::BytesView(into).first(*got));
  }

  void expect_ended(std::error_code why) {
    scheduler.settle();
    EXPECT_TRUE(session->closed());
    EXPECT_EQ(session->streams(), 0u);
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    EXPECT_TRUE(pipe.a->ended());
    const auto accepting = run_task(scheduler, session->accept_stream());
    EXPECT_EQ(error_of(accepting), why);
    const auto opening = run_task(scheduler, session->open_stream());
    EXPECT_EQ(error_of(opening), why);
  }

  /// The session ends with this error, and blames the remote.
  void expect_protocol_error(const io::Bytes& bytes, YamuxError error) {
    (void)heard();
    say(bytes);
    expect_ended(error);
    const auto last_words = heard();
    ASSERT_GE(last_words.size(), go_away_protocol.size());
    EXPECT_EQ(io::Bytes(last_words.end() - 12, last_words.end()), go_away_protocol);
  }

  support::TestScheduler scheduler;
  support::Pipe pipe;
  MuxedConnectionPtr session;
  std::vector<io::StreamPtr> accepted;
  std::shared_ptr<io::Bytes> heard_bytes;
};

// --- the frames ---

TEST_F(YamuxWire, ClientOpensOddStreams) {
  begin(Role::client);
  const auto first = open();
  const auto second = open();
  EXPECT_EQ(heard(), hex("00 01 0001 00000001 00000000") + hex("00 01 0001 00000003 00000000"));
}

TEST_F(YamuxWire, ServerOpensEvenStreams) {
  const auto first = open();
  const auto second = open();
  EXPECT_EQ(heard(), hex("00 01 0001 00000002 00000000") + hex("00 01 0001 00000004 00000000"));
}

TEST_F(YamuxWire, DataStandsBehindItsLength) {
  const auto stream = open();
  (void)heard();
  write(*stream, "hello");
  EXPECT_EQ(heard(), hex("00 00 0000 00000002 00000005 68656c6c6f"));
}

TEST_F(YamuxWire, FramesThatBecomeDueTogetherLeaveTogether) {
  const auto before = pipe.a->writes();
  const auto one = support::start(scheduler, session->open_stream());
  const auto other = support::start(scheduler, session->open_stream());
  const auto writing = support::start(scheduler, open_and_write(session, io::to_bytes("hello")));
  scheduler.settle();
  ASSERT_TRUE(one.done() && other.done() && writing.done());
  EXPECT_EQ(heard().size(), 12u * 4 + 5);
  EXPECT_EQ(pipe.a->writes(), before + 1);
}

TEST_F(YamuxWire, HalfCloseIsFinAndResetIsRst) {
  const auto stream = open();
  const auto other = open();
  (void)heard();
  ASSERT_TRUE(run_task(scheduler, stream->close_write()));
  EXPECT_EQ(heard(), hex("00 01 0004 00000002 00000000"));
  other->reset();
  EXPECT_EQ(heard(), hex("00 01 0008 00000004 00000000"));
  EXPECT_EQ(session->streams(), 1u);
}

TEST_F(YamuxWire, StreamMayBeOpenedWithDataOrWithAWindowUpdate) {
  say(hex("00 00 0001 00000001 00000002 6869") + hex("00 01 0001 00000003 00000000"));
  EXPECT_EQ(read(*accept()), "hi");
  const auto second = accept();
  say(hex("00 00 0000 00000003 00000002 796f"));
  EXPECT_EQ(read(*second), "yo");
}

TEST_F(YamuxWire, AcknowledgementRidesOnTheFirstAnswer) {
  say(hex("00 01 0001 00000001 00000000"));
  const auto stream = accept();
  EXPECT_EQ(heard(), io::Bytes());
  write(*stream, "!");
  EXPECT_EQ(heard(), hex("00 00 0002 00000001 00000001 21"));
  write(*stream, "!");
  EXPECT_EQ(heard(), hex("00 00 0000 00000001 00000001 21"));
}

TEST_F(YamuxWire, StreamThatIsOnlyReadIsAcknowledgedToo) {
  say(hex("00 00 0001 00000001 00000002 6869"));
  EXPECT_EQ(read(*accept()), "hi");
  EXPECT_EQ(heard(), hex("00 01 0002 00000001 00000000"));
}

TEST_F(YamuxWire, PingIsAnsweredWithItsValue) {
  say(hex("00 02 0001 00000000 deadbeef"));
  EXPECT_EQ(heard(), hex("00 02 0002 00000000 deadbeef"));
}

TEST_F(YamuxWire, CloseSaysGoAway) {
  session->close(std::make_error_code(std::errc::operation_canceled));
  EXPECT_EQ(heard(), go_away_normal);
  expect_ended(std::make_error_code(std::errc::operation_canceled));
}

TEST_F(YamuxWire, EnlargedWindowIsGrantedAtTheOpening) {
  YamuxProfile profile;
  profile.initial_window_bytes = 0x50000;
  begin(Role::server, profile);
  const auto stream = open();
  EXPECT_EQ(heard(), hex("00 01 0001 00000002 00010000"));
  say(hex("00 01 0001 00000001 00000000"));
  EXPECT_EQ(heard(), hex("00 01 0002 00000001 00010000"));
}

TEST_F(YamuxWire, FramesCutIntoSingleBytesAreUnderstood) {
  begin(Role::server, {}, {.max_read_bytes = 1});
  say(hex("00 00 0001 00000001 00000002 6869") + hex("00 02 0001 00000000 00000007") +
      hex("00 00 0004 00000001 00000001 21"));
  const auto stream = accept();
  io::Bytes all(3);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*stream, all)));
  EXPECT_EQ(io::as_text(all), "hi!");
  EXPECT_EQ(read(*stream), "");
}

// --- windows ---

TEST_F(YamuxWire, WriterStopsAtTheInitialWindowUntilItIsUpdated) {
  const auto stream = open();
  (void)heard();
  const io::Bytes data(256 * 1024 + 3, 'x');
  auto written = support::start(scheduler, stream->write(data));
  scheduler.settle();
  EXPECT_FALSE(written.done());
  const auto frames = (256 * 1024 + 32 * 1024 - 12 - 1) / (32 * 1024 - 12);
  EXPECT_EQ(heard().size(), 256 * 1024u + 12u * frames);
  say(hex("00 01 0000 00000002 00000002"));
  EXPECT_FALSE(written.done());
  EXPECT_EQ(heard(), hex("00 00 0000 00000002 00000002 7878"));
  say(hex("00 01 0000 00000002 00000001"));
  EXPECT_TRUE(written.done());
}

TEST_F(YamuxWire, HalfAWindowReadIsGivenBack) {
  say(hex("00 00 0001 00000001 0001ffff") + io::Bytes(0x1ffff, 'x'));
  const auto stream = accept();
  ASSERT_EQ(read(*stream)->size(), 0x1ffffu);
  EXPECT_EQ(heard(), hex("00 01 0002 00000001 00000000"));  // the acknowledgement alone
  say(hex("00 00 0000 00000001 00000001 78"));
  ASSERT_EQ(read(*stream), "x");
  EXPECT_EQ(heard(), hex("00 01 0000 00000001 00020000"));
}

TEST_F(YamuxWire, RemoteMayFillTheWholeWindowButNoMore) {
  say(hex("00 00 0001 00000001 00040000") + io::Bytes(0x40000, 'x'));
  EXPECT_FALSE(session->closed());
  EXPECT_EQ(session->streams(), 1u);
  expect_protocol_error(hex("00 00 0000 00000001 00000001 78"), YamuxError::window_exceeded);
}

TEST_F(YamuxWire, WindowMayReachItsLargestValueButNotExceedIt) {
  const auto stream = open();
  say(hex("00 01 0002 00000002 fffbffff"));  // 2^32 - 1 - 256 KiB
  EXPECT_FALSE(session->closed());
  expect_protocol_error(hex("00 01 0000 00000002 00000001"), YamuxError::window_overflow);
}

// --- ends of streams ---

TEST_F(YamuxWire, FinEndsOneDirectionOnly) {
  say(hex("00 00 0005 00000001 00000002 6869"));  // SYN and FIN in one frame
  const auto stream = accept();
  EXPECT_EQ(read(*stream), "hi");
  EXPECT_EQ(read(*stream), "");
  write(*stream, "yo");
  EXPECT_EQ(session->streams(), 1u);
  ASSERT_TRUE(run_task(scheduler, stream->close_write()));
  EXPECT_EQ(session->streams(), 0u);
  const auto late = run_task(scheduler, stream->write(io::as_bytes("more")));
  EXPECT_EQ(error_of(late), std::errc::broken_pipe);
}

TEST_F(YamuxWire, StreamThatWeEndFirstEndsWithTheRemotesFin) {
  const auto stream = open();
  ASSERT_TRUE(run_task(scheduler, stream->close_write()));
  EXPECT_EQ(session->streams(), 1u);
  say(hex("00 01 0006 00000002 00000000"));  // ACK and FIN
  EXPECT_EQ(session->streams(), 0u);
  EXPECT_EQ(read(*stream), "");
}

TEST_F(YamuxWire, EndedStreamIsDroppedWithoutAWord) {
  say(hex("00 00 0005 00000001 00000002 6869"));
  auto stream = run_task(scheduler, session->accept_stream()).value();
  ASSERT_TRUE(run_task(scheduler, stream->close_write()));
  (void)heard();
  EXPECT_EQ(read(*stream), "hi");
  stream.reset();
  EXPECT_EQ(heard(), io::Bytes());
}

TEST_F(YamuxWire, RstFailsWhatWaitsOnTheStream) {
  const auto stream = open();
  io::Bytes into(1);
  auto reading = support::start(scheduler, stream->read(into));
  const io::Bytes data(300'000);
  auto writing = support::start(scheduler, stream->write(data));
  scheduler.settle();
  say(hex("00 01 0008 00000002 00000000"));
  ASSERT_TRUE(reading.done() && writing.done());
  EXPECT_EQ(error_of(reading.value()), std::errc::connection_reset);
  EXPECT_EQ(error_of(writing.value()), std::errc::connection_reset);
  EXPECT_EQ(session->streams(), 0u);
  EXPECT_FALSE(session->closed());
}

TEST_F(YamuxWire, WhatWasReceivedBeforeARstCanBeRead) {
  say(hex("00 00 0001 00000001 00000002 6869"));
  const auto stream = accept();
  say(hex("00 01 0008 00000001 00000000"));
  EXPECT_EQ(read(*stream), "hi");
  const auto after = read(*stream);
  EXPECT_EQ(error_of(after), std::errc::connection_reset);
}

TEST_F(YamuxWire, StreamResetBeforeItWasAcceptedIsNotHandedOut) {
  say(hex("00 01 0001 00000001 00000000") + hex("00 01 0008 00000001 00000000") +
      hex("00 00 0001 00000003 00000001 33"));
  EXPECT_EQ(heard(), io::Bytes());
  EXPECT_EQ(read(*accept()), "3");
  EXPECT_EQ(session->streams(), 1u);
}

TEST_F(YamuxWire, FramesForAnEndedStreamAreIgnored) {
  auto stream = open();
  stream.reset();
  (void)heard();
  say(hex("00 00 0002 00000002 00000003 787878") + hex("00 01 0000 00000002 00001000") +
      hex("00 01 0008 00000002 00000000") + hex("00 01 0004 00000002 00000000"));
  EXPECT_FALSE(session->closed());
  EXPECT_EQ(heard(), io::Bytes());
  say(hex("00 02 0001 00000000 00000001"));  // still in step
  EXPECT_EQ(heard(), hex("00 02 0002 00000000 00000001"));
}

TEST_F(YamuxWire, RstForAStreamThatNeverWasIsIgnored) {
  say(hex("00 01 0008 00000009 00000000"));
  EXPECT_FALSE(session->closed());
}

TEST_F(YamuxWire, StreamResetInMidFrameLeavesTheSessionInStep) {
  say(hex("00 00 0001 00000001 00000004 6869"));
  const auto stream = accept();
  EXPECT_EQ(read(*stream), "hi");
  stream->reset();
  say(hex("2121") + hex("00 02 0001 00000000 00000001"));
  const auto answers = heard();
  EXPECT_EQ(io::Bytes(answers.end() - 12, answers.end()), hex("00 02 0002 00000000 00000001"));
}

// --- limits ---

TEST_F(YamuxWire, StreamsBeyondTheBacklogAreRefusedOneByOne) {
  io::Bytes flood;
  for (std::uint8_t i = 0; i < 5; ++i) {
    flood = flood + hex("00 00 0001 000000") + io::Bytes{static_cast<std::uint8_t>(2 * i + 1)} +
            hex("00000001 78");
  }
  YamuxProfile profile;
  profile.accept_backlog = 3;
  begin(Role::server, profile);
  say(flood);
  EXPECT_EQ(heard(), hex("00 01 0008 00000007 00000000") + hex("00 01 0008 00000009 00000000"));
  EXPECT_EQ(session->streams(), 3u);
  accept();
  say(hex("00 01 0001 0000000b 00000000"));
  EXPECT_EQ(session->streams(), 4u);
}

TEST_F(YamuxWire, StreamsBeyondTheLimitAreRefused) {
  YamuxProfile profile;
  profile.max_streams = 1;
  begin(Role::server, profile);
  say(hex("00 01 0001 00000001 00000000"));
  const auto stream = accept();
  say(hex("00 01 0001 00000003 00000000"));
  EXPECT_EQ(heard(), hex("00 01 0008 00000003 00000000"));
  const auto opened = run_task(scheduler, session->open_stream());
  EXPECT_EQ(error_of(opened), std::errc::no_buffer_space);
}

TEST_F(YamuxWire, UnacknowledgedStreamsAreLimited) {
  YamuxProfile profile;
  profile.accept_backlog = 2;
  begin(Role::server, profile);
  const auto first = open();
  const auto second = open();
  const auto third = run_task(scheduler, session->open_stream());
  EXPECT_EQ(error_of(third), std::errc::no_buffer_space);
  say(hex("00 01 0002 00000002 00000000"));
  EXPECT_TRUE(run_task(scheduler, session->open_stream()));
}

TEST_F(YamuxWire, RemoteThatDoesNotReadItsAnswersIsNotListenedTo) {
  finish();
  pipe = support::pipe(scheduler, {.capacity_bytes = 100});
  session = yamux(scheduler, pipe.a, Role::server);
  io::Bytes flood;
  for (int i = 0; i < 100'000; ++i) io::append(flood, hex("00 02 0001 00000000 00000001"));
  pipe.b->inject(flood);
  scheduler.run_for(1s);
  EXPECT_FALSE(session->closed());
  // The answers to this much are being written, or wait for it.
  EXPECT_LT(pipe.a->bytes_read(), 600'000u);
  scheduler.run_for(10s);
  expect_ended(std::make_error_code(std::errc::timed_out));
}

// --- the session's time ---

TEST_F(YamuxWire, IdleSessionPingsAndIsContentWithTheAnswer) {
  scheduler.run_for(29s);
  EXPECT_EQ(heard(), io::Bytes());
  scheduler.run_for(1s);
  EXPECT_EQ(heard(), hex("00 02 0001 00000000 00000000"));
  say(hex("00 02 0002 00000000 00000000"));
  scheduler.run_for(29s);
  EXPECT_EQ(heard(), io::Bytes());
  scheduler.run_for(1s);
  EXPECT_EQ(heard(), hex("00 02 0001 00000000 00000001"));
  EXPECT_EQ(scheduler.armed_timers(), 1u);
}

TEST_F(YamuxWire, SilentRemoteEndsTheSession) {
  scheduler.run_for(39s);
  EXPECT_FALSE(session->closed());
  scheduler.run_for(1s);
  expect_ended(YamuxError::keep_alive_timeout);
}

TEST_F(YamuxWire, WriteThatDoesNotEndEndsTheSession) {
  begin(Role::server, {}, {.capacity_bytes = 1 << 20});
  const auto stream = open();
  pipe.a->black_hole();
  say(hex("00 01 0002 00000002 00800000"));
  const io::Bytes data(2 << 20);
  auto written = support::start(scheduler, stream->write(data));
  scheduler.run_for(9s);
  EXPECT_FALSE(session->closed());
  scheduler.run_for(2s);
  ASSERT_TRUE(written.done());
  EXPECT_EQ(error_of(written.value()), std::errc::timed_out);
  expect_ended(std::make_error_code(std::errc::timed_out));
}

TEST_F(YamuxWire, KeepAliveCanBeTurnedOff) {
  YamuxProfile profile;
  profile.keep_alive_interval = io::Duration::zero();
  begin(Role::server, profile);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
  scheduler.run_for(1h);
  EXPECT_FALSE(session->closed());
}

// --- a remote that goes away ---

TEST_F(YamuxWire, GoAwayEndsTheSessionWithItsCode) {
  const std::pair<std::string_view, YamuxError> codes[] = {
      {"00 03 0000 00000000 00000000", YamuxError::go_away},
      {"00 03 0000 00000000 00000001", YamuxError::go_away_protocol},
      {"00 03 0000 00000000 00000002", YamuxError::go_away_internal},
      {"00 03 0000 00000000 00000063", YamuxError::go_away_internal},
  };
  for (const auto& [bytes, error] : codes) {
    begin(Role::server);
    say(hex(bytes));
    expect_ended(error);
    EXPECT_EQ(heard(), io::Bytes());
  }
}

TEST_F(YamuxWire, WhatWasReceivedBeforeTheGoAwayCanBeRead) {
  say(hex("00 00 0001 00000001 00000002 6869"));
  const auto stream = accept();
  say(go_away_normal);
  EXPECT_EQ(read(*stream), "hi");
  const auto after = read(*stream);
  EXPECT_EQ(error_of(after), YamuxError::go_away);
}

TEST_F(YamuxWire, FramesBehindAGoAwayAreNotRead) {
  say(go_away_normal + hex("00 01 0001 00000001 00000000"));
  expect_ended(YamuxError::go_away);
}

TEST_F(YamuxWire, EndOfTheStreamBelowEndsTheSession) {
  ASSERT_TRUE(run_task(scheduler, pipe.b->close_write()));
  expect_ended(std::make_error_code(std::errc::connection_aborted));
}

TEST_F(YamuxWire, ResetOfTheStreamBelowFailsEverythingThatWaits) {
  const auto stream = open();
  io::Bytes into(1);
  auto reading = support::start(scheduler, stream->read(into));
  auto accepting = support::start(scheduler, session->accept_stream());
  scheduler.settle();
  pipe.b->reset();
  scheduler.settle();
  ASSERT_TRUE(reading.done() && accepting.done());
  EXPECT_EQ(error_of(reading.value()), std::errc::connection_reset);
  EXPECT_EQ(error_of(accepting.value()), std::errc::connection_reset);
  expect_ended(std::make_error_code(std::errc::connection_reset));
}

// --- malformed input ---

TEST_F(YamuxWire, RefusesAnotherVersion) {
  expect_protocol_error(hex("01 00 0001 00000001 00000000"), YamuxError::unknown_version);
}

TEST_F(YamuxWire, RefusesAnotherType) {
  expect_protocol_error(hex("00 04 0000 00000000 00000000"), YamuxError::unknown_type);
}

TEST_F(YamuxWire, RefusesUnknownFlags) {
  expect_protocol_error(hex("00 01 0011 00000001 00000000"), YamuxError::bad_flags);
}

TEST_F(YamuxWire, RefusesAPingThatIsNeitherRequestNorAnswer) {
  expect_protocol_error(hex("00 02 0000 00000000 00000001"), YamuxError::bad_flags);
}

TEST_F(YamuxWire, RefusesAPingThatIsBoth) {
  expect_protocol_error(hex("00 02 0003 00000000 00000001"), YamuxError::bad_flags);
}

TEST_F(YamuxWire, RefusesDataOnAStreamThatWasNeverOpened) {
  expect_protocol_error(hex("00 00 0000 00000001 00000001 78"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesDataOnAStreamOfOursThatWeNeverOpened) {
  expect_protocol_error(hex("00 00 0002 00000002 00000001 78"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesAWindowUpdateOnAStreamThatWasNeverOpened) {
  expect_protocol_error(hex("00 01 0000 00000001 00000001"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesStreamZero) {
  expect_protocol_error(hex("00 00 0001 00000000 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesAStreamOfOurParity) {
  expect_protocol_error(hex("00 01 0001 00000002 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesAStreamThatIsOpenAlready) {
  say(hex("00 01 0001 00000001 00000000"));
  expect_protocol_error(hex("00 01 0001 00000001 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesAStreamThatHasEnded) {
  say(hex("00 01 0005 00000001 00000000"));
  ASSERT_TRUE(run_task(scheduler, accept()->close_write()));
  EXPECT_EQ(session->streams(), 0u);
  expect_protocol_error(hex("00 01 0001 00000001 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, TakesStreamsThatOvertakeEachOther) {
  say(hex("00 01 0001 00000005 00000000") + hex("00 01 0001 00000001 00000000") +
      hex("00 01 0001 ffffffff 00000000") + hex("00 01 0001 00000003 00000000"));
  EXPECT_EQ(session->streams(), 4u);
  expect_protocol_error(hex("00 01 0001 00000003 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, RefusesDataBehindTheEndOfAStream) {
  say(hex("00 00 0005 00000001 00000000"));
  expect_protocol_error(hex("00 00 0000 00000001 00000001 78"), YamuxError::data_after_fin);
}

TEST_F(YamuxWire, RefusesAFrameLongerThanAnyWindow) {
  expect_protocol_error(hex("00 00 0001 00000001 00040001"), YamuxError::frame_too_long);
}

TEST_F(YamuxWire, RefusesALongFrameEvenForAnEndedStream) {
  auto stream = open();
  stream.reset();
  expect_protocol_error(hex("00 00 0000 00000002 ffffffff"), YamuxError::frame_too_long);
}

TEST_F(YamuxWire, RefusesSessionFramesOnAStream) {
  expect_protocol_error(hex("00 02 0001 00000001 00000000"), YamuxError::bad_stream_id);
  begin(Role::server);
  expect_protocol_error(hex("00 03 0000 00000001 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, FrameCutShortEndsTheSession) {
  pipe.b->inject(hex("00 00 0001 00000001 00000005 6869"));
  ASSERT_TRUE(run_task(scheduler, pipe.b->close_write()));
  expect_ended(std::make_error_code(std::errc::connection_aborted));
}

TEST_F(YamuxWire, TwoClientsRefuseEachOther) {
  begin(Role::client);
  const auto stream = open();
  expect_protocol_error(hex("00 01 0001 00000001 00000000"), YamuxError::bad_stream_id);
}

TEST_F(YamuxWire, SurvivesRandomBytes) {
  io::Random random(5);
  for (int i = 0; i < 20'000; ++i) {
    begin(i % 2 == 0 ? Role::server : Role::client);
    accepted.push_back(open());
    for (int frame = 0; frame < 6; ++frame) {
      // Plausible headers around random fields, so that the states behind them are reached.
      io::Bytes bytes(12 + random.below(20));
      random.fill(bytes);
      bytes[0] = 0;
      bytes[1] %= 4;
      bytes[2] = 0;
      bytes[3] %= 16;
      bytes[4] = bytes[5] = bytes[6] = 0;
      bytes[7] %= 6;
      bytes[8] = bytes[9] = bytes[10] = 0;
      if (frame < 5) bytes[11] = static_cast<std::uint8_t>(bytes[1] == 0 ? bytes.size() - 12 : bytes[11]);
      if (frame < 5 && bytes[1] != 0) bytes.resize(12);
      say(bytes);
    }
    finish();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace flaresim::muxer
