#pragma once

#include <chrono>

#include "protocols/crypto/keys.h"
#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::relay {

/// A relay's signed word that it serves a peer.
/// Source: libp2p/specs relay/circuit-v2.md, "Reservation Vouchers"; envelope as in go-libp2p
/// p2p/protocol/circuitv2/proto/voucher.go: domain `libp2p-relay-rsvp`, payload type 03 02.
struct Voucher {
  multiformats::PeerId relay;
  multiformats::PeerId peer;
  std::chrono::sys_seconds expires;
};

/// Signed with the relay's key.
io::Bytes seal_voucher(const crypto::PrivateKey& relay_key, const Voucher& voucher);

/// Fails with a `crypto::EnvelopeError`, `Error::voucher_malformed`, or `Error::voucher_not_by_relay` when
/// the relay that it names is not who signed it.
io::Result<Voucher> open_voucher(io::BytesView sealed);

}  // namespace flaresim::relay
