#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "protocols/io/time.h"
#include "protocols/kademlia/key.h"
#include "protocols/kademlia/packed_addresses.h"
#include "protocols/multiformats/peer_id.h"

namespace flaresim::kademlia {

/// What a lookup knows of one peer.
struct Candidate {
  enum class Stage { heard, asked, answered, failed };

  multiformats::PeerId peer;
  Key far;  ///< from what is looked for
  PackedAddresses addresses;
  std::size_t hops = 0;  ///< answers that led to it: none from our own table
  Stage stage = Stage::heard;
  io::Duration took{0};  ///< until it answered
};

/// Everybody that a lookup has heard of, the closest to its target first. Source: go-libp2p-kad-dht qpeerset.
class Candidates {
 public:
  /// Of more than `max` candidates, the farthest that was not asked yet is forgotten.
  Candidates(const Key& target, std::size_t max) : target_(target), max_(max) {}

  /// Of a known one, learns new addresses.
  void add(const multiformats::PeerId& peer, const std::vector<multiformats::Multiaddr>& addresses,
           std::size_t hops);
  /// Null for one that is not there. Valid until the next `add`.
  Candidate* find(const multiformats::PeerId& peer);
  const std::vector<Candidate>& all() const { return all_; }
  /// At most `count` in this state, the closest first.
  std::vector<multiformats::PeerId> closest(Candidate::Stage stage, std::size_t count) const;
  std::size_t count(Candidate::Stage stage) const;
  /// Among the `count` closest that did not fail, those in this state.
  std::vector<multiformats::PeerId> among_closest(std::size_t count, Candidate::Stage stage) const;

 private:
  Key target_;
  std::size_t max_;
  std::vector<Candidate> all_;
};

}  // namespace flaresim::kademlia
