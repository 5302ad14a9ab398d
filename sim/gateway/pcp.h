#pragma once

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"
#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// The answer of a PCP server to a datagram from inside: MAP and ANNOUNCE, with PREFER_FAILURE. RFC 6887. Empty where
/// there is none.
io::Bytes answer_pcp(PortMap& map, io::BytesView request, const io::Endpoint& from);

/// What a restarted gateway multicasts. RFC 6887 §14.1.3.
io::Bytes announce_pcp(const PortMap& map);

}  // namespace flaresim::gateway
