#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/io/time.h"
#include "protocols/swarm/connection.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::identify {

inline constexpr std::string_view identify_protocol = "/ipfs/id/1.0.0";
inline constexpr std::string_view push_protocol = "/ipfs/id/push/1.0.0";

/// What can be wrong with the message of a remote. Time limits are `errc::timed_out`.
enum class Error {
  no_message = 1,   ///< the stream ended without one
  bad_length,       ///< the length of a part is no valid varint
  part_too_long,    ///< more than `max_part_bytes`
  too_many_parts,   ///< more than `max_parts`
  truncated,        ///< the stream ended inside a part
  malformed,        ///< a part is no Identify message
  connection_lost,  ///< the connection ended before its identify had finished
};
std::error_code make_error_code(Error error);

/// Limits of identify; the defaults' sources stand beside them.
struct IdentifyProfile {
  std::string protocol_version = "ipfs/0.1.0";  // what kubo and nim-libp2p say
  std::string agent = "flaresim/0.1.0";
  io::Duration limit = std::chrono::seconds(5);  // go-libp2p p2p/protocol/identify/id.go DefaultTimeout
  std::size_t max_parts = 10;                    // ... id.go maxMessages
  std::size_t max_part_bytes = 8 * 1024;         // ... id.go signedIDSize
  std::size_t split_above_bytes = 2 * 1024;      // ... id.go legacyIDSize: the record then goes by itself
  std::size_t max_own_bytes = 4 * 1024;          // ... id.go maxOwnIdentifyMsgSize, what rust-libp2p reads
  std::size_t max_concurrent_pushes = 32;        // ... id.go maxPushConcurrency
  std::size_t max_protocols = 1024;              // ... p2p/host/peerstore/pstoremem maxProtos
  io::Duration push_debounce = std::chrono::seconds(1);  // js-libp2p protocol-identify, debounce of pushes
};

/// Tells peers who we are and where we can be reached, and learns the same of them.
///
/// 1. Both sides of every new connection ask the other one, also when a relay limits the connection.
/// 2. What they say goes to the peer store: addresses from the signed record when it is valid and their own,
///    else the unsigned ones; what cannot be parsed is left out, what is missing leaves the store as it was.
/// 3. Where they see us from goes to `OwnAddresses`, unless they see us through a relay.
/// 4. When our addresses or protocols change, connected peers that listen to pushes are told.
///
/// Copies share one protocol. Source: libp2p/specs identify/README.md r1; RFC/0003-routing-records.md.
class Identify {
 public:
  Identify(std::shared_ptr<swarm::Swarm> swarm, IdentifyProfile profile);

  /// Completes when we know what the remote says of itself, or why not: an `Error`, `errc::timed_out`, or
  /// `negotiation::Error::no_protocol`. Starts the exchange if it has not begun.
  io::Task<io::Result<>> wait_for(swarm::ConnectionPtr connection);

  /// Pushes to connected peers if our addresses or protocols differ from what they were told last. To be
  /// called after a protocol was added or removed; changes of addresses are noticed.
  void announce();

  /// Called after the remote of a new connection has said who it is.
  void on_identified(std::function<void(const swarm::ConnectionPtr&)> callback);
  /// Called after a push of the remote has changed what the peer store says of it.
  void on_pushed(std::function<void(const swarm::ConnectionPtr&)> callback);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::identify

template <>
struct std::is_error_code_enum<flaresim::identify::Error> : std::true_type {};
