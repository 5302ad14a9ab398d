#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "protocols/autonat/error.h"
#include "protocols/identify/identify.h"
#include "protocols/io/time.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

inline constexpr std::string_view v2_dial_request_protocol = "/libp2p/autonat/2/dial-request";
inline constexpr std::string_view v2_dial_back_protocol = "/libp2p/autonat/2/dial-back";

/// When the client asks, and what it makes of the answers; the defaults' sources stand beside them.
struct V2ClientProfile {
  // go-libp2p p2p/host/basic/addrs_reachability_tracker.go
  io::Duration new_address_delay = std::chrono::seconds(1);  // newAddrsProbeDelay
  io::Duration check_interval = std::chrono::minutes(5);     // defaultReachabilityRefreshInterval
  io::Duration backoff_start = std::chrono::seconds(5);      // backoffStartInterval
  io::Duration backoff_max = std::chrono::minutes(5);        // maxBackoffInterval
  std::size_t max_consecutive_errors = 20;                   // maxConsecutiveErrors
  std::size_t max_concurrent_probes = 5;                     // defaultMaxConcurrency
  std::size_t max_addresses_per_request = 10;                // maxAddrsPerRequest
  std::size_t max_addresses = 50;                            // maxTrackedAddrs
  int target_confidence = 3;                                 // targetConfidence
  int min_confidence = 2;                                    // minConfidence
  std::size_t outcome_window = 5;                            // maxRecentDialsWindow
  io::Duration reprobe_interval = std::chrono::hours(1);     // highConfidenceAddrProbeInterval
  io::Duration outcome_lifetime = std::chrono::hours(5);     // maxProbeResultTTL
  std::size_t max_recent_dials = 10;                         // maxRecentDialsPerAddr
  std::size_t max_consecutive_refusals = 5;                  // maxConsecutiveRefusals
  io::Duration recent_interval = std::chrono::minutes(10);   // recentProbeInterval, of both
  // go-libp2p p2p/protocol/autonatv2/autonat.go
  io::Duration server_reuse = std::chrono::minutes(2);     // defaultThrottlePeerDuration
  io::Duration request_limit = std::chrono::seconds(15);   // streamTimeout
  io::Duration dial_back_limit = std::chrono::seconds(5);  // dialBackStreamTimeout
  std::size_t max_message_bytes = 8192;                    // maxMsgSize
  std::size_t max_dial_back_message_bytes = 1024;          // dialBackMaxMsgSize
  std::uint64_t max_dial_data_bytes = 100'000;             // maxHandshakeSizeBytes; above, we do not pay
  std::size_t dial_data_chunk_bytes = 4000;                // client.go newClient
};

/// Learns which addresses of ours can be dialled.
///
/// 1. Probes what `OwnAddresses::probeable()` names, `new_address_delay` after it has changed; what is probed no more is
///    forgotten. Up to `max_concurrent_probes` run at a time, each with another server, until nothing is left to ask.
/// 2. A probe asks one server about the first address, in the order of their bytes, that needs more probes than are
///    under way for it, and names others that need some behind it. The server is one, from a random one on, of those that
///    are connected directly, have said in identify that they speak the protocol, and were not asked lately.
/// 3. An address needs as many probes as its confidence, which is the difference of successes and failures among its
///    last `outcome_window` outcomes, lacks to `target_confidence`; with full confidence, one when the last outcome is
///    older than `reprobe_interval` or says the opposite. It is reachable or unreachable from `min_confidence` on.
/// 4. An address that every server refuses to dial, or that was dialled too often without a clear result, rests for
///    `recent_interval`.
/// 5. When no server is there, or errors do not end, probing pauses for `backoff_start`, and twice as long each time, up to
///    `backoff_max`. Anything else that might need a probe is found every `check_interval`.
/// 6. A success counts only when our nonce has come on a connection of the transport that the server says it used. Bytes
///    are sent to a server that asks for them, up to `max_dial_data_bytes`.
///
/// In go-libp2p an address that shares its socket with another (WebTransport with QUIC, say) takes over what is known of
/// that one; of what is listened on here no two share a socket. Sources: libp2p/specs autonat/autonat-v2.md r2; go-libp2p
/// p2p/host/basic/addrs_reachability_tracker.go, p2p/protocol/autonatv2/client.go.
class V2Client {
 public:
  V2Client(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, V2ClientProfile profile);
  ~V2Client();
  V2Client(const V2Client&) = delete;
  V2Client& operator=(const V2Client&) = delete;

