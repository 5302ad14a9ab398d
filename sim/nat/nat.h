#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "sim/nat/behaviour.h"

namespace flaresim::nat {

/// Time since the world began.
using Time = std::chrono::nanoseconds;

/// IPv4 addresses are held as IPv4-mapped IPv6 ones (::ffff:a.b.c.d).
using Address = std::array<std::uint8_t, 16>;

struct Endpoint {
  Address address{};
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// What is translated by a number of its own: ports of UDP and TCP, identifiers of ICMP echo (RFC 5508 §3.1),
/// which are handled as the port of the side that asks; the other side's port is then 0.
enum class Transport : std::uint8_t { udp, tcp, icmp };

/// Which rule decided about a packet. Names are stable: they appear in traces and explanations.
enum class Rule : std::uint8_t {
  passed,             ///< by a mapping and its filter, or a port forward
  no_mapping,         ///< inbound, to a port that nothing inside holds
  filtered,           ///< inbound, to a mapping whose filter does not let this remote in
  out_of_state,       ///< TCP that fits no connection (not a SYN, nothing established)
  simultaneous_open,  ///< an inbound SYN on a half-open outbound connection, where that is not supported
  syn_ack,            ///< our SYN with ACK on a flow that our SYN began, where inspection drops that
  committed,          ///< inbound, kept by the router itself (commit-state)
  accepted,           ///< inbound, to a service of the router's own
  blocked,            ///< a transport or a remote port that may not be used
  captive,            ///< before login
  denied,             ///< to or from a remote on the deny-list
  no_port,            ///< every outside port is taken
  table_full,         ///< the table's or the host's limit
  hairpin,            ///< to our own outside address, from inside, where that does not come back
  echo,               ///< a ping to an outside address of ours, or its answer
  icmp_error,         ///< an ICMP error, where they are not translated
  fragment,           ///< a fragment that is not translated, or waits for the first of its datagram
  malformed,          ///< truncated or inconsistent headers
  unsupported,        ///< a protocol the NAT does not translate
  ttl_expired,
};
std::string_view to_string(Rule rule);

/// What becomes of a packet. A drop carries its rule, so that a trace can say who dropped what and why.
struct Verdict {
  bool forward = false;
  Rule rule = Rule::passed;
  /// Where to send `answer` is where the packet came from: an ICMP error, a RST, an echo; empty for none.
  std::vector<std::uint8_t> answer{};
  /// Fragments that waited for this packet, rewritten, to be forwarded after it.
  std::vector<std::vector<std::uint8_t>> released{};
};

struct Counters {
  std::uint64_t translated = 0;
  std::uint64_t dropped = 0;
  std::uint64_t answered = 0;
  std::uint64_t mappings_created = 0;
};

/// A port that is open to everybody, as by NAT-PMP, PCP, UPnP IGD or the router's own settings.
struct Forward {
  Transport transport = Transport::udp;
  std::uint16_t outside_port = 0;
  Endpoint inside;
  friend bool operator==(const Forward&, const Forward&) = default;
};

/// One NAT or firewall: its tables and its rules. Knows neither wires nor a clock.
///
/// 1. Two inside endpoints never share an outside endpoint towards the same remote, but by
///    `Contention::overload`.
/// 2. A mapping lives until exactly the behaviour's timers say otherwise; only the directions in its refresh
///    rule extend it.
/// 3. `now` never runs backwards.
/// 4. Packets are rewritten in place: `packet` holds the headers of one IPv4 or IPv6 packet, and as much of
///    what follows as is there (an ICMP error needs the headers embedded in it, a fragment that may have to
///    wait must be whole; the TCP or UDP payload is not needed). Checksums are updated incrementally (RFC
///    1624) where they are present, and valid ones stay valid.
/// 5. IPv6 is filtered, never translated.
/// 6. An outbound packet that comes back by hairpinning is rewritten for its inside receiver.
class Nat {
 public:
  /// `outside` are the NAT's own IPv4 addresses, at most 256 of them are used; unused (and may be empty) when the
  /// behaviour does not translate. With `Translate::fixed` each is given to one inside host, in the order in which
  /// they first send; a host beyond them gets none.
  Nat(const Behaviour& behaviour, std::span<const Address> outside, std::uint64_t seed);
  Nat(const Behaviour& behaviour, const Address& outside, std::uint64_t seed);
  ~Nat();
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;

  /// Inside to outside.
  Verdict outbound(std::span<std::uint8_t> packet, Time now);
  /// Outside to inside: rewritten, the destination is the inside host.
  Verdict inbound(std::span<std::uint8_t> packet, Time now);

  /// When the NAT will have something to say of its own accord (`Unsolicited::delayed_icmp`); nothing: not
  /// before the next packet.
  std::optional<Time> due() const;
  /// What it says until now, each for the outside. May be empty: what was due can have become needless.
  std::vector<std::vector<std::uint8_t>> emit(Time now);

  /// Everything that comes to this port of the first outside address reaches the inside endpoint from now on, and what
  /// that sends leaves from this port. `errc::address_in_use` while a mapping of another inside endpoint or
  /// another forward holds the port, `errc::invalid_argument` for ICMP, IPv6 endpoints and port 0.
  std::error_code open_forward(const Forward& forward, Time now);
  /// Sessions that it let in end with their timers. `errc::invalid_argument` when there is no such forward.
  std::error_code close_forward(Transport transport, std::uint16_t outside_port);
  std::vector<Forward> forwards() const;

  const Behaviour& behaviour() const;
  const Counters& counters() const;
  /// Mappings, inside endpoints for which a firewall is open, and tuples taken by the router itself, all at
  /// this time.
  std::size_t size(Time now);

 private:
  class Box;
  std::unique_ptr<Box> box_;
};

}  // namespace flaresim::nat
