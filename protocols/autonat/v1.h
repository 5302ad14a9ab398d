#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "protocols/identify/identify.h"
#include "protocols/io/time.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

inline constexpr std::string_view v1_protocol = "/libp2p/autonat/1.0.0";

struct V1ClientProfile {
  io::Duration boot_delay = std::chrono::seconds(15);        // go-libp2p p2p/host/autonat/options.go
  io::Duration retry_interval = std::chrono::seconds(90);    // ... options.go
  io::Duration refresh_interval = std::chrono::minutes(15);  // ... options.go
  io::Duration max_refresh_interval = std::chrono::hours(24);
  io::Duration forced_probe_delay = std::chrono::seconds(2);  // ... autonat.go
  io::Duration request_limit = std::chrono::seconds(30);      // ... options.go requestTimeout
  io::Duration server_reuse = std::chrono::seconds(90);       // ... options.go throttlePeerPeriod
  int max_confidence = 3;                                     // ... autonat.go maxConfidence
  std::size_t max_pending = 5;
  std::size_t max_message_bytes = 4096;
};

/// Learns from others whether we can be dialled, as go-libp2p's ambient AutoNAT does.
class V1Client {
 public:
  V1Client(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, V1ClientProfile profile);
  ~V1Client();
  V1Client(const V1Client&) = delete;
  V1Client& operator=(const V1Client&) = delete;

  swarm::Reachability verdict() const;
  int confidence() const;
  /// Called after the verdict has changed.
  void on_change(std::function<void(swarm::Reachability)> callback);
  std::uint64_t probes() const;
  /// Probes under way.
  std::size_t active() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct V1ServerProfile {
  io::Duration dial_limit = std::chrono::seconds(15);     // go-libp2p p2p/host/autonat/options.go dialTimeout
  io::Duration stream_limit = std::chrono::seconds(60);   // ... svc.go streamTimeout
  std::size_t max_addresses = 16;                         // ... svc.go maxPeerAddresses
  std::size_t max_dials_per_window = 30;                  // ... options.go throttleGlobalMax
  std::size_t max_dials_per_peer = 3;                     // ... options.go throttlePeerMax
  io::Duration window = std::chrono::seconds(60);         // ... options.go throttleResetPeriod
  io::Duration window_jitter = std::chrono::seconds(15);  // ... options.go throttleResetJitter
  std::size_t max_message_bytes = 4096;
};

struct V1ServerCounters {
  std::uint64_t requests = 0;
  std::uint64_t dialled_back = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t bad = 0;
};

/// Dials others back, from a swarm of its own: another peer id, and another port than the one that we listen on.
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
