#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/io/time.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::kademlia {

/// Numbers as on the wire, here and below. Source: libp2p/specs kad-dht/README.md r2, "RPC messages".
enum class MessageType {
  put_value = 0,
  get_value = 1,
  add_provider = 2,
  get_providers = 3,
  find_node = 4,
  ping = 5,
};

/// What the sender says of its connection to a peer that it names.
enum class ConnectionType { not_connected = 0, connected = 1, can_connect = 2, cannot_connect = 3 };

struct PeerEntry {
  multiformats::PeerId peer;
  std::vector<multiformats::Multiaddr> addresses{};
  ConnectionType connection = ConnectionType::not_connected;
  bool operator==(const PeerEntry&) const = default;
};

struct Record {
  io::Bytes key;
  io::Bytes value;
  std::string time_received;  ///< as of `to_rfc3339`; often empty
  bool operator==(const Record&) const = default;
};

/// A request or an answer.
struct Message {
  MessageType type = MessageType::ping;
  io::Bytes key{};
  std::optional<Record> record{};
  std::vector<PeerEntry> closer_peers{};
  std::vector<PeerEntry> provider_peers{};
  bool operator==(const Message&) const = default;
};

/// How much of a message is taken; the rest of a list is left out.
struct MessageLimits {
  std::size_t max_closer_peers = 40;      // go-libp2p-kad-dht query.go: twice k
  std::size_t max_provider_peers = 1024;  // bound of our own
  std::size_t max_peer_bytes =
      8 * 1024;  // ... pb/message.go MaxPeerRecordSize: addresses beyond are left out
};

/// Addresses of a peer beyond `max_peer_bytes` are left out.
io::Bytes encode(const Message& message, const MessageLimits& limits = {});
/// Peers and addresses that cannot be parsed are left out. `Error::malformed`, `Error::unknown_type`.
io::Result<Message> decode(io::BytesView bytes, const MessageLimits& limits = {});

io::Bytes encode(const Record& record);
/// `Error::malformed`.
io::Result<Record> decode_record(io::BytesView bytes);

/// `2030-01-01T00:00:00.5Z`: as many digits behind the point as are needed, in UTC. For the years 0 to 9999.
std::string to_rfc3339(io::CalendarTime time);

}  // namespace flaresim::kademlia
