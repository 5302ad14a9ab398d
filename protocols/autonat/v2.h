#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "protocols/identify/identify.h"
#include "protocols/io/time.h"
#include "protocols/swarm/reachability.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

inline constexpr std::string_view v2_dial_request_protocol = "/libp2p/autonat/2/dial-request";
inline constexpr std::string_view v2_dial_back_protocol = "/libp2p/autonat/2/dial-back";

/// (every constant of PROTOCOLS-like sources: see go-libp2p p2p/host/basic/addrs_reachability_tracker.go and
/// p2p/protocol/autonatv2/client.go)
struct V2ClientProfile {
  io::Duration new_address_delay = std::chrono::seconds(1);
  io::Duration check_interval = std::chrono::minutes(5);
};

/// Learns which addresses of ours can be dialled.
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
  void on_change(std::function<void()> callback);
  std::uint64_t probes() const;
  std::size_t active() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct V2ServerProfile {
  std::size_t max_addresses = 50;
};

struct V2ServerCounters {
  std::uint64_t requests = 0;
  std::uint64_t dialled_back = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t bad = 0;
  std::uint64_t dial_data_bytes = 0;
};

class V2Server {
 public:
  V2Server(std::shared_ptr<swarm::Swarm> swarm, V2ServerProfile profile);
  ~V2Server();
  V2Server(const V2Server&) = delete;
  V2Server& operator=(const V2Server&) = delete;

  const V2ServerCounters& counters() const;
  std::size_t active() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::autonat
