#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/io/time.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

class Swarm;

/// When connections are trimmed; the defaults' sources stand beside them.
struct ConnectionManagerProfile {
  std::size_t low_water = 32;                     // kubo docs/config.md Swarm.ConnMgr.LowWater
  std::size_t high_water = 96;                    // ... HighWater
  io::Duration grace = std::chrono::seconds(20);  // ... GracePeriod: younger connections stay
  io::Duration silence =
      std::chrono::seconds(10);  // go-libp2p p2p/net/connmgr SilencePeriod, between two trims
};

struct ConnectionManagerCounters {
  std::uint64_t trims = 0;
  std::uint64_t closed = 0;
};

/// Keeps the number of connections bounded.
///
/// 1. Above `high_water` connections, those of the least valuable peers are closed until `low_water` are left.
/// 2. Protected peers, and connections younger than `grace`, are spared, so that more may be left.
/// 3. A peer's value is the sum of its tags. Among equals, connections without streams go first, then older ones last.
/// 4. Tags and protection are kept for peers that are not connected, too, until they are taken back.
class ConnectionManager {
 public:
  ConnectionManager(std::shared_ptr<Swarm> swarm, ConnectionManagerProfile profile);
  ~ConnectionManager();
  ConnectionManager(const ConnectionManager&) = delete;
  ConnectionManager& operator=(const ConnectionManager&) = delete;

  const ConnectionManagerCounters& counters() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::swarm
