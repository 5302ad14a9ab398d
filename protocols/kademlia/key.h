#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::kademlia {

/// A place in the DHT's key space: the SHA-256 of a key's bytes (libp2p/specs kad-dht/README.md "Distance").
using Key = std::array<std::uint8_t, 32>;

Key key_of(io::BytesView bytes);
Key key_of(const multiformats::PeerId& peer);

/// XOR of two places; smaller is closer.
Key distance(const Key& a, const Key& b);
/// Leading bits that two places share, from 0 to 256.
std::size_t common_prefix_length(const Key& a, const Key& b);

/// The farthest prefix for which `random_id_at` looks; go-libp2p-kbucket table_refresh.go maxCplForRefresh.
inline constexpr std::size_t max_refresh_prefix = 15;

/// The bytes of a peer id whose place shares exactly `prefix` bits with `place`. Found by trial, 2^(prefix + 1) of
/// them on average. `prefix` is at most `max_refresh_prefix`, or `std::out_of_range` is thrown.
io::Bytes random_id_at(const Key& place, std::size_t prefix, io::Random& random);

}  // namespace flaresim::kademlia
