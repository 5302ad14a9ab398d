#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "protocols/muxer/muxed_connection.h"
#include "protocols/security/security.h"

namespace flaresim::muxer {

inline constexpr std::string_view yamux_protocol = "/yamux/1.0.0";

/// Why a session ended. The remote is told of its protocol errors with a go-away of code 1.
enum class YamuxError {
  unknown_version = 1,
  unknown_type,
  bad_stream_id,    ///< a SYN of our parity, of id 0, or of a used id; a frame for a stream never opened
  window_exceeded,  ///< more data than the window allowed
  window_overflow,  ///< updates add up to more than 2^32 - 1
  frame_too_long,   ///< data longer than any window we grant
  bad_flags,        ///< unknown ones, or a ping that is neither request nor answer
  data_after_fin,
  go_away,             ///< the remote ended the session normally
  go_away_protocol,    ///< ... because of our protocol error
  go_away_internal,    ///< ... because of its own error, or for a reason we do not know
  keep_alive_timeout,  ///< nothing was received for a while, not even the answer to a ping
};
const std::error_category& yamux_category();
std::error_code make_error_code(YamuxError error);

/// Limits and timers of one yamux session; the defaults' sources stand beside them.
struct YamuxProfile {
  /// What we let the remote send ahead on a stream; at least the specification's 256 KiB.
  std::uint32_t initial_window_bytes = 256 * 1024;  // yamux specification: initial window
  std::uint32_t max_message_bytes = 64 * 1024;      // go-yamux mux.go MaxMessageSize
  /// Streams the remote opened and nobody has accepted, and our own that the remote has not acknowledged.
  std::uint32_t accept_backlog = 256;  // go-yamux mux.go AcceptBacklog; specification: SHOULD
  /// Silence after which we ping; zero: never.
  io::Duration keep_alive_interval = std::chrono::seconds(30);  // go-yamux mux.go KeepAliveInterval
  /// For one write to the stream below, and for the answer to a ping.
  io::Duration write_timeout = std::chrono::seconds(10);  // go-yamux mux.go ConnectionWriteTimeout
  std::uint32_t max_streams = 1024;  // bound of our own; go leaves it to the resource manager
};

/// Runs a yamux session over a secured stream, which it owns. The client's streams are odd, the server's even.
///
/// 1. A stream that the remote opens beyond `accept_backlog` or `max_streams` is refused with RST, no more.
/// 2. Frames that become due together leave in one write; streams take turns, one frame each.
/// 3. A write completes once its bytes are in what is written below next; it waits for the stream's window, and
///    for its turn.
/// 4. What a stream has received is still readable when the remote resets it or ends the session, and then
///    comes the error. After a `reset` or `close` of our own nothing is.
/// 5. At its end the session says go-away as far as that takes no waiting, and resets the stream below.
/// 6. One timer is armed while it lives, none afterwards. Dropping the session closes it.
/// Source: hashicorp/yamux spec.md; libp2p/specs yamux/README.md.
MuxedConnectionPtr yamux(io::Scheduler& scheduler, io::StreamPtr secured, security::Role role,
                         const YamuxProfile& profile = {});

}  // namespace flaresim::muxer

template <>
struct std::is_error_code_enum<flaresim::muxer::YamuxError> : std::true_type {};
