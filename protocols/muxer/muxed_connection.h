#pragma once

#include <memory>
#include <system_error>

#include "protocols/io/stream.h"

namespace flaresim::muxer {

/// A secured connection that carries many streams: yamux over a secured stream, or QUIC.
///
/// 1. Streams of either side are independent, and share the connection's fate.
/// 2. `close` ends the connection at once: the remote is told, all streams and pending operations fail with
///    `why`. Any number of times; the first reason stays.
/// 3. The connection also ends by itself when the remote goes away or breaks the protocol.
class MuxedConnection {
 public:
  virtual ~MuxedConnection() = default;

  /// Does not wait for the remote to accept. Fails with `errc::no_buffer_space` at the limits of
  /// streams and of unacknowledged ones, or the reason why the connection ended.
  virtual io::Task<io::Result<io::StreamPtr>> open_stream() = 0;
  /// The next stream that the remote opened; fails with the reason once the connection has ended.
  virtual io::Task<io::Result<io::StreamPtr>> accept_stream() = 0;
  virtual void close(std::error_code why) = 0;
  virtual bool closed() const = 0;
  /// Streams that have not ended in both directions.
  virtual std::size_t streams() const = 0;
};

using MuxedConnectionPtr = std::shared_ptr<MuxedConnection>;

}  // namespace flaresim::muxer
