#include "tests/protocols/support/pipe.h"

#include <algorithm>
#include <cassert>

namespace flaresim::support {
namespace {

/// Marks that an operation is pending; a second one breaks the contract of io::Stream.
class Pending {
 public:
  explicit Pending(bool& flag) : flag_(flag) {
    assert(!flag_);
    flag_ = true;
  }
  ~Pending() { flag_ = false; }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

 private:
  bool& flag_;
};

}  // namespace

PipeEnd::PipeEnd(TestScheduler& scheduler, const PipeOptions& options)
    : scheduler_(scheduler), options_(options), readable_(scheduler), writable_(scheduler) {}

PipeEnd::~PipeEnd() {
  if (!ended()) PipeEnd::reset(std::make_error_code(std::errc::operation_canceled));
}

io::Task<io::Result<std::size_t>> PipeEnd::read(std::span<std::uint8_t> into) {
  assert(!into.empty());
  const Pending pending(reading_);
  while (!reset_ && unread_bytes() == 0 && !remote_closed_) co_await readable_.wait();
  if (reset_) co_return tl::unexpected(*reset_);
  const auto n = std::min({into.size(), unread_bytes(), options_.max_read_bytes});
  std::copy_n(unread_.begin() + static_cast<std::ptrdiff_t>(unread_from_), n, into.begin());
  unread_from_ += n;
  bytes_read_ += n;
  if (unread_from_ == unread_.size()) {
    unread_.clear();
    unread_from_ = 0;
  }
  if (n > 0) {
    to_peer([n](PipeEnd& peer) {
      peer.outstanding_ -= std::min(n, peer.outstanding_);
      peer.writable_.notify_all();
    });
  }
  co_return n;
}

io::Task<io::Result<>> PipeEnd::write(io::BytesView bytes) {
  const Pending pending(writing_);
  assert(!write_closed_);
  ++writes_;
  while (!reset_ && !bytes.empty()) {
    const auto room = options_.capacity_bytes - std::min(options_.capacity_bytes, outstanding_);
    if (room == 0) {
      co_await writable_.wait();
      continue;
    }
    const auto part = bytes.first(std::min(room, bytes.size()));
    outstanding_ += part.size();
    inject(part);
    bytes = bytes.subspan(part.size());
  }
  if (reset_) co_return tl::unexpected(*reset_);
  co_return io::Result<>{};
}

io::Task<io::Result<>> PipeEnd::close_write() {
  if (reset_) co_return tl::unexpected(*reset_);
  if (!write_closed_) {
    write_closed_ = true;
    to_peer([](PipeEnd& peer) {
      peer.remote_closed_ = true;
      peer.readable_.notify_all();
    });
  }
  co_return io::Result<>{};
}

void PipeEnd::reset(std::error_code why) {
  if (reset_) return;
  to_peer([](PipeEnd& peer) { peer.end(std::make_error_code(std::errc::connection_reset)); });
  end(why);
}

void PipeEnd::end(std::error_code why) {
  if (reset_) return;
  reset_ = why;
  unread_.clear();
  unread_from_ = 0;
  readable_.notify_all();
  writable_.notify_all();
}

void PipeEnd::inject(io::BytesView bytes) {
  io::Bytes copy(bytes.begin(), bytes.end());
  if (on_write_) on_write_(copy);
  bytes_written_ += copy.size();
  if (black_hole_) return;
  to_peer([copy = std::move(copy)](PipeEnd& peer) {
    if (peer.reset_) return;
    io::append(peer.unread_, copy);
    peer.readable_.notify_all();
  });
}

void PipeEnd::to_peer(std::function<void(PipeEnd&)> what) {
  scheduler_.schedule(scheduler_.now() + options_.latency, [peer = peer_, what = std::move(what)] {
    if (const auto end = peer.lock()) what(*end);
  });
}

Pipe pipe(TestScheduler& scheduler, const PipeOptions& options) { return pipe(scheduler, options, options); }

Pipe pipe(TestScheduler& scheduler, const PipeOptions& a_to_b, const PipeOptions& b_to_a) {
  Pipe both{std::make_shared<PipeEnd>(scheduler, a_to_b), std::make_shared<PipeEnd>(scheduler, b_to_a)};
  both.a->peer_ = both.b;
  both.b->peer_ = both.a;
  return both;
}

}  // namespace flaresim::support
