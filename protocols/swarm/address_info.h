#pragma once

#include <vector>

#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::swarm {

/// A peer and where it is said to be, as libp2p's AddrInfo.
struct AddressInfo {
  multiformats::PeerId peer;
  std::vector<multiformats::Multiaddr> addresses{};
  bool operator==(const AddressInfo&) const = default;
};

}  // namespace flaresim::swarm
