#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/nat/behaviour.h"

namespace flaresim::nat {

/// Time since the world began.
using Time = std::chrono::nanoseconds;

/// IPv4 addresses are held as IPv4-mapped IPv6 ones (::ffff:a.b.c.d).
using Address = std::array<std::uint8_t, 16>;

/// Which rule decided about a packet. Names are stable: they appear in traces and explanations.
enum class Rule {
  passed,             ///< by a mapping and its filter
  no_mapping,         ///< inbound, to a port that nothing inside holds
  filtered,           ///< inbound, to a mapping whose filter does not let this remote in
  out_of_state,       ///< TCP that fits no connection (not a SYN, nothing established)
  simultaneous_open,  ///< an inbound SYN on a half-open outbound connection, where that is not supported
  committed,          ///< inbound, kept by the router itself (commit-state)
  udp_blocked,
  no_port,      ///< every outside port is taken
  table_full,   ///< 2²² sessions and taken tuples
  hairpin,      ///< to our own outside address, from inside
  malformed,    ///< truncated or inconsistent headers
  unsupported,  ///< a protocol the NAT does not translate
  ttl_expired,
};
std::string_view to_string(Rule rule);

/// What becomes of a packet. A drop carries its rule, so that a trace can say who dropped what and why.
struct Verdict {
  bool forward = false;
  Rule rule = Rule::passed;
  /// Where to send `answer` is where the packet came from: an ICMP error or a RST; empty for none.
  std::vector<std::uint8_t> answer;
};

struct Counters {
  std::uint64_t translated = 0;
  std::uint64_t dropped = 0;
  std::uint64_t answered = 0;
  std::uint64_t mappings_created = 0;
};

/// One NAT or firewall: a table and its rules. Knows neither wires nor a clock.
///
/// 1. Two inside endpoints never share an outside endpoint towards the same remote.
/// 2. A mapping lives until `behaviour.timers` say otherwise; only the directions in its refresh rule extend
/// it.
/// 3. `now` never runs backwards.
/// 4. Packets are rewritten in place: `packet` holds the headers of one IPv4 or IPv6 packet, and as much of
/// what
///    follows as is there (an ICMP error needs the headers embedded in it; the TCP or UDP payload is not
///    needed). Checksums are updated incrementally (RFC 1624) where they are present, and valid ones stay
///    valid.
/// 5. IPv6 is filtered, never translated.
class Nat {
 public:
  /// `outside` is the NAT's own IPv4 address; unused when the behaviour does not translate.
  Nat(const Behaviour& behaviour, const Address& outside, std::uint64_t seed);
  ~Nat();
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;

  /// Inside to outside.
  Verdict outbound(std::span<std::uint8_t> packet, Time now);
  /// Outside to inside: rewritten, the destination is the inside host.
  Verdict inbound(std::span<std::uint8_t> packet, Time now);

  const Behaviour& behaviour() const;
  const Counters& counters() const;
  /// Mappings, inside endpoints for which a firewall is open, and tuples taken by commit-state, all at this
  /// time.
  std::size_t size(Time now);

 private:
  class Box;
  std::unique_ptr<Box> box_;
};

}  // namespace flaresim::nat
