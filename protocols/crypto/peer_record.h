#pragma once

#include <cstdint>
#include <span>
#include <system_error>
#include <vector>

#include "protocols/crypto/keys.h"
#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::crypto {

enum class PeerRecordError {
  malformed = 1,       ///< the payload is not a record message, or names no valid peer
  wrong_signer,        ///< signed by another peer than the one it speaks of
  too_many_addresses,  ///< more than `PeerRecord::max_addresses`
};
std::error_code make_error_code(PeerRecordError error);

/// Where a peer says it can be reached. Source: libp2p RFC 0003 (libp2p/specs RFC/0003-routing-records.md).
struct PeerRecord {
  static constexpr std::size_t max_addresses = 512;

  multiformats::PeerId peer;
  std::uint64_t seq;  ///< grows with every record of this peer; unix nanoseconds by custom
  std::vector<multiformats::Multiaddr> addresses;
};

/// A signed record of the key's own peer, in the envelope that go-libp2p and js-libp2p use
/// (core/peer/record.go).
io::Bytes seal_peer_record(const PrivateKey& key, std::uint64_t seq,
                           std::span<const multiformats::Multiaddr> addresses);

/// Opens a signed record; also one in the envelope of RFC 0003, as rust-libp2p's identify makes it. Addresses
/// that do not parse are left out. Fails with an `EnvelopeError` or a `PeerRecordError`.
io::Result<PeerRecord> open_peer_record(io::BytesView sealed);

}  // namespace flaresim::crypto

template <>
struct std::is_error_code_enum<flaresim::crypto::PeerRecordError> : std::true_type {};
