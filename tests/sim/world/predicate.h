#pragma once

#include <array>
#include <string>
#include <string_view>

/// Which pairs of NATs a DCUtR punch must get through, in closed form, from the axes of RFC 4787, RFC 9293 and
/// RFC 9000 alone. Judges the simulation, and shares nothing with it.
///
/// The setting: A dialled over the relay and is the client, B is the server; each knows one endpoint of the other,
/// the one that the relay saw, and sends to it from the port it listens on, again and again: SYNs over TCP; over
/// QUIC A sends Initials and B noise. Ports are random, unsolicited packets are dropped, and a packet let in by a
/// filter is answered from a fresh mapping.
namespace flaresim::test {

enum class Axis { endpoint_independent, address_dependent, address_and_port_dependent };

struct NatAxes {
  Axis mapping;
  Axis filtering;
};

inline constexpr std::array<std::string_view, 3> mapping_names{"EIM", "ADM", "APDM"};
inline constexpr std::array<std::string_view, 3> filtering_names{"EIF", "ADF", "APDF"};

inline std::string notation(NatAxes nat) {
  return std::string(mapping_names[static_cast<std::size_t>(nat.mapping)]) + "/" +
         std::string(filtering_names[static_cast<std::size_t>(nat.filtering)]) + "/random";
}

enum class Verdict {
  punched,
  silence,       ///< no SYN arrives, or no answer to it does
  both_servers,  ///< B's SYN reaches A's listener, and both ends of that connection await the other's first word
  crossed_syns,  ///< a SYN from each side arrives, on two different connections that destroy each other
};

/// The port a NAT uses towards the peer is the one that the relay saw.
inline bool keeps_port(NatAxes nat) { return nat.mapping == Axis::endpoint_independent; }

/// Whether `nat` lets in what the peer sends, which goes to the endpoint that the relay saw.
inline bool lets_in(NatAxes nat, NatAxes peer) {
  switch (nat.filtering) {
    case Axis::endpoint_independent:
      return true;
    // The mapping that it arrives at has sent to the peer's address only if it is the one used towards it.
    case Axis::address_dependent:
      return keeps_port(nat);
    // ... and to the port that it comes from only if the peer kept the one we know.
    case Axis::address_and_port_dependent:
      return keeps_port(nat) && keeps_port(peer);
  }
  return false;
}

inline Verdict predict_tcp(NatAxes a, NatAxes b) {
  const bool into_a = lets_in(a, b);
  const bool into_b = lets_in(b, a);

  // Both SYNs are on the same four-tuple at both ends: a simultaneous open, whatever the filters.
  if (keeps_port(a) && keeps_port(b)) return Verdict::punched;

  if (keeps_port(b)) {
    // A's SYN comes from a port that B does not dial, so B's listener takes it and A's own socket completes: client
    // and server as agreed. B's SYN, if it gets through too, meets that same socket of A's, which then sees two
    // remotes with different sequence numbers behind one four-tuple, until a reset ends it.
    if (into_b) return into_a ? Verdict::crossed_syns : Verdict::punched;
    return Verdict::silence;
  }
  // B's SYN comes from a port that A does not dial, so A's listener takes it: a server on both ends. If A's SYN gets
  // through as well, the first attempt dies of crossed SYNs, and a later one ends in the same trap.
  if (keeps_port(a)) return into_a ? Verdict::both_servers : Verdict::silence;

  // Neither SYN meets the other's socket, and what a listener answers leaves from yet another port.
  return Verdict::silence;
}

/// B's noise never makes a connection: A's Initial has to arrive at B, and B's answer has to come from where A sent
/// it, for a client takes no packets from another server address (RFC 9000 §9).
inline bool punched_over_quic(NatAxes a, NatAxes b) { return lets_in(b, a) && keeps_port(b); }

}  // namespace flaresim::test
