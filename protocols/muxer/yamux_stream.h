#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocols/io/signal.h"
#include "protocols/io/stream.h"
#include "protocols/muxer/yamux_frame.h"

namespace flaresim::muxer {

class YamuxSession;

/// One stream of a yamux session: its two windows, what it has received, and what waits to be sent.
class YamuxStream final : public io::Stream {
 public:
  /// What either side may send before the first window update, always. Source: yamux spec.md "Flow Control".
  static constexpr std::uint32_t initial_window_bytes = 256 * 1024;

  enum class Origin { local, remote };

  YamuxStream(std::shared_ptr<YamuxSession> session, std::uint32_t id, Origin origin);
  ~YamuxStream() override;

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override;
  using io::Stream::reset;

  // For the session:

  std::uint32_t id() const { return id_; }
  /// Opened by us, and the remote has not answered.
  bool unacknowledged() const { return origin_ == Origin::local && !acknowledged_; }
  /// Says that the stream is there, or that we take it, and how much more than the initial window we grant.
  void announce();
  void on_acknowledged();
  /// Takes `length` bytes from the window before they are received.
  io::Result<> on_data_announced(std::uint32_t length);
  void on_data(io::BytesView bytes);
  io::Result<> on_window_update(std::uint32_t delta);
  void on_fin();
  /// The stream is over; with `discard`, so is what it has received.
  void fail(std::error_code why, bool discard);

  bool wants_to_send() const { return !unsent_.empty() && send_window_bytes_ > 0; }
  /// Appends one data frame with at most `max_bytes` of what is to be sent.
  void send_some(io::Bytes& to, std::size_t max_bytes);

 private:
  void consumed(std::size_t bytes);
  void send_window_update(std::uint16_t flags, std::uint32_t delta);
  /// The acknowledgement that is due rides on the next frame, whatever it is.
  std::uint16_t take_ack();
  bool ended() const { return error_.has_value() || (write_closed_ && remote_closed_); }

  std::shared_ptr<YamuxSession> session_;
  const std::uint32_t id_;
  const Origin origin_;
  bool acknowledged_ = false;
  bool write_closed_ = false;
  bool remote_closed_ = false;
  std::optional<std::error_code> error_;

  io::Bytes received_;
  std::size_t received_from_ = 0;
  std::uint32_t receive_window_bytes_ = initial_window_bytes;  // what the remote may still send
  std::uint32_t consumed_bytes_ = 0;                           // read, and not given back to the remote
  io::Signal readable_;

  io::BytesView unsent_;
  std::uint32_t send_window_bytes_ = initial_window_bytes;
  io::Signal writable_;
};

}  // namespace flaresim::muxer
