#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocols/identify/identify.h"
#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/multiaddr.h"

namespace flaresim::identify {

/// One Identify message, merged from all its parts. What cannot be parsed as an address is left out.
struct Message {
  std::optional<io::Bytes> public_key;
  std::vector<multiformats::Multiaddr> listen_addresses;
  std::vector<std::string> protocols;
  /// Without the peer at its end, which js-libp2p writes: who is seen there is known.
  std::optional<multiformats::Multiaddr> observed;
  std::string protocol_version;
  std::string agent;
  std::optional<io::Bytes> signed_record;
};

/// As it goes to the stream: one part, or two when a record makes it longer than `split_above_bytes`.
io::Bytes encode(const Message& message, const IdentifyProfile& profile);

/// Reads everything that a stream carried. Parts are merged: of a single field the last one counts, repeated
/// fields add up.
io::Result<Message> decode(io::BytesView stream, const IdentifyProfile& profile);

/// As many addresses as fit, the more widely useful first: public before private before loopback, QUIC before
/// TCP before others. The order stays when all fit. Each is sent twice, plain and inside the record.
std::vector<multiformats::Multiaddr> fitting(std::vector<multiformats::Multiaddr> addresses,
                                             std::size_t room_bytes);

/// Where the host is, or the relay that leads to it; nothing when the address starts with a name.
std::optional<io::Endpoint> nearest_endpoint(const multiformats::Multiaddr& address);

/// Of this host only, itself or through a relay on it.
bool is_loopback(const multiformats::Multiaddr& address);

}  // namespace flaresim::identify
