#include "protocols/io/stream.h"

#include <gmock/gmock.h>

#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::io {
namespace {

using namespace std::chrono_literals;
using support::run_task;
using support::start;

class StreamTest : public testing::Test {
 protected:
  support::TestScheduler scheduler_;
  support::Pipe pipe_ = support::pipe(scheduler_, {.max_read_bytes = 3});

  /// What reading one message gives when the remote writes these bytes and closes.
  Result<Bytes> read_message(const Bytes& sent, std::size_t max_bytes = 1000) {
    pipe_.a->inject(sent);
    run_task(scheduler_, pipe_.a->close_write());
    return run_task(scheduler_, read_delimited(*pipe_.b, max_bytes));
  }
};

TEST_F(StreamTest, ReadExactlyJoinsPieces) {
  pipe_.a->inject(as_bytes("hello world"));
  Bytes into(10);
  EXPECT_TRUE(run_task(scheduler_, read_exactly(*pipe_.b, into)).has_value());
  EXPECT_EQ(as_text(into), "hello worl");
  EXPECT_EQ(pipe_.b->unread_bytes(), 1u);
}

TEST_F(StreamTest, ReadExactlyFailsWhenTheStreamEndsBefore) {
  pipe_.a->inject(as_bytes("short"));
  run_task(scheduler_, pipe_.a->close_write());
  Bytes into(6);
  EXPECT_EQ(error_of(run_task(scheduler_, read_exactly(*pipe_.b, into))), std::errc::connection_aborted);
}

TEST_F(StreamTest, ReadExactlyOfNothingDoesNotWait) {
  EXPECT_TRUE(run_task(scheduler_, read_exactly(*pipe_.b, {})).has_value());
}

TEST_F(StreamTest, AMessageIsFramedByItsLengthAsVarint) {
  Bytes sent;
  pipe_.a->on_write([&](Bytes& bytes) { append(sent, bytes); });
  const Bytes message(300, 7);
  run_task(scheduler_, write_delimited(*pipe_.a, message));
  Bytes expected{0xac, 0x02};  // 300, the example of protobuf's and multiformats' varint texts
  append(expected, message);
  EXPECT_EQ(sent, expected);
  EXPECT_EQ(pipe_.a->writes(), 1u);
}

TEST_F(StreamTest, MessagesComeBackAsTheyWere) {
  for (const std::size_t size : {0, 1, 127, 128, 16'383, 16'384}) {
    const Bytes message(size, 9);
    run_task(scheduler_, write_delimited(*pipe_.a, message));
    EXPECT_EQ(run_task(scheduler_, read_delimited(*pipe_.b, 20'000)).value(), message);
  }
}

TEST_F(StreamTest, AMessageAtTheLimitIsReadAndOneAboveIsNot) {
  EXPECT_EQ(read_message({0x02, 'h', 'i'}, 2).value(), to_bytes("hi"));
  pipe_ = support::pipe(scheduler_, {});
  EXPECT_EQ(error_of(read_message({0x03, 'h', 'e', 'y'}, 2)), std::errc::message_size);
  EXPECT_EQ(pipe_.b->unread_bytes(), 3u);  // the body is not touched
}

TEST_F(StreamTest, AHugeLengthAllocatesNothing) {
  // 2^63 - 1, the largest length that nine bytes hold
  EXPECT_EQ(error_of(read_message({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})),
            std::errc::message_size);
}

TEST_F(StreamTest, ALengthOfMoreThanNineBytesIsMalformed) {
  EXPECT_EQ(error_of(read_message({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01})),
            std::errc::bad_message);
}

TEST_F(StreamTest, ALengthWithAnEmptyLastByteIsMalformed) {
  EXPECT_EQ(error_of(read_message({0x81, 0x00, 'x'})), std::errc::bad_message);
}

TEST_F(StreamTest, AStreamThatEndsInsideAMessageIsAborted) {
  EXPECT_EQ(error_of(read_message({0x03, 'h', 'e'})), std::errc::connection_aborted);
}

TEST_F(StreamTest, AStreamThatEndsInsideALengthIsAborted) {
  EXPECT_EQ(error_of(read_message({0x80})), std::errc::connection_aborted);
}

TEST_F(StreamTest, AStreamThatEndsBetweenMessagesIsAborted) {
  EXPECT_EQ(error_of(read_message({})), std::errc::connection_aborted);
}

TEST_F(StreamTest, AResetInsideAMessageKeepsItsReason) {
  pipe_.a->inject(Bytes{0x05, 'a'});
  auto reading = start(scheduler_, read_delimited(*pipe_.b, 10));
  scheduler_.settle();
  pipe_.b->reset(std::errc::owner_dead);
  scheduler_.settle();
  EXPECT_EQ(error_of(reading.value()), std::errc::owner_dead);
}

TEST_F(StreamTest, ADeadlineEndsTheReadThatWaits) {
  const Deadline limit(scheduler_, pipe_.b, 30ms);
  auto reading = start(scheduler_, read_delimited(*pipe_.b, 10));
  scheduler_.run_for(29ms);
  EXPECT_FALSE(reading.done());
  scheduler_.run_for(1ms);
  ASSERT_TRUE(reading.done());
  EXPECT_EQ(error_of(reading.value()), std::errc::timed_out);
}

TEST_F(StreamTest, ADeadlineThatIsDestroyedIsLifted) {
  { const Deadline limit(scheduler_, pipe_.b, 30ms); }
  EXPECT_EQ(scheduler_.armed_timers(), 0u);
  scheduler_.run_for(1s);
  EXPECT_FALSE(pipe_.b->reset_reason().has_value());
}

}  // namespace
}  // namespace flaresim::io
