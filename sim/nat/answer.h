#pragma once

#include <cstdint>
#include <vector>

#include "sim/nat/packet.h"

namespace flaresim::nat {

/// Why an unreachable message is sent; its code differs between ICMP and ICMPv6.
enum class Unreachable : std::uint8_t {
  prohibited,  ///< RFC 1812 §5.2.7.1: type 3 code 13; RFC 4443 §3.1: type 1 code 1
  port,        ///< RFC 792: type 3 code 3; RFC 4443 §3.1: type 1 code 4
};

/// An ICMP (ICMPv6) destination unreachable from the packet's destination to its source. It quotes as much of
/// the packet as fits into 576 bytes (RFC 1812 §4.3.2.3), or 1280 (RFC 4443 §2.4). Empty when the packet may
/// not be answered: from no unicast address (RFC 1812 §4.3.2.7, RFC 4443 §2.4e).
std::vector<std::uint8_t> unreachable(const Packet& packet, Unreachable why);

/// An ICMP time exceeded in transit (RFC 792; RFC 4443 §3.3) from one of our own addresses.
std::vector<std::uint8_t> time_exceeded(const Packet& packet, const Address& from);

/// The answer to an echo request that is whole (RFC 792; RFC 1122 §3.2.2.6).
std::vector<std::uint8_t> echo_reply(const Packet& packet);

/// What a listener says that closes a connection at its first byte: a SYN with ACK, a FIN with ACK for data or a
/// FIN. Empty for everything else. It remembers nothing: its sequence numbers follow from the packet.
std::vector<std::uint8_t> accept_and_close(const Packet& packet, const Segment& segment);

/// The RST of a host that knows no such connection, RFC 9293 §3.10.7.1. Empty for a packet that is a RST
/// itself or may not be answered.
std::vector<std::uint8_t> reset(const Packet& packet, const Segment& segment);

}  // namespace flaresim::nat
