#include "protocols/relay/voucher.h"

#include <array>

#include "protocols/crypto/envelope.h"
#include "protocols/relay/messages.h"

namespace flaresim::relay {
namespace {

constexpr std::array<std::uint8_t, 2> voucher_type{0x03, 0x02};
constexpr std::array<crypto::EnvelopePurpose, 1> purposes{{{"libp2p-relay-rsvp", voucher_type}}};

}  // namespace

io::Bytes seal_voucher(const crypto::PrivateKey& relay_key, const Voucher& voucher) {
  pb::Voucher wire;
  wire.set_relay(voucher.relay.bytes().data(), voucher.relay.bytes().size());
  wire.set_peer(voucher.peer.bytes().data(), voucher.peer.bytes().size());
  wire.set_expiration(static_cast<std::uint64_t>(voucher.expires.time_since_epoch().count()));
  io::Bytes payload(wire.ByteSizeLong());
  wire.SerializeToArray(payload.data(), static_cast<int>(payload.size()));
  return crypto::seal_envelope(relay_key, purposes[0], payload);
}

io::Result<Voucher> open_voucher(io::BytesView sealed) {
  const auto envelope = crypto::open_envelope(sealed, purposes);
  if (!envelope) return tl::unexpected(envelope.error());
  pb::Voucher wire;
  if (!wire.ParseFromArray(envelope->payload.data(), static_cast<int>(envelope->payload.size()))) {
    return io::fail(Error::voucher_malformed);
  }
  const auto relay = multiformats::PeerId::from_bytes(io::as_bytes(wire.relay()));
  const auto peer = multiformats::PeerId::from_bytes(io::as_bytes(wire.peer()));
  if (!relay || !peer || !wire.has_expiration()) return io::fail(Error::voucher_malformed);
  if (*relay != envelope->signer.peer_id()) return io::fail(Error::voucher_not_by_relay);
  return Voucher{*relay, *peer, from_unix_seconds(wire.expiration())};
}

}  // namespace flaresim::relay
