#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "protocols/muxer/muxed_connection.h"
#include "protocols/security/security.h"

namespace flaresim::muxer {

inline constexpr std::string_view yamux_protocol = "/yamux/1.0.0";

enum class YamuxError {
  unknown_version = 1,
  unknown_type,
  bad_stream_id,         ///< a SYN with the remote's parity wrong, reused, or zero
  window_exceeded,       ///< more data than the window allowed
  window_overflow,       ///< updates add up to more than 2^32 - 1
  frame_too_long,
  too_many_streams,      ///< more unaccepted inbound streams than the backlog (the stream is refused, not fatal)
  bad_flags,
  go_away,               ///< the remote ended the session normally
  go_away_protocol,      ///< ... because of our protocol error
  go_away_internal,      ///< ... because of its own error
  keep_alive_timeout,
};
std::error_code make_error_code(YamuxError error);

/// Limits and timers of one yamux session; the defaults' sources stand beside them.
struct YamuxProfile {
  std::uint32_t initial_window_bytes = 256 * 1024;      // yamux specification: initial window
  std::uint32_t max_window_bytes = 16 * 1024 * 1024;    // go-libp2p p2p/muxer/yamux/transport.go MaxStreamWindowSize
  std::uint32_t max_message_bytes = 64 * 1024;          // go-yamux mux.go MaxMessageSize
  std::uint32_t accept_backlog = 256;                   // go-yamux mux.go AcceptBacklog; specification: SHOULD
  io::Duration keep_alive_interval = std::chrono::seconds(30);  // go-yamux mux.go KeepAliveInterval
  io::Duration write_timeout = std::chrono::seconds(10);        // go-yamux mux.go ConnectionWriteTimeout
  std::uint32_t max_streams = 1024;                     // bound of our own; go leaves it to the resource manager
};

/// Runs a yamux session over a secured stream, which it owns. The client's streams are odd, the server's even.
/// Source: hashicorp/yamux spec.md; libp2p/specs yamux/README.md.
MuxedConnectionPtr yamux(io::Scheduler& scheduler, io::StreamPtr secured, security::Role role,
                         const YamuxProfile& profile = {});

}  // namespace flaresim::muxer

template <>
struct std::is_error_code_enum<flaresim::muxer::YamuxError> : std::true_type {};
