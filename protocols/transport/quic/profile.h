#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"

namespace flaresim::quic {

/// Takes the text of one connection's qlog file, piece by piece.
using QlogSink = std::function<void(std::string_view piece)>;

/// Limits and timers of a QUIC endpoint; the defaults' sources stand beside them.
struct QuicProfile {
  /// Before there is a measurement: the first Initial is sent again after three times this.
  io::Duration initial_rtt = std::chrono::milliseconds(333);  // RFC 9002 §6.2.2; quic-go has 100 ms
  io::Duration handshake_timeout = std::chrono::seconds(10);  // quic-go DefaultHandshakeTimeout
  io::Duration idle_timeout = std::chrono::seconds(30);       // quic-go DefaultIdleTimeout
  io::Duration keep_alive = std::chrono::seconds(15);         // go-libp2p quicreuse/config.go; 0: none
  std::uint64_t max_incoming_streams = 256;                   // go-libp2p quicreuse/config.go

  // Flow control windows grow from the first towards the second as the reader keeps up.
  std::uint64_t stream_window_bytes = 512 * 1024;                // quic-go internal/protocol/params.go
  std::uint64_t max_stream_window_bytes = 10 * 1024 * 1024;      // go-libp2p quicreuse/config.go
  std::uint64_t connection_window_bytes = 768 * 1024;            // quic-go internal/protocol/params.go
  std::uint64_t max_connection_window_bytes = 15 * 1024 * 1024;  // go-libp2p quicreuse/config.go

  // Bounds of our own.
  std::size_t unsent_bytes = 64 * 1024;  ///< what a stream holds of a writer's bytes before the writer waits
  std::size_t max_connections = 16'384;  ///< of one endpoint, whoever dialled; more inbound ones are refused
  std::size_t accept_backlog = 256;
  /// With so many inbound handshakes under way whose address is not validated, newcomers get a Retry.
  std::size_t retry_above = 256;
  io::Duration retry_token_lifetime = std::chrono::seconds(10);  // quic-go RetryTokenValidity
  /// Datagrams up to this size that belong to no connection are dropped silently, as those of a hole punch (64
  /// bytes) must be; longer ones are answered by a stateless reset (RFC 9000 §10.3.3: never by a longer datagram).
  std::size_t reset_above_bytes = 64;

  /// Opens the qlog of a new connection, named by the client's first destination id and the side.
  std::function<QlogSink(std::string_view name)> open_qlog;
  /// Hears of inbound handshakes that failed.
  std::function<void(const io::Endpoint& remote, std::error_code why)> on_refused;
};

}  // namespace flaresim::quic
