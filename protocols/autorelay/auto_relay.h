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

struct AutoRelayProfile {
  std::size_t min_candidates = 4;                               // go-libp2p p2p/host/autorelay/options.go
  std::size_t max_candidates = 20;                              // ... options.go
  io::Duration boot_delay = std::chrono::minutes(3);            // ... options.go
  std::size_t desired_relays = 2;                               // ... options.go
  io::Duration backoff = std::chrono::hours(1);                 // ... options.go
  io::Duration max_candidate_age = std::chrono::minutes(30);    // ... options.go
  io::Duration min_source_interval = std::chrono::seconds(30);  // ... options.go
  io::Duration probe_limit = std::chrono::seconds(20);          // ... relay_finder.go
  io::Duration reserve_limit = std::chrono::seconds(10);        // ... relay_finder.go
  std::size_t max_circuit_addresses = 100;
  Strategy strategy = Strategy::random;
};

/// At most that many peers that may be relays.
using CandidateSource = std::function<io::Task<std::vector<swarm::AddressInfo>>(std::size_t at_most)>;

struct AutoRelayCounters {
  std::uint64_t source_calls = 0;
  std::uint64_t probes = 0;
  std::uint64_t reservations = 0;
  std::uint64_t refused = 0;
  std::uint64_t lost = 0;
};

/// Keeps reservations on relays that it finds by itself.
class AutoRelay {
 public:
  AutoRelay(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, ping::Ping& ping,
            relay::RelayClient& client, AutoRelayProfile profile, CandidateSource source);
  ~AutoRelay();
  AutoRelay(const AutoRelay&) = delete;
  AutoRelay& operator=(const AutoRelay&) = delete;

  /// No effect when it runs already.
  void start();
  /// Releases the reservations. May be started again.
  void stop();
  bool running() const;
  const AutoRelayCounters& counters() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::autorelay
