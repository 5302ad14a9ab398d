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
  too_many_pushes,  ///< beyond `IdentifyProfile::push_limits`
};
std::error_code make_error_code(Error error);

/// At most `burst` at once, and one more for every `interval` that has passed since. Of no interval: without limit.
struct RateLimit {
  io::Duration interval;
  int burst;
};

/// How many pushes of others are taken, counted where they come from; over a relay, where the relay is. Those over
/// loopback are all taken. go-libp2p p2p/protocol/identify/id.go, x/rate/limiter.go.
struct PushLimits {
  RateLimit of_ipv4_24{std::chrono::seconds(5), 10};       // defaultIPv4SubnetRateLimits
  RateLimit of_ipv6_56{std::chrono::seconds(5), 10};       // defaultIPv6SubnetRateLimits
  RateLimit of_ipv6_48{std::chrono::seconds(2), 20};       // ...
  RateLimit of_all{std::chrono::microseconds(500), 3000};  // defaultGlobalRateLimit
};

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
  PushLimits push_limits;
  /// Keeps all the addresses that a peer tells, so that two peers of one local network that meet over a relay learn each
  /// other's private ones. Without, those of a narrower scope than the connection are left out, as go-libp2p does
  /// (... id.go filterAddrs): of a remote at a public address those that are not public, of any other one that is not
  /// on loopback those on loopback. Over a relay, the relay's address decides. Names are always kept.
  bool keep_narrower_addresses = true;
};

/// Tells peers who we are and where we can be reached, and learns the same of them.
///
/// 1. Both sides of every new connection ask the other one, also when a relay limits the connection.
/// 2. What they say goes to the peer store: addresses from the signed record when it is valid and their own,
///    else the unsigned ones; what cannot be parsed is left out, what is missing leaves the store as it was.
/// 3. Where they see us from goes to `OwnAddresses`, unless they see us through a relay.
/// 4. When our addresses or protocols change, connected peers that listen to pushes are told. Of pushes to us, those
///    beyond `push_limits` have their stream reset before anything is read of it.
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
