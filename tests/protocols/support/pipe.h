#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "protocols/io/signal.h"
#include "protocols/io/stream.h"
#include "tests/protocols/support/test_scheduler.h"

namespace flaresim::support {

struct PipeOptions {
  io::Duration latency{};  ///< one way
  /// The most that one read returns, to cut messages at awkward places.
  std::size_t max_read_bytes = std::numeric_limits<std::size_t>::max();
  /// How much may be on the way or unread before a write waits, each way.
  std::size_t capacity_bytes = std::numeric_limits<std::size_t>::max();
};

/// One end of a pipe in memory, with everything that a test wants to see or break.
/// Asserts that a stream has one reader and one writer at a time.
class PipeEnd final : public io::Stream, public std::enable_shared_from_this<PipeEnd> {
 public:
  PipeEnd(TestScheduler& scheduler, const PipeOptions& options);
  ~PipeEnd() override;

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  /// The other end's operations fail with `errc::connection_reset` after the latency.
  void reset(std::error_code why) override;
  using io::Stream::reset;

  /// Sends bytes to the other end without waiting, whatever else is being written.
  void inject(io::BytesView bytes);
  /// Sees, and may change, every write before it leaves.
  void on_write(std::function<void(io::Bytes&)> hook) { on_write_ = std::move(hook); }
  /// From now on, what this end writes vanishes on the way.
  void black_hole(bool on = true) { black_hole_ = on; }

  std::uint64_t bytes_written() const { return bytes_written_; }
  std::uint64_t writes() const { return writes_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  std::size_t unread_bytes() const { return unread_.size() - unread_from_; }
  bool write_closed() const { return write_closed_; }
  /// Why it was reset, by either end.
  std::optional<std::error_code> reset_reason() const { return reset_; }
  /// Nothing more will pass in either direction.
  bool ended() const { return reset_.has_value() || (write_closed_ && remote_closed_); }

 private:
  friend struct Pipe pipe(TestScheduler& scheduler, const PipeOptions& a_to_b, const PipeOptions& b_to_a);

  void to_peer(std::function<void(PipeEnd&)> what);
  void end(std::error_code why);

  TestScheduler& scheduler_;
  PipeOptions options_;
  std::weak_ptr<PipeEnd> peer_;
  io::Signal readable_;
  io::Signal writable_;
  io::Bytes unread_;
  std::size_t unread_from_ = 0;
  std::size_t outstanding_ = 0;  // written by us, not read by the peer
  std::function<void(io::Bytes&)> on_write_;
  std::optional<std::error_code> reset_;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t bytes_read_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool write_closed_ = false;
  bool remote_closed_ = false;
  bool black_hole_ = false;
};

struct Pipe {
  std::shared_ptr<PipeEnd> a;
  std::shared_ptr<PipeEnd> b;
};

Pipe pipe(TestScheduler& scheduler, const PipeOptions& options = {});
Pipe pipe(TestScheduler& scheduler, const PipeOptions& a_to_b, const PipeOptions& b_to_a);

}  // namespace flaresim::support
