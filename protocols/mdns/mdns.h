#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include "protocols/io/network.h"
#include "protocols/io/time.h"
#include "protocols/swarm/address_info.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::mdns {

struct MdnsProfile {
  std::string service =
      "_p2p._udp.local";  // libp2p/specs discovery/mdns.md; `_p2p-X._udp.local` for a private network X
  io::Duration query_interval = std::chrono::minutes(5);
  std::size_t max_message_bytes = 9000;                            // RFC 6762 §17
  io::Duration answer_delay_min = std::chrono::milliseconds(20);   // RFC 6762 §6; §5.2 for the first query
  io::Duration answer_delay_max = std::chrono::milliseconds(120);  // RFC 6762 §6; §5.2 for the first query
  io::Duration multicast_gap = std::chrono::seconds(1);  // RFC 6762 §6: between two of the same record
  std::size_t max_pending_answers =
      16;  // bound of our own: askers, beside the group, who wait for their answer
};

struct MdnsCounters {
  std::uint64_t queries_sent = 0;
  std::uint64_t answers_sent = 0;
  std::uint64_t malformed = 0;  ///< messages that are too long, or no DNS
  std::uint64_t foreign =
      0;  ///< not from our link, or responses that did not come from the port of multicast DNS
};

/// Finds peers of the same local network, and is found (libp2p/specs discovery/mdns.md, RFC 6762, RFC 6763).
///
/// 1. It asks 20–120 ms after it was made and then at every interval, and tells of itself each time, as if it had
///    heard the question: so others find it who do not ask. It also does when the addresses it listens on change.
/// 2. It runs over IPv4 (224.0.0.251) and IPv6 (ff02::fb), whichever of them the network can join; over neither,
///    it is silent, and `error` says why.
/// 3. It tells of addresses of the host's own interfaces only: neither loopback nor link-local IPv6 (whose scope
///    means nothing to others), neither observed or mapped addresses nor relayed ones.
/// 4. Answers go to the group, 20–120 ms after the question and no more often than once a second; to the asker alone
///    who wants it so and was told nothing for a quarter of the lifetime (RFC 6762 §5.4), or who does not ask from
///    port 5353 (§6.7).
/// 5. A host's netmask is not known here. A public address counts as being of our link only if we have one too (§11).
/// 6. What it finds is dialled by nobody but those who are told by `on_found`.
class Mdns {
 public:
  Mdns(std::shared_ptr<swarm::Swarm> swarm, MdnsProfile profile);
  ~Mdns();
  Mdns(const Mdns&) = delete;
  Mdns& operator=(const Mdns&) = delete;

  /// Called for every peer that has told where it is, each time it does; its addresses are in the peer store.
  void on_found(std::function<void(const swarm::AddressInfo&)> callback);
  const MdnsCounters& counters() const;
  /// Why it neither hears nor says anything; zero while it does.
  std::error_code error() const;
  /// Says goodbye, and leaves nothing behind as soon as the scheduler has run.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::mdns
