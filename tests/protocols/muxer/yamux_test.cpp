// Two yamux sessions that speak to each other.

#include "protocols/muxer/yamux.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <optional>

#include "protocols/io/random.h"
#include "tests/protocols/support/error_of.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::muxer {
namespace {

using namespace std::chrono_literals;
using security::Role;
using Transfer = support::Started<io::Result<>>;

io::Bytes noise_like(std::size_t size, std::uint64_t seed) {
  io::Bytes bytes(size);
  io::Random(seed).fill(bytes);
  return bytes;
}

/// Writes everything and ends this direction.
io::Task<io::Result<>> send_all(io::Stream& stream, const io::Bytes& bytes) {
  if (auto sent = co_await stream.write(bytes); !sent) co_return sent;
  co_return co_await stream.close_write();
}

/// Reads to the end, and fails unless that is what was expected.
io::Task<io::Result<>> expect_all(io::Stream& stream, const io::Bytes& expected) {
  io::Bytes received(expected.size());
  if (auto got = co_await io::read_exactly(stream, received); !got) co_return got;
  std::uint8_t more = 0;
  const auto end = co_await stream.read({&more, 1});
  if (!end) co_return tl::unexpected(end.error());
  if (*end != 0 || received != expected) co_return io::fail(std::errc::bad_message);
  co_return io::Result<>{};
}

class Yamux : public ::testing::Test {
 protected:
  void SetUp() override { begin({}); }
  void TearDown() override {
    client.reset();
    server.reset();
    EXPECT_EQ(scheduler.armed_timers(), 0u);
    scheduler.run();
    EXPECT_TRUE(pipe.a->ended() && pipe.b->ended());
    streams.clear();
    EXPECT_EQ(pipe.a.use_count(), 1);
    EXPECT_EQ(pipe.b.use_count(), 1);
  }

  void begin(const support::PipeOptions& options, Role a = Role::client, Role b = Role::server) {
    client.reset();
    server.reset();
    scheduler.settle();
    pipe = support::pipe(scheduler, options);
    client = yamux(scheduler, pipe.a, a);
    server = yamux(scheduler, pipe.b, b);
  }

  struct Ends {
    io::StreamPtr near, far;
  };
  Ends open(MuxedConnection& near, MuxedConnection& far) {
    Ends ends{run_task(scheduler, near.open_stream()).value(),
              run_task(scheduler, far.accept_stream()).value()};
    streams.push_back(ends.near);
    streams.push_back(ends.far);
    return ends;
  }
  Ends open() { return open(*client, *server); }

  Transfer send(io::StreamPtr stream, const io::Bytes& bytes) {
    return support::start(scheduler, send_all(*stream, bytes));
  }
  Transfer expect(io::StreamPtr stream, const io::Bytes& bytes) {
    return support::start(scheduler, expect_all(*stream, bytes));
  }

  support::TestScheduler scheduler;
  support::Pipe pipe;
  MuxedConnectionPtr client, server;
  std::vector<io::StreamPtr> streams;
};

TEST_F(Yamux, BothSidesOpenStreams) {
  const auto there = open(*client, *server);
  const auto back = open(*server, *client);
  ASSERT_TRUE(run_task(scheduler, there.near->write(io::as_bytes("a"))));
  ASSERT_TRUE(run_task(scheduler, back.near->write(io::as_bytes("b"))));
  io::Bytes into(1);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*there.far, into)));
  EXPECT_EQ(io::as_text(into), "a");
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*back.far, into)));
  EXPECT_EQ(io::as_text(into), "b");
  EXPECT_EQ(client->streams(), 2u);
}

