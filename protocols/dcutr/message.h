#pragma once

#include <vector>

#include "protocols/io/stream.h"
#include "protocols/multiformats/multiaddr.h"

namespace flaresim::dcutr {

enum class MessageType { connect, sync };

/// Reads a message of the type that is due and returns the usable addresses in it. Fails with an `Error`, or
/// as the stream does.
io::Task<io::Result<std::vector<multiformats::Multiaddr>>> read_message(io::Stream& stream, MessageType due,
                                                                        std::size_t max_bytes);

/// Leaves out addresses at the end that would make the message longer than `max_bytes`.
io::Task<io::Result<>> write_message(io::Stream& stream, MessageType type,
                                     std::vector<multiformats::Multiaddr> addresses, std::size_t max_bytes);

/// Public, of this very peer rather than of a relay, and with an IP address and a port.
bool is_usable(const multiformats::Multiaddr& address);

}  // namespace flaresim::dcutr
