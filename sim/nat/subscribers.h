#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "sim/nat/rules.h"
#include "sim/nat/store.h"

namespace flaresim::nat {

inline constexpr std::size_t transports = 3;

/// What a NAT keeps of each inside host, where a rule asks for it: how many mappings it has, which outside
/// address is paired with it, and which blocks of ports are its own. A host without mappings is forgotten.
class Subscribers {
 public:
  struct Subscriber {
    std::uint32_t mappings = 0;          ///< of all transports
    std::optional<std::uint8_t> paired;  ///< the number of its outside address
    struct Block {
      std::uint8_t outside = 0;    ///< address
      std::uint16_t number = 0;    ///< in the port range
      std::uint32_t mappings = 0;  ///< that use it
    };
    std::array<std::vector<Block>, transports> blocks;
    std::array<Id, transports> oldest{nobody, nobody,
                                      nobody};  ///< its mappings by idleness, where one may be evicted
  };

  explicit Subscribers(const Behaviour& behaviour, std::size_t outside_addresses)
      : counts_(behaviour.max_mappings_per_host > 0 || behaviour.port_block > 0 ||
                (outside_addresses > 1 && behaviour.pooling == Pooling::paired)) {}

  /// Some rule asks for them; otherwise nothing is kept.
  bool counts() const { return counts_; }
  Subscriber& at(const Address& inside) { return subscribers_[inside]; }
  const Subscriber* find(const Address& inside) const {
    const auto found = subscribers_.find(inside);
    return found == subscribers_.end() ? nullptr : &found->second;
  }
  void forget(const Address& inside) { subscribers_.erase(inside); }
  std::size_t size() const { return subscribers_.size(); }

  std::size_t mappings = 0;            ///< of all hosts and transports
  std::uint64_t mappings_created = 0;  ///< ever

 private:
  bool counts_;
  struct HashOf {
    std::size_t operator()(const Address& address) const { return hash_of({address, 0}, {}); }
  };
  std::unordered_map<Address, Subscriber, HashOf> subscribers_;  // looked up only, never walked
};

}  // namespace flaresim::nat
