#include "protocols/kademlia/message.h"

#include <chrono>
#include <cstdio>

#include "protocols/kademlia/error.h"
#include "protocols/kademlia/kad.pb.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::kademlia {

using multiformats::Multiaddr;
using multiformats::PeerId;

namespace {

template <class Wire>
io::Bytes serialized(const Wire& wire) {
  io::Bytes bytes(wire.ByteSizeLong());
  wire.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

/// What a field of that many bytes takes, with a tag of one byte.
std::size_t field_bytes(std::size_t length) { return 1 + multiformats::varint_length(length) + length; }

void set_peer(pb::Peer& to, const PeerEntry& entry, std::size_t max_bytes) {
  to.set_id(entry.peer.bytes().data(), entry.peer.bytes().size());
  to.set_connection(static_cast<int>(entry.connection));
  auto size = field_bytes(entry.peer.bytes().size()) + 2;
  for (const auto& address : entry.addresses) {
    size += field_bytes(address.bytes().size());
    if (size > max_bytes) break;
    to.add_addrs(address.bytes().data(), address.bytes().size());
  }
}

ConnectionType connection_type(int number) {
  return number >= 0 && number <= static_cast<int>(ConnectionType::cannot_connect)
             ? static_cast<ConnectionType>(number)
             : ConnectionType::not_connected;
}

std::optional<PeerEntry> to_entry(const pb::Peer& wire, std::size_t max_bytes) {
  const auto peer = PeerId::from_bytes(io::as_bytes(wire.id()));
  if (!peer) return std::nullopt;
  PeerEntry entry{*peer, {}, connection_type(wire.connection())};
  auto size = field_bytes(wire.id().size()) + 2;
  for (const auto& bytes : wire.addrs()) {
    size += field_bytes(bytes.size());
    if (size > max_bytes) break;
    if (auto address = Multiaddr::from_bytes(io::as_bytes(bytes)))
      entry.addresses.push_back(std::move(*address));
  }
  return entry;
}

template <class WirePeers>
std::vector<PeerEntry> to_entries(const WirePeers& wire, std::size_t max_peers, std::size_t max_bytes) {
  std::vector<PeerEntry> out;
  for (const auto& peer : wire) {
    if (out.size() == max_peers) break;
    if (auto entry = to_entry(peer, max_bytes)) out.push_back(std::move(*entry));
  }
  return out;
}

void set_record(pb::Record& to, const Record& record) {
  to.set_key(record.key.data(), record.key.size());
  to.set_value(record.value.data(), record.value.size());
  to.set_time_received(record.time_received);
}

Record to_record(const pb::Record& wire) {
  return {io::to_bytes(wire.key()), io::to_bytes(wire.value()), wire.time_received()};
}

}  // namespace

io::Bytes encode(const Message& message, const MessageLimits& limits) {
  pb::Message wire;
  wire.set_type(static_cast<int>(message.type));
  wire.set_key(message.key.data(), message.key.size());
  if (message.record) set_record(*wire.mutable_record(), *message.record);
  for (const auto& peer : message.closer_peers) {
    set_peer(*wire.add_closer_peers(), peer, limits.max_peer_bytes);
  }
  for (const auto& peer : message.provider_peers) {
    set_peer(*wire.add_provider_peers(), peer, limits.max_peer_bytes);
  }
  return serialized(wire);
}

io::Result<Message> decode(io::BytesView bytes, const MessageLimits& limits) {
  pb::Message wire;
  if (!wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return io::fail(Error::malformed);
  if (wire.type() < 0 || wire.type() > static_cast<int>(MessageType::ping)) {
    return io::fail(Error::unknown_type);
  }
  Message message{static_cast<MessageType>(wire.type()), io::to_bytes(wire.key())};
  if (wire.has_record()) message.record = to_record(wire.record());
  message.closer_peers = to_entries(wire.closer_peers(), limits.max_closer_peers, limits.max_peer_bytes);
  message.provider_peers =
      to_entries(wire.provider_peers(), limits.max_provider_peers, limits.max_peer_bytes);
  return message;
}

io::Bytes encode(const Record& record) {
  pb::Record wire;
  set_record(wire, record);
  return serialized(wire);
}

io::Result<Record> decode_record(io::BytesView bytes) {
  pb::Record wire;
  if (!wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return io::fail(Error::malformed);
  return to_record(wire);
}

std::string to_rfc3339(io::CalendarTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  std::string out(text);
  if (const auto nanoseconds = clock.subseconds().count(); nanoseconds != 0) {
    std::snprintf(text, sizeof text, ".%09d", static_cast<int>(nanoseconds));
    out += text;
    out.erase(out.find_last_not_of('0') + 1);
  }
  return out + "Z";
}

}  // namespace flaresim::kademlia
