#include "protocols/kademlia/key.h"

#include <bit>
#include <stdexcept>

#include "protocols/multiformats/multihash.h"

namespace flaresim::kademlia {

Key key_of(io::BytesView bytes) { return multiformats::sha256(bytes); }
Key key_of(const multiformats::PeerId& peer) { return key_of(peer.bytes()); }

Key distance(const Key& a, const Key& b) {
  Key out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = a[i] ^ b[i];
  return out;
}

std::size_t common_prefix_length(const Key& a, const Key& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto differ = static_cast<std::uint8_t>(a[i] ^ b[i]);
    if (differ != 0) return i * 8 + static_cast<std::size_t>(std::countl_zero(differ));
  }
  return a.size() * 8;
}

io::Bytes random_id_at(const Key& place, std::size_t prefix, io::Random& random) {
  if (prefix > max_refresh_prefix) throw std::out_of_range("prefix too long to find an id for");
  // The multihash of a key that nobody has: its digest starts with a number that is counted up from a random one.
  io::Bytes id(2 + 32);
  id[0] = static_cast<std::uint8_t>(multiformats::HashCode::sha2_256);
  id[1] = 32;
  for (auto number = random.next();; ++number) {
    for (std::size_t i = 0; i < 8; ++i) id[2 + i] = static_cast<std::uint8_t>(number >> (8 * i));
    if (common_prefix_length(key_of(id), place) == prefix) return id;
  }
}

}  // namespace flaresim::kademlia
