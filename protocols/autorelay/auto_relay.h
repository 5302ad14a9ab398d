#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "protocols/identify/identify.h"
#include "protocols/io/task.h"
#include "protocols/io/time.h"
#include "protocols/ping/ping.h"
#include "protocols/relay/relay_client.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::autorelay {

/// In which order candidates are asked for a reservation.
enum class Strategy {
  random,       ///< as go-libp2p
  closest_rtt,  ///< by the round trip of a ping, measured when the candidate was probed
  xor_closest,  ///< by the DHT's distance to our own id
};

/// When relays are looked for, and how many; the defaults' sources stand beside them.
struct AutoRelayProfile {
  std::size_t min_candidates = 4;                               // go-libp2p p2p/host/autorelay/options.go
  std::size_t max_candidates = 20;                              // ... options.go
  io::Duration boot_delay = std::chrono::minutes(3);            // ... options.go
  std::size_t desired_relays = 2;                               // ... options.go
  io::Duration backoff = std::chrono::hours(1);                 // ... options.go
  io::Duration max_candidate_age = std::chrono::minutes(30);    // ... options.go
  io::Duration min_source_interval = std::chrono::seconds(30);  // ... options.go
  io::Duration probe_limit = std::chrono::seconds(20);          // ... relay_finder.go handleNewNode
  io::Duration reserve_limit = std::chrono::seconds(10);        // ... relay_finder.go connectToRelay
  Strategy strategy = Strategy::random;
  /// With any, these are the only candidates, and as many relays are wanted. ... options.go WithStaticRelays
  std::vector<swarm::AddressInfo> static_candidates{};
};

/// At most that many peers that may be relays.
using CandidateSource = std::function<io::Task<std::vector<swarm::AddressInfo>>(std::size_t at_most)>;

struct AutoRelayCounters {
  std::uint64_t source_calls = 0;
  std::uint64_t probes = 0;        ///< peers that were connected to, and asked what they speak
  std::uint64_t reservations = 0;  ///< granted, refreshes not counted
  std::uint64_t refused = 0;       ///< or failed otherwise
  std::uint64_t lost = 0;          ///< reservations that ended, other than by `stop`
};

/// Keeps reservations on relays that it finds by itself.
///
/// 1. While there are fewer than `min_candidates`, it asks the source for peers, every `min_source_interval` at most. Who
///    can be connected to directly, and says in identify that it is a relay, is a candidate for `max_candidate_age`.
/// 2. Candidates are asked for a reservation one after the other until there are `desired_relays`. With none yet, it waits
///    for `min_candidates`, or until `boot_delay` has passed since this was made.
/// 3. Who is asked is no candidate any more, and who does not grant a reservation becomes none again for `backoff`,
///    unless no connection could be made.
/// 4. Relays are protected (PeerTags, `autorelay`) as long as their reservation lasts. `RelayClient` refreshes it. When it
///    ends for whatever reason, other candidates are asked at once; that relay may become a candidate again.
///
/// go-libp2p looks for a new relay after a failed refresh only with the next candidate. Source: go-libp2p
/// p2p/host/autorelay/relay_finder.go.
class AutoRelay {
 public:
  AutoRelay(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, ping::Ping& ping,
            relay::RelayClient& client, AutoRelayProfile profile, CandidateSource source);
  ~AutoRelay();
  AutoRelay(const AutoRelay&) = delete;
  AutoRelay& operator=(const AutoRelay&) = delete;

  /// No effect when it runs already.
  void start();
  /// Releases the reservations. May be started again: candidates and who refused are remembered.
  void stop();
  bool running() const;
  /// In the order of their ids.
  std::vector<multiformats::PeerId> relays() const;
  std::size_t candidates() const;
  const AutoRelayCounters& counters() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::autorelay