TEST_F(Yamux, TenMegabytesCrossBothWays) {
  begin({.latency = 5ms, .max_read_bytes = 4000, .capacity_bytes = 100'000});
  const auto up = noise_like(10'000'000, 1);
  const auto down = noise_like(10'000'000, 2);
  const auto stream = open();
  const Transfer transfers[] = {send(stream.near, up), send(stream.far, down), expect(stream.far, up),
                                expect(stream.near, down)};
  scheduler.run_for(1h);
  for (const auto& transfer : transfers) {
    ASSERT_TRUE(transfer.done());
    EXPECT_TRUE(transfer.value());
  }
  EXPECT_EQ(client->streams(), 0u);
  EXPECT_EQ(server->streams(), 0u);
}

TEST_F(Yamux, FiftyStreamsCrossAtOnce) {
  begin({.latency = 5ms, .capacity_bytes = 100'000});
  std::vector<io::Bytes> data;
  for (std::uint64_t i = 0; i < 50; ++i) data.push_back(noise_like(200'000 + 10'000 * i, i));
  std::vector<Transfer> transfers;
  for (const auto& bytes : data) {
    const auto stream = open();
    transfers.push_back(send(stream.near, bytes));
    transfers.push_back(send(stream.far, bytes));
    transfers.push_back(expect(stream.near, bytes));
    transfers.push_back(expect(stream.far, bytes));
  }
  scheduler.run_for(1h);
  for (const auto& transfer : transfers) {
    ASSERT_TRUE(transfer.done());
    EXPECT_TRUE(transfer.value());
  }
  EXPECT_EQ(client->streams(), 0u);
  EXPECT_EQ(server->streams(), 0u);
}

TEST_F(Yamux, SlowReaderStallsOnlyItsOwnStream) {
  begin({.latency = 5ms, .capacity_bytes = 100'000});
  const auto data = noise_like(1'000'000, 3);
  const auto slow = open();
  const auto quick = open();
  const auto stalled = send(slow.near, data);
  const auto sent = send(quick.near, data);
  const auto received = expect(quick.far, data);
  scheduler.run_for(20s);
  EXPECT_FALSE(stalled.done());
  ASSERT_TRUE(sent.done() && received.done());
  EXPECT_TRUE(received.value());

  const auto at_last = expect(slow.far, data);
  scheduler.run_for(20s);
  ASSERT_TRUE(stalled.done() && at_last.done());
  EXPECT_TRUE(at_last.value());
}

/// Reads that much, a little at a time, always behind the writer.
io::Task<> read_slowly(io::Scheduler& scheduler, io::StreamPtr stream, std::size_t bytes) {
  io::Bytes some(4096);
  while (bytes > 0) {
    const auto got = co_await stream->read(some);
    if (!got || *got == 0) co_return;
    bytes -= *got;
    co_await scheduler.sleep_for(1ms);
  }
}

TEST_F(Yamux, AReaderThatIsAlwaysBehindHoldsNoMoreThanItsWindow) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP();  // the sanitizer's own malloc does not tell
#endif
  const auto data = noise_like(16'000'000, 4);
  const auto stream = open();
  const auto sent = send(stream.near, data);
  const auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const auto before = in_use();
  const auto read = support::start(scheduler, read_slowly(scheduler, stream.far, data.size() - 300'000));
  scheduler.run_for(10s);
  ASSERT_TRUE(read.done());
  // A window of 256 KiB, in a buffer that grows by doubling.
  EXPECT_LT(in_use(), before + 1'500'000);
  stream.far->reset();
  scheduler.run_for(1s);
}

TEST_F(Yamux, SmallMessageDoesNotQueueBehindAllOfALargeOne) {
  begin({.latency = 5ms, .capacity_bytes = 20'000});
  const auto bulk = open();
  const auto small = open();
  const auto data = noise_like(5'000'000, 4);
  const auto sending = send(bulk.near, data);
  const auto receiving = expect(bulk.far, data);
  scheduler.run_for(100ms);
  const auto before = pipe.a->bytes_written();
  ASSERT_TRUE(run_task(scheduler, small.near->write(io::as_bytes("now"))));
  io::Bytes into(3);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*small.far, into)));
  EXPECT_LT(pipe.a->bytes_written() - before, 150'000u);
  scheduler.run_for(1h);
  EXPECT_TRUE(sending.done() && receiving.done());
}

TEST_F(Yamux, WriteWaitsForTheReaderOnceTheWindowIsFull) {
  const auto stream = open();
  const io::Bytes window(256 * 1024);
  ASSERT_TRUE(run_task(scheduler, stream.near->write(window)));
  auto more = support::start(scheduler, stream.near->write(io::as_bytes("x")));
  scheduler.run_for(1s);
  EXPECT_FALSE(more.done());
  io::Bytes half(128 * 1024);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*stream.far, half)));
  scheduler.settle();
  EXPECT_TRUE(more.done());
}

TEST_F(Yamux, DroppingAStreamResetsItForTheOtherSide) {
  auto near = run_task(scheduler, client->open_stream()).value();
  const auto far = run_task(scheduler, server->accept_stream()).value();
  near.reset();
  scheduler.settle();
  io::Bytes into(1);
  const auto got = run_task(scheduler, far->read(into));
  EXPECT_EQ(error_of(got), std::errc::connection_reset);
  EXPECT_EQ(client->streams(), 0u);
  EXPECT_EQ(server->streams(), 0u);
}

TEST_F(Yamux, FirstReasonForAResetStays) {
  const auto stream = open();
  stream.near->reset(std::errc::timed_out);
  stream.near->reset(std::errc::io_error);
  client->close(std::make_error_code(std::errc::operation_canceled));
  const auto written = run_task(scheduler, stream.near->write(io::as_bytes("x")));
  EXPECT_EQ(error_of(written), std::errc::timed_out);
}

TEST_F(Yamux, CloseFailsEverythingThatWaitsOnBothSides) {
  const auto stream = open();
  const io::Bytes data(400'000);
  io::Bytes into(1);
  auto reading = support::start(scheduler, stream.near->read(into));
  auto writing = support::start(scheduler, stream.near->write(data));
  auto accepting = support::start(scheduler, client->accept_stream());
  auto remote_accepting = support::start(scheduler, server->accept_stream());
  scheduler.settle();

  client->close(std::make_error_code(std::errc::timed_out));
  client->close(std::make_error_code(std::errc::io_error));
  EXPECT_TRUE(client->closed());
  EXPECT_EQ(client->streams(), 0u);
  scheduler.settle();
  ASSERT_TRUE(reading.done() && writing.done() && accepting.done() && remote_accepting.done());
  EXPECT_EQ(error_of(reading.value()), std::errc::timed_out);
  EXPECT_EQ(error_of(writing.value()), std::errc::timed_out);
  EXPECT_EQ(error_of(accepting.value()), std::errc::timed_out);
  EXPECT_EQ(error_of(remote_accepting.value()), YamuxError::go_away);
  EXPECT_EQ(server->streams(), 0u);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

TEST_F(Yamux, DroppingASessionWhileOthersWaitOnItIsSafe) {
  const auto stream = open();
  io::Bytes into(1);
  auto reading = support::start(scheduler, stream.near->read(into));
  auto accepting = support::start(scheduler, client->accept_stream());
  scheduler.settle();
  client.reset();
  scheduler.settle();
  ASSERT_TRUE(reading.done() && accepting.done());
  EXPECT_EQ(error_of(reading.value()), std::errc::operation_canceled);
  EXPECT_EQ(error_of(accepting.value()), std::errc::operation_canceled);
}

TEST_F(Yamux, NothingReceivedIsReadAfterOurOwnClose) {
  const auto stream = open();
  ASSERT_TRUE(run_task(scheduler, stream.far->write(io::as_bytes("late"))));
  scheduler.settle();
  client->close(std::make_error_code(std::errc::timed_out));
  io::Bytes into(4);
  const auto got = run_task(scheduler, stream.near->read(into));
  EXPECT_EQ(error_of(got), std::errc::timed_out);
}

TEST_F(Yamux, LastWordsBeforeACloseArrive) {
  const auto stream = open();
  const auto words = io::to_bytes("bye");
  const auto written = send(stream.near, words);
  scheduler.run_until([&] { return written.done(); });
  client->close(std::make_error_code(std::errc::operation_canceled));
  scheduler.settle();
  io::Bytes into(3);
  ASSERT_TRUE(run_task(scheduler, io::read_exactly(*stream.far, into)));
  EXPECT_EQ(io::as_text(into), "bye");
}

TEST_F(Yamux, IdleSessionsKeepEachOtherAlive) {
  scheduler.run_for(1h);
  EXPECT_FALSE(client->closed() || server->closed());
  EXPECT_EQ(scheduler.armed_timers(), 2u);
}

TEST_F(Yamux, TwoClientsEndEachOther) {
  begin({}, Role::client, Role::client);
  (void)run_task(scheduler, client->open_stream());
  scheduler.settle();
  EXPECT_EQ(error_of(run_task(scheduler, server->accept_stream())), YamuxError::bad_stream_id);
  EXPECT_EQ(error_of(run_task(scheduler, client->accept_stream())), YamuxError::go_away_protocol);
}

TEST_F(Yamux, TwoServersEndEachOther) {
  begin({}, Role::server, Role::server);
  (void)run_task(scheduler, client->open_stream());
  scheduler.settle();
  EXPECT_EQ(error_of(run_task(scheduler, server->accept_stream())), YamuxError::bad_stream_id);
  EXPECT_EQ(error_of(run_task(scheduler, client->accept_stream())), YamuxError::go_away_protocol);
}

TEST_F(Yamux, LastWordsBeforeACloseArriveThroughAnotherSession) {
  // A session inside a stream of another one, as over a relay.
  const auto circuit = open();
  auto inner_client = yamux(scheduler, circuit.near, Role::client);
  auto inner_server = yamux(scheduler, circuit.far, Role::server);
  auto accepting = support::start(scheduler, inner_server->accept_stream());
  scheduler.settle();
  inner_client->close(std::make_error_code(std::errc::operation_canceled));
  scheduler.settle();
  ASSERT_TRUE(accepting.done());
  EXPECT_EQ(error_of(accepting.value()), YamuxError::go_away);
  EXPECT_EQ(client->streams(), 0u);
  EXPECT_EQ(server->streams(), 0u);
}

}  // namespace
}  // namespace flaresim::muxer
