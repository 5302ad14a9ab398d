#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <vector>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"
#include "protocols/io/time.h"
#include "protocols/kademlia/packed_addresses.h"
#include "protocols/swarm/address_info.h"

namespace flaresim::kademlia {

/// The defaults' sources stand beside them.
struct ProviderLimits {
  io::Duration validity = std::chrono::hours(48);  // libp2p/specs kad-dht/README.md; amino/defaults.go
  io::Duration address_ttl =
      std::chrono::hours(24);              // go-libp2p-kad-dht amino/defaults.go DefaultProviderAddrTTL
  std::size_t max_keys = 1024;             // rust-libp2p protocols/kad record/store/memory.rs
  std::size_t max_providers_per_key = 20;  // ... memory.rs
};

/// Who provides what. A provider is forgotten after `validity`, its addresses already after `address_ttl`, unless it
/// says so again.
class ProviderStore {
 public:
  explicit ProviderStore(ProviderLimits limits) : limits_(limits) {}

  /// `Error::store_full`.
  io::Result<> add(const io::Bytes& key, const swarm::AddressInfo& provider, io::TimePoint now);
  /// In the order in which they first came.
  std::vector<swarm::AddressInfo> find(const io::Bytes& key, io::TimePoint now) const;
  void remove(const io::Bytes& key, const multiformats::PeerId& provider);
  void remove_expired(io::TimePoint now);
  std::size_t keys() const { return providers_.size(); }

 private:
  struct Provider {
    multiformats::PeerId peer;
    PackedAddresses addresses;
    io::TimePoint since;
  };
  bool is_expired(const Provider& provider, io::TimePoint now) const {
    return now - provider.since > limits_.validity;
  }

  ProviderLimits limits_;
  std::map<io::Bytes, std::vector<Provider>> providers_;
};

}  // namespace flaresim::kademlia
