#include "protocols/kademlia/packed_addresses.h"

#include <algorithm>

#include "protocols/multiformats/varint.h"

namespace flaresim::kademlia {

using multiformats::Multiaddr;

PackedAddresses::PackedAddresses(const std::vector<Multiaddr>& addresses) {
  std::size_t size = 0;
  const auto count = std::min(addresses.size(), max_addresses);
  for (std::size_t i = 0; i < count; ++i) {
    const auto length = addresses[i].bytes().size();
    size += multiformats::varint_length(length) + length;
  }
  bytes_.reserve(size);
  for (std::size_t i = 0; i < count; ++i) {
    multiformats::append_varint(bytes_, addresses[i].bytes().size());
    io::append(bytes_, addresses[i].bytes());
  }
}

std::vector<Multiaddr> PackedAddresses::unpacked() const {
  std::vector<Multiaddr> out;
  for (io::BytesView rest = bytes_; !rest.empty();) {
    const auto length = static_cast<std::size_t>(multiformats::take_varint(rest).value());
    out.push_back(Multiaddr::from_bytes(rest.first(length)).value());
    rest = rest.subspan(length);
  }
  return out;
}

void PackedAddresses::merge(const std::vector<Multiaddr>& addresses) {
  auto all = unpacked();
  for (const auto& address : addresses) {
    if (std::ranges::find(all, address) == all.end()) all.push_back(address);
  }
  *this = PackedAddresses(all);
}

}  // namespace flaresim::kademlia
