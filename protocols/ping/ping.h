#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <system_error>

#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/io/time.h"
#include "protocols/swarm/connection.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::ping {

inline constexpr std::string_view ping_protocol = "/ipfs/ping/1.0.0";

enum class Error {
  wrong_echo = 1,   ///< the remote answered with other bytes than ours
  already_pinging,  ///< one ping at a time for each peer
};
std::error_code make_error_code(Error error);

struct PingProfile {
  io::Duration limit = std::chrono::seconds(10);          // go-libp2p p2p/protocol/ping/ping.go pingTimeout
  io::Duration handler_limit = std::chrono::seconds(30);  // ... pingDuration, the whole inbound stream
  int max_inbound_streams_per_peer = 2;                   // libp2p/specs ping/ping.md
};

/// Measures round trips: 32 random bytes, echoed. Runs on limited connections too.
/// Source: libp2p/specs ping/ping.md r0.
class Ping {
 public:
  Ping(std::shared_ptr<swarm::Swarm> swarm, PingProfile profile);

  /// One round trip over this connection, the negotiation of the stream not counted.
  io::Task<io::Result<io::Duration>> ping(swarm::ConnectionPtr connection);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::ping

template <>
struct std::is_error_code_enum<flaresim::ping::Error> : std::true_type {};
