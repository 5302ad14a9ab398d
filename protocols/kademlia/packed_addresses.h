#pragma once

#include <cstddef>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/multiformats/multiaddr.h"

namespace flaresim::kademlia {

/// Addresses of one peer in one piece of memory, each behind its length: a table of hundreds of peers, in each of
/// thousands of nodes, has little room.
class PackedAddresses {
 public:
  /// Those beyond are left out; bound of our own.
  static constexpr std::size_t max_addresses = 16;

  PackedAddresses() = default;
  explicit PackedAddresses(const std::vector<multiformats::Multiaddr>& addresses);

  std::vector<multiformats::Multiaddr> unpacked() const;
  /// Appends those that are not there yet.
  void merge(const std::vector<multiformats::Multiaddr>& addresses);
  bool empty() const { return bytes_.empty(); }

 private:
  io::Bytes bytes_;
};

}  // namespace flaresim::kademlia
