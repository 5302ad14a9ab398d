#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "sim/nat/packet.h"
#include "sim/nat/rules.h"

namespace flaresim::nat {

/// What a box knows of datagrams that come in fragments: where the first fragment, which alone carries ports,
/// went, and the fragments that came before it. RFC 4787 §11: bounded in time (RFC 791 §3.2: 15 s), in
/// datagrams and in bytes, so that nobody can fill it.
class FragmentStore {
 public:
  struct Fate {
    Address source, destination;  ///< as they are behind the box
  };
  struct Key {
    Direction direction;
    Address source, destination;
    std::uint8_t protocol;
    std::uint32_t identification;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  static Key key_of(const Packet& packet, Direction direction) {
    return {direction, packet.source, packet.destination, packet.protocol, packet.identification};
  }

  void advance(Time now);
  const Fate* find(const Key& key) const;
  /// The first fragment went there: what had come before it.
  std::vector<std::vector<std::uint8_t>> settle(const Key& key, const Fate& fate, Time now);
  /// Keeps a fragment until the first one comes; false when there is no room.
  bool keep(const Key& key, std::span<const std::uint8_t> bytes, Time now);

 private:
  struct Datagram {
    std::optional<Fate> fate;
    std::vector<std::vector<std::uint8_t>> waiting;
  };
  Datagram* open(const Key& key, Time now);

  std::map<Key, Datagram> datagrams_;
  std::deque<std::pair<Time, Key>> due_;  // in the order of their first fragment
  std::size_t waiting_bytes_ = 0;
};

}  // namespace flaresim::nat
