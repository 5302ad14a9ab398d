#include "protocols/crypto/peer_record.h"

#include <array>
#include <utility>

#include "protocols/crypto/envelope.h"
#include "protocols/crypto/peer_record.pb.h"
#include "protocols/io/error_table.h"

namespace flaresim::crypto {
namespace {

constexpr std::array<std::uint8_t, 2> record_type{0x03, 0x01};

/// What is on the wire today, and what RFC 0003 says.
std::span<const EnvelopePurpose> record_purposes() {
  static const std::array<EnvelopePurpose, 2> purposes{{
      {"libp2p-peer-record", record_type},
      {"libp2p-routing-state", io::as_bytes("/libp2p/routing-state-record")},
  }};
  return purposes;
}

}  // namespace

std::error_code make_error_code(PeerRecordError error) {
  static constexpr std::string_view messages[] = {
      "peer record is malformed",
      "peer record is signed by another peer",
      "peer record has too many addresses",
  };
  static const io::ErrorTable category("peer record", messages);
  return {static_cast<int>(error), category};
}

io::Bytes seal_peer_record(const PrivateKey& key, std::uint64_t seq,
                           std::span<const multiformats::Multiaddr> addresses) {
  const auto peer = key.public_key().peer_id();
  pb::PeerRecord record;
  record.set_peer_id(peer.bytes().data(), peer.bytes().size());
  record.set_seq(seq);
  for (const auto& address : addresses)
    record.add_addresses()->set_multiaddr(address.bytes().data(), address.bytes().size());
  io::Bytes payload(record.ByteSizeLong());
  record.SerializeToArray(payload.data(), static_cast<int>(payload.size()));
  return seal_envelope(key, record_purposes()[0], payload);
}

io::Result<PeerRecord> open_peer_record(io::BytesView sealed) {
  const auto envelope = open_envelope(sealed, record_purposes());
  if (!envelope) return tl::unexpected(envelope.error());
  pb::PeerRecord message;
  if (!message.ParseFromArray(envelope->payload.data(), static_cast<int>(envelope->payload.size())))
    return io::fail(PeerRecordError::malformed);
  const auto peer = multiformats::PeerId::from_bytes(io::as_bytes(message.peer_id()));
  if (!peer) return io::fail(PeerRecordError::malformed);
  if (*peer != envelope->signer.peer_id()) return io::fail(PeerRecordError::wrong_signer);
  if (static_cast<std::size_t>(message.addresses_size()) > PeerRecord::max_addresses)
    return io::fail(PeerRecordError::too_many_addresses);

  PeerRecord record{*peer, message.seq(), {}};
  for (const auto& info : message.addresses())
    if (auto address = multiformats::Multiaddr::from_bytes(io::as_bytes(info.multiaddr())))
      record.addresses.push_back(std::move(*address));
  return record;
}

}  // namespace flaresim::crypto
