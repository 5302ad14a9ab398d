#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "protocols/autonat/error.h"
#include "protocols/identify/identify.h"
#include "protocols/io/time.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

inline constexpr std::string_view v1_protocol = "/libp2p/autonat/1.0.0";

/// When the client asks; the defaults' sources stand beside them.
struct V1ClientProfile {
  io::Duration boot_delay = std::chrono::seconds(15);          // go-libp2p p2p/host/autonat/options.go
  io::Duration retry_interval = std::chrono::seconds(90);      // ... options.go
  io::Duration refresh_interval = std::chrono::minutes(15);    // ... options.go
  io::Duration max_refresh_interval = std::chrono::hours(24);  // ... options.go maxRefreshInterval
  io::Duration forced_probe_delay = std::chrono::seconds(2);   // ... autonat.go scheduleProbe
  io::Duration request_limit = std::chrono::seconds(30);       // ... options.go requestTimeout
  /// The same server is not asked again sooner. options.go throttlePeerPeriod, and rust-libp2p
  /// protocols/autonat/src/v1/behaviour.rs throttle_server_period; go-libp2p v0.48 notes whom it asked and does not look
  /// at its notes, which is zero here.
  io::Duration server_reuse = std::chrono::seconds(90);
  int max_confidence = 3;       // ... autonat.go maxConfidence
  std::size_t max_pending = 5;  // ... autonat.go tryProbe: with more than these, no further probe begins
  std::size_t max_message_bytes = 4096;  // ... svc.go maxMsgSize
};

/// Learns from others whether we can be dialled, as go-libp2p's ambient AutoNAT does.
///
/// 1. Each probe asks one server: at random, of those that are connected directly, have said in identify that they
///    speak the protocol, have a public address and none with an IP address of ours, and were not asked lately.
/// 2. The boot delay holds only while nothing happens: every connection that others open to us from a public address,
///    every identify and every change of our addresses sets the time of the next probe anew, from the last one's. The
///    first event therefore starts the first probe, which counts as one although nobody may be there to be asked.
/// 3. The next probe comes `forced_probe_delay` after the last one when nothing is known and a new server was found or
///    one refused; `retry_interval` after it while the confidence is not full, or others open connections to us
///    although we believe to be private; `refresh_interval` after it otherwise, twice that (but no more than
///    `max_refresh_interval`) when we are public and others connect to us.
/// 4. One success makes us public at once. A failure, or an answer that says nothing, first takes the confidence away,
///    one step each, and then the verdict. A refusal changes nothing. A new public address takes one step from full
///    confidence.
/// 5. As a server keeps a failure to itself for the whole of its time limit, the first private verdict comes 15 s after
///    the first probe that somebody answered.
///
/// go-libp2p v0.48 also counts every private address of its own as new at each event, and so never stays at full
/// confidence; here only public ones count, as its comments say. Source: libp2p/specs autonat/autonat-v1.md r1;
/// go-libp2p p2p/host/autonat/autonat.go, dialpolicy.go.
class V1Client {
 public:
  V1Client(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, V1ClientProfile profile);
  ~V1Client();
  V1Client(const V1Client&) = delete;
  V1Client& operator=(const V1Client&) = delete;

  swarm::Reachability verdict() const;
  /// How many observations beyond the first one support the verdict: 0 to `max_confidence`.
  int confidence() const;
  /// At which address a server reached us last; none unless the verdict is public, or when the server did not say.
  std::optional<multiformats::Multiaddr> public_address() const;
  /// Called after the verdict has changed.
  void on_change(std::function<void(swarm::Reachability)> callback);
  /// Requests that were sent to a server, ever.
  std::uint64_t probes() const;
  /// Probes under way.
  std::size_t active() const;
  /// Ends what runs; the verdict stays.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Bounds of the service; the defaults' sources stand beside them.
struct V1ServerProfile {
  io::Duration dial_limit = std::chrono::seconds(15);     // go-libp2p p2p/host/autonat/options.go dialTimeout
  io::Duration stream_limit = std::chrono::seconds(60);   // ... svc.go streamTimeout
  std::size_t max_addresses = 16;                         // ... options.go maxPeerAddresses
  std::size_t max_dials_per_window = 30;                  // ... options.go throttleGlobalMax
  std::size_t max_dials_per_peer = 3;                     // ... options.go throttlePeerMax
  io::Duration window = std::chrono::seconds(60);         // ... options.go throttleResetPeriod
  io::Duration window_jitter = std::chrono::seconds(15);  // ... options.go throttleResetJitter
  std::size_t max_message_bytes = 4096;                   // ... svc.go maxMsgSize
};

/// What became of requests.
struct V1ServerCounters {
  std::uint64_t requests = 0;      ///< streams that were opened
  std::uint64_t dialled_back = 0;  ///< answered OK
  std::uint64_t failed = 0;        ///< ... E_DIAL_ERROR
  std::uint64_t refused = 0;       ///< ... E_DIAL_REFUSED
  std::uint64_t bad = 0;           ///< ... E_BAD_REQUEST, or reset
};

/// Dials others back, from a swarm of its own: another peer id, and another port than the one that we listen on.
///
/// 1. Dials no other IP address than the one that the request comes from: that endpoint itself, then the addresses of
///    the request, each with that IP address in place of its own; relayed ones are left out.
/// 2. Refuses (E_DIAL_REFUSED) when the request comes over a relay, from an address that is not public, or from one of
///    our own, and when too many dials were made: `max_dials_per_peer` and `max_dials_per_window` in a window of
///    `window`, the first one excepted with a random part of `window_jitter` on top.
/// 3. A request without a peer, or with another peer than the one that sends it, is E_BAD_REQUEST. What is no request
///    at all has its stream reset.
/// 4. A failure is told only when the whole of `dial_limit` has passed, so that nobody can scan ports through us.
///
/// Source: libp2p/specs autonat/autonat-v1.md r1; go-libp2p p2p/host/autonat/svc.go, dialpolicy.go.
class V1Server {
 public:
  V1Server(std::shared_ptr<swarm::Swarm> swarm, V1ServerProfile profile);
  ~V1Server();
  V1Server(const V1Server&) = delete;
  V1Server& operator=(const V1Server&) = delete;

  const V1ServerCounters& counters() const;
  /// Requests under way.
  std::size_t active() const;
  /// Ends what runs and takes the protocol away.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::autonat
