#pragma once

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"
#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// NAT-PMP and PCP servers listen here. RFC 6886 §3.1, RFC 6887 §19.
inline constexpr std::uint16_t control_port = 5351;
/// Their clients listen here for announcements. RFC 6886 §3.2.1.
inline constexpr std::uint16_t announcement_port = 5350;

/// The answer of a NAT-PMP server to a datagram from inside, RFC 6886 §3; empty where there is none.
io::Bytes answer_nat_pmp(PortMap& map, io::BytesView request, const io::Endpoint& from);

/// What a restarted or renumbered gateway multicasts: an answer that nobody asked for. RFC 6886 §3.2.1.
io::Bytes announce_nat_pmp(const PortMap& map);

}  // namespace flaresim::gateway
