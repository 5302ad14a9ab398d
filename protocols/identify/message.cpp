#include "protocols/identify/message.h"

#include <algorithm>
#include <utility>

#include "protocols/identify/identify.pb.h"
#include "protocols/io/error_table.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::identify {
namespace {

using multiformats::Multiaddr;

/// Length prefix and field tag of an address, once in the message and once, nested, in the record.
constexpr std::size_t address_overhead_bytes = 2 * 4;

void append_part(io::Bytes& to, const pb::Identify& part) {
  const auto size = part.ByteSizeLong();
  multiformats::append_varint(to, size);
  const auto at = to.size();
  to.resize(at + size);
  part.SerializeToArray(to.data() + at, static_cast<int>(size));
}

/// Takes one part off the front.
io::Result<io::BytesView> take_part(io::BytesView& rest, const IdentifyProfile& profile) {
  const auto length = multiformats::take_varint(rest);
  if (!length) {
    const bool cut = length.error() == multiformats::VarintError::truncated;
    return io::fail(cut ? Error::truncated : Error::bad_length);
  }
  if (*length > profile.max_part_bytes) return io::fail(Error::part_too_long);
  if (*length > rest.size()) return io::fail(Error::truncated);
  const auto part = rest.first(*length);
  rest = rest.subspan(*length);
  return part;
}

std::vector<Multiaddr> parsed(const google::protobuf::RepeatedPtrField<std::string>& encoded) {
  std::vector<Multiaddr> out;
  for (const auto& bytes : encoded) {
    if (auto address = Multiaddr::from_bytes(io::as_bytes(bytes))) out.push_back(std::move(*address));
  }
  return out;
}

Message from_wire(const pb::Identify& wire, const IdentifyProfile& profile) {
  Message out;
  if (wire.has_public_key()) out.public_key = io::to_bytes(wire.public_key());
  out.listen_addresses = parsed(wire.listen_addrs());
  for (const auto& protocol : wire.protocols()) {
    if (out.protocols.size() < profile.max_protocols) out.protocols.push_back(protocol);
  }
  if (auto observed = Multiaddr::from_bytes(io::as_bytes(wire.observed_addr()))) {
    out.observed = observed->without_peer();
  }
  out.protocol_version = wire.protocol_version();
  out.agent = wire.agent_version();
  if (wire.has_signed_peer_record()) out.signed_record = io::to_bytes(wire.signed_peer_record());
  return out;
}

int usefulness(const Multiaddr& address) {
  const int reach = address.is_public() ? 0 : is_loopback(address) ? 2 : 1;
  switch (address.transport()) {
    case multiformats::Transport::quic_v1:
      return 4 * reach;
    case multiformats::Transport::tcp:
      return 4 * reach + 1;
    default:
      return 4 * reach + 2;
  }
}

}  // namespace

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "no identify message",
      "identify message has a malformed length",
      "part of an identify message is too long",
      "identify message has too many parts",
      "identify message is truncated",
      "identify message is malformed",
      "connection ended before identify had finished",
      "more identify pushes than are taken from there",
  };
  static const io::ErrorTable category("identify", messages);
  return {static_cast<int>(error), category};
}

io::Bytes encode(const Message& message, const IdentifyProfile& profile) {
  pb::Identify wire;
  if (message.public_key) wire.set_public_key(message.public_key->data(), message.public_key->size());
  for (const auto& address : message.listen_addresses) {
    wire.add_listen_addrs(address.bytes().data(), address.bytes().size());
  }
  for (const auto& protocol : message.protocols) wire.add_protocols(protocol);
  if (message.observed) {
    wire.set_observed_addr(message.observed->bytes().data(), message.observed->bytes().size());
  }
  wire.set_protocol_version(message.protocol_version);
  wire.set_agent_version(message.agent);

  pb::Identify record;
  if (message.signed_record) {
    record.set_signed_peer_record(message.signed_record->data(), message.signed_record->size());
  }
  io::Bytes out;
  if (message.signed_record && wire.ByteSizeLong() + record.ByteSizeLong() > profile.split_above_bytes) {
    append_part(out, wire);
    append_part(out, record);
  } else {
    wire.MergeFrom(record);
    append_part(out, wire);
  }
  return out;
}

io::Result<Message> decode(io::BytesView stream, const IdentifyProfile& profile) {
  if (stream.empty()) return io::fail(Error::no_message);
  pb::Identify merged;
  for (std::size_t parts = 0; !stream.empty(); ++parts) {
    if (parts == profile.max_parts) return io::fail(Error::too_many_parts);
    const auto part = take_part(stream, profile);
    if (!part) return tl::unexpected(part.error());
    pb::Identify message;
    if (!message.ParseFromArray(part->data(), static_cast<int>(part->size()))) {
      return io::fail(Error::malformed);
    }
    merged.MergeFrom(message);
  }
  return from_wire(merged, profile);
}

std::vector<Multiaddr> fitting(std::vector<Multiaddr> addresses, std::size_t room_bytes) {
  std::vector<const Multiaddr*> ranked;
  for (const auto& address : addresses) ranked.push_back(&address);
  std::ranges::stable_sort(ranked, {}, [](const Multiaddr* address) { return usefulness(*address); });

  std::vector<bool> fits(addresses.size());
  for (const auto* address : ranked) {
    const auto bytes = 2 * address->bytes().size() + address_overhead_bytes;
    if (bytes > room_bytes) break;
    room_bytes -= bytes;
    fits[static_cast<std::size_t>(address - addresses.data())] = true;
  }
  std::vector<Multiaddr> out;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (fits[i]) out.push_back(std::move(addresses[i]));
  }
  return out;
}

std::optional<io::Endpoint> nearest_endpoint(const Multiaddr& address) {
  const auto relay = address.relay();
  return relay ? relay->endpoint() : address.endpoint();
}

bool is_loopback(const Multiaddr& address) {
  const auto endpoint = nearest_endpoint(address);
  return endpoint && endpoint->address.is_loopback();
}

}  // namespace flaresim::identify
