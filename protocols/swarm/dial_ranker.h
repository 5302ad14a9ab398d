#pragma once

#include <vector>

#include "protocols/io/time.h"
#include "protocols/multiformats/multiaddr.h"

namespace flaresim::swarm {

/// By how much an address is dialled later than one that is better. go-libp2p p2p/net/swarm/dial_ranker.go:
/// PublicTCPDelay and PublicQUICDelay, PrivateTCPDelay and PrivateQUICDelay, RelayDelay.
struct DialDelays {
  io::Duration public_step = std::chrono::milliseconds(250);
  io::Duration private_step = std::chrono::milliseconds(30);
  io::Duration relay = std::chrono::milliseconds(500);
};

struct RankedAddress {
  multiformats::Multiaddr address;
  io::Duration delay{0};  ///< after the start of the dial

  friend bool operator==(const RankedAddress&, const RankedAddress&) = default;
};

/// In which order, and when, the addresses of a peer are dialled, by the rules of go-libp2p's DefaultDialRanker.
/// Expects direct addresses of TCP and QUIC, and relayed ones.
///
/// 1. Private, public and relayed addresses are three groups, each with a timetable of its own. They start together; the relayed ones later by `relay` when there is a public one.
/// 2. In a group QUIC is before TCP, IPv6 before IPv4, a lower port before a higher one, and what is the same in these in the order given.
/// 3. The first of a transport is dialled alone, and all others one step later. If it is IPv6, the first IPv4 one is dialled alone too, one step later, and all others two steps later (happy eyeballs, RFC 8305).
/// 4. TCP begins one step after the last of QUIC.
///
/// A relayed address is of the transport by which the relay is reached. The result is in the order of the delays, and
/// of equal ones the private addresses are first and the relayed ones last.
std::vector<RankedAddress> rank_for_dialling(const std::vector<multiformats::Multiaddr>& addresses,
                                             const DialDelays& delays);

}  // namespace flaresim::swarm