  /// Of every public address that is probed.
  std::map<multiformats::Multiaddr, swarm::Reachability> verdicts() const;
  /// Of the whole peer: reachable when an address is, unreachable when some are known not to be and none is.
  swarm::Reachability verdict() const;
  /// Called after `verdicts()` has changed, also when an address came or went.
  void on_change(std::function<void()> callback);
  /// Requests that were sent to a server, ever.
  std::uint64_t probes() const;
  /// Probes, and dial-backs to us, under way.
  std::size_t active() const;
  /// Ends what runs and takes the protocol away; the verdicts stay.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Bounds of the service; the defaults' sources stand beside them.
struct V2ServerProfile {
  // go-libp2p p2p/protocol/autonatv2/autonat.go
  std::size_t max_addresses = 50;                        // maxPeerAddresses
  io::Duration stream_limit = std::chrono::seconds(15);  // streamTimeout
  io::Duration dial_limit = std::chrono::seconds(10);    // dialBackDialTimeout
  io::Duration dial_back_limit =
      std::chrono::seconds(5);           // dialBackStreamTimeout, for the nonce and again for the answer
  std::size_t max_message_bytes = 8192;  // maxMsgSize
  std::uint64_t min_dial_data_bytes = 30'000;   // minHandshakeSizeBytes
  std::uint64_t max_dial_data_bytes = 100'000;  // maxHandshakeSizeBytes
  std::size_t min_chunk_bytes = 100;            // server.go readDialData, the last one excepted
  // ... options.go
  std::size_t max_requests_per_minute = 60;              // serverRPM
  std::size_t max_requests_per_peer = 12;                // serverPerPeerRPM
  std::size_t max_dial_data_requests = 12;               // serverDialDataRPM
  std::size_t max_concurrent_per_peer = 2;               // maxConcurrentRequestsPerPeer
  io::Duration max_dial_wait = std::chrono::seconds(3);  // amplificatonAttackPreventionDialWait
};

/// What became of requests.
struct V2ServerCounters {
  std::uint64_t requests = 0;         ///< streams that were opened
  std::uint64_t dialled_back = 0;     ///< answered OK, dial status OK
  std::uint64_t failed = 0;           ///< ... dial status E_DIAL_ERROR or E_DIAL_BACK_ERROR
  std::uint64_t refused = 0;          ///< answered E_REQUEST_REJECTED or E_DIAL_REFUSED
  std::uint64_t bad = 0;              ///< reset
  std::uint64_t dial_data_bytes = 0;  ///< received
};

/// Dials others back at one address of their choice, from a swarm of its own, as V1Server.
///
/// 1. Dials the first of the first `max_addresses` addresses that is public, not relayed, of a transport that we speak, and
///    of an IP version that this host has an address of; refuses (E_DIAL_REFUSED) when there is none, and when the request
///    comes over a relay, so that nobody can tell from where.
/// 2. For an address with another IP address than the one that the request comes from, asks for `min_dial_data_bytes` to
///    `max_dial_data_bytes` first, and then waits for up to `max_dial_wait`. Both are random.
/// 3. Rejects (E_REQUEST_REJECTED), before reading it, a request beyond `max_requests_per_minute` of all peers in the last
///    minute, `max_requests_per_peer` of one, or `max_concurrent_per_peer` of one that are under way; and one that needs
///    dial data beyond `max_dial_data_requests` in the last minute.
/// 4. What is no request, and chunks of dial data that are too small, have the stream reset.
///
/// go-libp2p's server refuses QUIC while its detector of black holes has no opinion (issue 3491); there is no such
/// detector here, and QUIC is dialled from the beginning. Sources: libp2p/specs autonat/autonat-v2.md r2; go-libp2p
/// p2p/protocol/autonatv2/server.go.
class V2Server {
 public:
  V2Server(std::shared_ptr<swarm::Swarm> swarm, V2ServerProfile profile);
  ~V2Server();
  V2Server(const V2Server&) = delete;
  V2Server& operator=(const V2Server&) = delete;

  const V2ServerCounters& counters() const;
  /// Requests under way.
  std::size_t active() const;
  /// Ends what runs and takes the protocol away.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::autonat
