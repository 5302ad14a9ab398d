#include "protocols/muxer/yamux_stream.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "protocols/muxer/yamux_session.h"

namespace flaresim::muxer {

YamuxStream::YamuxStream(std::shared_ptr<YamuxSession> session, std::uint32_t id, Origin origin)
    : session_(std::move(session)),
      id_(id),
      origin_(origin),
      readable_(session_->scheduler()),
      writable_(session_->scheduler()) {}

YamuxStream::~YamuxStream() { YamuxStream::reset(std::make_error_code(std::errc::operation_canceled)); }

io::Task<io::Result<std::size_t>> YamuxStream::read(std::span<std::uint8_t> into) {
  while (received_.empty()) {
    if (remote_closed_) co_return 0;
    if (error_) co_return tl::unexpected(*error_);
    co_await readable_.wait();
  }
  const auto n = std::min(into.size(), received_.size() - received_from_);
  std::memcpy(into.data(), received_.data() + received_from_, n);
  received_from_ += n;
  if (received_from_ == received_.size()) {
    received_ = {};
    received_from_ = 0;
  }
  consumed(n);
  co_return n;
}

void YamuxStream::consumed(std::size_t bytes) {
  if (error_ || remote_closed_) return;
  consumed_bytes_ += static_cast<std::uint32_t>(bytes);
  if (consumed_bytes_ >= session_->profile().initial_window_bytes / 2) {
    send_window_update(0, std::exchange(consumed_bytes_, 0));
  } else if (!acknowledged_ && origin_ == Origin::remote) {
    // Nothing may ever be written to this stream: the remote must not count it as unacknowledged for ever.
    send_window_update(0, 0);
  }
}

void YamuxStream::send_window_update(std::uint16_t flags, std::uint32_t delta) {
  receive_window_bytes_ += delta;
  session_->send({.type = FrameType::window_update,
                  .flags = static_cast<std::uint16_t>(flags | take_ack()),
                  .stream = id_,
                  .length = delta});
}

std::uint16_t YamuxStream::take_ack() {
  return origin_ == Origin::remote && !std::exchange(acknowledged_, true) ? flag_ack : 0;
}

void YamuxStream::announce() {
  send_window_update(origin_ == Origin::local ? flag_syn : 0,
                     session_->profile().initial_window_bytes - initial_window_bytes);
}

void YamuxStream::on_acknowledged() {
  if (origin_ == Origin::local) acknowledged_ = true;
}

io::Task<io::Result<>> YamuxStream::write(io::BytesView bytes) {
  if (error_) co_return tl::unexpected(*error_);
  if (write_closed_) co_return io::fail(std::errc::broken_pipe);
  unsent_ = bytes;
  if (wants_to_send()) session_->queue(*this);
  while (!error_ && !unsent_.empty()) co_await writable_.wait();
  unsent_ = {};
  if (error_) co_return tl::unexpected(*error_);
  co_return io::Result<>{};
}

void YamuxStream::send_some(io::Bytes& to, std::size_t max_bytes) {
  const auto n = std::min({unsent_.size(), std::size_t{send_window_bytes_}, max_bytes});
  append_header(
      to,
      {.type = FrameType::data, .flags = take_ack(), .stream = id_, .length = static_cast<std::uint32_t>(n)});
  io::append(to, unsent_.first(n));
  unsent_ = unsent_.subspan(n);
  send_window_bytes_ -= static_cast<std::uint32_t>(n);
  if (unsent_.empty()) writable_.notify_all();
}

io::Task<io::Result<>> YamuxStream::close_write() {
  if (error_) co_return tl::unexpected(*error_);
  if (!std::exchange(write_closed_, true)) {
    send_window_update(flag_fin, 0);
    if (remote_closed_) session_->forget(*this);
  }
  co_return io::Result<>{};
}

void YamuxStream::reset(std::error_code why) {
  if (ended()) {
    // The remote has nothing to hear, but whoever resets does not want to read on.
    fail(why, true);
    return;
  }
  send_window_update(flag_rst, 0);
  session_->forget(*this);
  fail(why, true);
}

void YamuxStream::fail(std::error_code why, bool discard) {
  if (!error_) error_ = why;
  if (discard) {
    received_ = {};
    received_from_ = 0;
    remote_closed_ = false;
  }
  readable_.notify_all();
  writable_.notify_all();
}

io::Result<> YamuxStream::on_data_announced(std::uint32_t length) {
  if (remote_closed_ && length > 0) return io::fail(YamuxError::data_after_fin);
  if (length > receive_window_bytes_) return io::fail(YamuxError::window_exceeded);
  receive_window_bytes_ -= length;
  return {};
}

void YamuxStream::on_data(io::BytesView bytes) {
  // A reader that is always a little behind would otherwise keep all that was ever received.
  if (received_from_ > received_.size() / 2) {
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(received_from_));
    received_from_ = 0;
  }
  io::append(received_, bytes);
  readable_.notify_all();
}

io::Result<> YamuxStream::on_window_update(std::uint32_t delta) {
  if (delta > std::numeric_limits<std::uint32_t>::max() - send_window_bytes_) {
    return io::fail(YamuxError::window_overflow);
  }
  const bool was_waiting = !unsent_.empty() && send_window_bytes_ == 0;
  send_window_bytes_ += delta;
  if (was_waiting && wants_to_send()) session_->queue(*this);
  return {};
}

void YamuxStream::on_fin() {
  remote_closed_ = true;
  readable_.notify_all();
  if (write_closed_) session_->forget(*this);
}

}  // namespace flaresim::muxer
