#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocols/io/network.h"
#include "sim/world/scenario.h"
#include "sim/world/world_data.h"
#include "tests/bench/sodium_calls.h"

namespace flaresim::bench {

/// A TCP connection of a trial: who sent how much when.
struct Connection {
  struct Segment {
    io::TimePoint at;
    bool by_dialler = false;
    std::size_t bytes = 0;  ///< of payload
  };
  io::Endpoint dialler;  ///< as the Internet sees it
  io::Endpoint listener;
  io::TimePoint dialled_at;
  std::vector<Segment> segments;  ///< in the order of sending
};

/// What one trial did, apart from how.
struct Recording {
  std::map<std::string, std::size_t> regions;  ///< of A, B and R
  std::map<std::string, io::IpAddress> addresses;
  std::vector<Connection> connections;  ///< that carried data
  io::TimePoint end;                    ///< when the last packet was seen
  std::vector<SodiumCall> handshakes;   ///< X25519, signatures, and AEAD while a handshake lasts
  std::vector<SodiumCall> transport;    ///< AEAD of what the secured connections carry
};

/// Runs trial `index` with captures and writes down its packets and its use of libsodium. The trial must have
/// one relay, no observers, and peers that are at most behind one NAT each.
Recording record_trial(const world::Scenario& scenario, const world::WorldData& data, std::uint64_t index);

}  // namespace flaresim::bench
