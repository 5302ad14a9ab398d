#pragma once

#include <memory>
#include <span>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/io/scheduler.h"
#include "protocols/io/task.h"

namespace flaresim::io {

/// A reliable, ordered stream of bytes with two independent directions: a TCP connection, a secured channel,
/// a multiplexed stream, a relayed circuit.
///
/// 1. At most one coroutine reads and at most one writes at a time.
/// 2. `read` completes with at least one byte, or with 0 at the end of the stream.
/// 3. `write` completes when the layer below has taken every byte; that is how back-pressure reaches a
/// writer.
/// 4. `close_write` ends our direction after what was written; the other one goes on.
/// 5. `reset` ends both directions at once and tells the remote; pending and later operations fail with
/// `why`.
///    It may be called at any time, any number of times; the first reason stays.
/// 6. Destroying a stream that has not ended resets it. A stream must outlive its pending operations.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual Task<Result<std::size_t>> read(std::span<std::uint8_t> into) = 0;
  virtual Task<Result<>> write(BytesView bytes) = 0;
  virtual Task<Result<>> close_write() = 0;
  virtual void reset(std::error_code why) = 0;

  void reset(std::errc why = std::errc::operation_canceled) { reset(std::make_error_code(why)); }
};

using StreamPtr = std::shared_ptr<Stream>;

/// Fills the span, or fails: `errc::connection_aborted` when the stream ends before.
Task<Result<>> read_exactly(Stream& stream, std::span<std::uint8_t> into);

/// Reads one message framed by an unsigned varint length.
/// Fails with `errc::message_size` above `max_bytes` (before reading the body), `errc::bad_message` for an
/// overlong or non-minimal length, `errc::connection_aborted` when the stream ends inside the message.
Task<Result<Bytes>> read_delimited(Stream& stream, std::size_t max_bytes);

/// Writes one message behind its unsigned varint length, in one write.
Task<Result<>> write_delimited(Stream& stream, BytesView message);

/// Ends our direction, then reads away what still comes until the remote has ended its own, so that what we
/// wrote last is not overtaken by a reset. Resets the stream when that takes longer than `limit`.
Task<> end_gracefully(Scheduler& scheduler, std::shared_ptr<Stream> stream, Duration limit);

/// Gives an exchange on a stream a time limit: when it passes, the stream is reset with `errc::timed_out`,
/// and so the operation that waits on it fails. Destroying it lifts the limit.
class Deadline {
 public:
  Deadline(Scheduler& scheduler, std::shared_ptr<Stream> stream, Duration limit);

 private:
  Timer timer_;
};

}  // namespace flaresim::io
