#pragma once

#include <chrono>

#include "protocols/io/stream.h"
#include "protocols/multiformats/peer_id.h"
#include "protocols/relay/relay.pb.h"
#include "protocols/relay/relay_error.h"
#include "protocols/swarm/connection.h"

namespace flaresim::relay {

/// Reads one message. Fails with `Error::message_too_long` above `max_bytes`, `Error::malformed` when its
/// length or body is none, or it has no type; else as the stream does.
io::Task<io::Result<pb::HopMessage>> read_hop(io::Stream& stream, std::size_t max_bytes);
io::Task<io::Result<pb::StopMessage>> read_stop(io::Stream& stream, std::size_t max_bytes);

io::Task<io::Result<>> write_hop(io::Stream& stream, pb::HopMessage message);
io::Task<io::Result<>> write_stop(io::Stream& stream, pb::StopMessage message);

pb::HopMessage hop_status(Status status);
pb::StopMessage stop_status(Status status);

void set_peer(pb::Peer& to, const multiformats::PeerId& peer);

/// Times too far for the clock become the last one it can tell.
std::chrono::sys_seconds from_unix_seconds(std::uint64_t seconds);

/// Absent and zero are no limit, both ways.
swarm::CircuitLimit to_limit(const pb::Limit& wire);
pb::Limit from_limit(const swarm::CircuitLimit& limit);

}  // namespace flaresim::relay
