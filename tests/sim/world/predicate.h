#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

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

inline Verdict predict_tcp(bool into_a, bool into_b, bool a_keeps_port, bool b_keeps_port) {
  // Both SYNs are on the same four-tuple at both ends: a simultaneous open, whatever the filters.
  if (a_keeps_port && b_keeps_port) return Verdict::punched;

  if (b_keeps_port) {
    // A's SYN comes from a port that B does not dial, so B's listener takes it and A's own socket completes: client
    // and server as agreed. B's SYN, if it gets through too, meets that same socket of A's, which then sees two
    // remotes with different sequence numbers behind one four-tuple, until a reset ends it.
    if (into_b) return into_a ? Verdict::crossed_syns : Verdict::punched;
    return Verdict::silence;
  }
  // B's SYN comes from a port that A does not dial, so A's listener takes it: a server on both ends. If A's SYN gets
  // through as well, the first attempt dies of crossed SYNs, and a later one ends in the same trap.
  if (a_keeps_port) return into_a ? Verdict::both_servers : Verdict::silence;

  // Neither SYN meets the other's socket, and what a listener answers leaves from yet another port.
  return Verdict::silence;
}

inline Verdict predict_tcp(NatAxes a, NatAxes b) {
  return predict_tcp(lets_in(a, b), lets_in(b, a), keeps_port(a), keeps_port(b));
}

/// B's noise never makes a connection: A's Initial has to arrive at B, and B's answer has to come from where A sent
/// it, for a client takes no packets from another server address (RFC 9000 §9).
inline bool punched_over_quic(NatAxes a, NatAxes b) { return lets_in(b, a) && keeps_port(b); }

/// The NATs between a host and the Internet, in any order: a packet has to get through all of them, a port is kept when
/// each keeps it, and what the peer sends looks the same to each, for NATs on the way rewrite one end only.
using Layers = std::vector<NatAxes>;

inline bool keeps_port(const Layers& layers) {
  return std::all_of(layers.begin(), layers.end(), [](NatAxes nat) { return keeps_port(nat); });
}
inline bool lets_in(const Layers& layers, const Layers& peer) {
  const NatAxes seen{keeps_port(peer) ? Axis::endpoint_independent : Axis::address_and_port_dependent, {}};
  return std::all_of(layers.begin(), layers.end(), [&](NatAxes nat) { return lets_in(nat, seen); });
}
inline Verdict predict_tcp(const Layers& a, const Layers& b) {
  return predict_tcp(lets_in(a, b), lets_in(b, a), keeps_port(a), keeps_port(b));
}
inline bool punched_over_quic(const Layers& a, const Layers& b) { return lets_in(b, a) && keeps_port(b); }

}  // namespace flaresim::test
