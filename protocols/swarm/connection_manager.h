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
  std::uint64_t trims = 0;   ///< that closed something
  std::uint64_t closed = 0;  ///< connections, by all trims
};

/// Keeps the number of connections bounded.
///
/// 1. Above `high_water` connections, those of the least valuable peers are closed until `low_water` of those that may
///    be closed are left. All connections to a peer are closed, or none.
/// 2. Protected peers, peers to whom any connection is younger than `grace`, and peers who are being dialled or punched
///    at the moment are spared, and do not count for `low_water`, so that more may be left.
/// 3. A peer's value is the sum of its tags. Among equals, peers without streams go first, then those who came to us,
///    then those with fewer streams, then the younger ones.
/// 4. Tags and protection are kept for peers that are not connected, too, until they are taken back.
/// 5. The first connection above `high_water` starts a trim at that instant, or `silence` after the last one; as long
///    as there are too many, another one follows after each `silence`. A swarm below costs no timer.
///
/// Source: go-libp2p p2p/net/connmgr/connmgr.go, which looks each `silence` whether there are too many.
class ConnectionManager {
 public:
  ConnectionManager(std::shared_ptr<Swarm> swarm, ConnectionManagerProfile profile);
  ~ConnectionManager();
  ConnectionManager(const ConnectionManager&) = delete;
  ConnectionManager& operator=(const ConnectionManager&) = delete;

  const ConnectionManagerCounters& counters() const;
  /// From now on nothing is closed.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::swarm
