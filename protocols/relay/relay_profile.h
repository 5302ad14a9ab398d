#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "protocols/io/time.h"
#include "protocols/swarm/connection.h"

namespace flaresim::relay {

/// What the relay does with a circuit once a direction has carried all the bytes it may.
enum class AtDataLimit {
  reset,       ///< the next byte resets both streams (libp2p/specs relay/circuit-v2.md, "Reservation")
  half_close,  ///< that direction ends, the other goes on (go-libp2p circuitv2/relay/relay.go relayLimited)
};

/// Bounds of a relay; the defaults' sources stand beside them.
struct RelayServiceProfile {
  std::chrono::seconds reservation_ttl = std::chrono::hours(1);  // go-libp2p circuitv2/relay/resources.go
  std::size_t max_reservations = 128;                            // ... resources.go
  std::size_t max_reservations_per_ip = 8;                       // ... resources.go
  /// IPv6 addresses that share this prefix count as one. go counts whole addresses and 32 a routing domain
  /// (ASN), which nobody here can tell; /56 is the smallest site it assumes for observers.
  int ipv6_prefix_bits = 56;               // ... p2p/host/observedaddrs/manager.go
  std::size_t max_circuits_per_peer = 16;  // ... resources.go MaxCircuits, both roles added
  swarm::CircuitLimit limit = {std::chrono::seconds(120), 128 * 1024};  // ... resources.go DefaultLimit
  AtDataLimit at_data_limit = AtDataLimit::reset;                       // libp2p/specs relay/circuit-v2.md
  std::size_t buffer_bytes = 2048;                          // ... resources.go BufferSize, each direction
  io::Duration message_limit = std::chrono::seconds(60);    // ... relay.go StreamTimeout
  io::Duration stop_open_limit = std::chrono::seconds(30);  // ... relay.go ConnectTimeout
  io::Duration stop_limit = std::chrono::seconds(60);       // ... relay.go HandshakeTimeout
  std::size_t max_message_bytes = 4096;                     // ... relay.go maxMessageSize
};

struct RelayClientProfile {
  io::Duration reserve_limit = std::chrono::seconds(60);    // go-libp2p circuitv2/client ReserveTimeout
  io::Duration dial_limit = std::chrono::seconds(60);       // ... client/dial.go DialTimeout
  io::Duration relay_dial_limit = std::chrono::seconds(5);  // ... client/dial.go DialRelayTimeout
  io::Duration stop_limit = std::chrono::seconds(60);       // ... client/handlers.go StreamTimeout
  io::Duration refresh_check_interval =
      std::chrono::minutes(1);  // ... p2p/host/autorelay/relay_finder.go rsvpRefreshInterval
  io::Duration refresh_before_expiry =
      std::chrono::minutes(2);              // ... p2p/host/autorelay/relay_finder.go rsvpExpirationSlack
  std::size_t max_circuit_addresses = 100;  // ... p2p/host/autorelay/relay_finder.go maxRelayAddrs
  std::size_t max_message_bytes = 4096;     // ... client/dial.go maxMessageSize
};

struct RelayProfile {
  RelayServiceProfile service;
  RelayClientProfile client;
};

}  // namespace flaresim::relay
