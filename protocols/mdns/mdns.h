#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "protocols/io/network.h"
#include "protocols/io/time.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::mdns {

struct MdnsProfile {
  std::string service = "_p2p._udp.local";  // libp2p/specs discovery/mdns.md
  io::Duration query_interval = std::chrono::minutes(5);
  std::size_t max_message_bytes = 9000;  // RFC 6762 §17
};

struct MdnsCounters {
  std::uint64_t queries_sent = 0;
  std::uint64_t answers_sent = 0;
  std::uint64_t malformed = 0;
};

/// Finds peers of the same local network, and is found (libp2p/specs discovery/mdns.md, RFC 6762, RFC 6763).
class Mdns {
 public:
  Mdns(std::shared_ptr<swarm::Swarm> swarm, MdnsProfile profile);
  ~Mdns();
  Mdns(const Mdns&) = delete;
  Mdns& operator=(const Mdns&) = delete;

  /// Called for every peer that has told where it is; its addresses are in the peer store.
  void on_found(std::function<void(const swarm::AddressInfo&)> callback);
  const MdnsCounters& counters() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::mdns
