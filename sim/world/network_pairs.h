#pragma once

#include <memory>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/network_world.h"

namespace flaresim::world {

/// Random pairs of NATed nodes that try to connect, knowing a peer id alone.
///
/// 1. An attempt begins at an instant drawn evenly; its peers are drawn among the nodes that are online then, are in no
///    other attempt, and not connected to each other.
/// 2. It is over when it is decided whether there is a direct connection, when a peer leaves (`CANCELLED`), or at the
///    limit.
class NetworkPairs {
 public:
  NetworkPairs(NetworkWorld& world, std::uint64_t world_number, io::Random random, bool timeline);
  ~NetworkPairs();
  NetworkPairs(const NetworkPairs&) = delete;
  NetworkPairs& operator=(const NetworkPairs&) = delete;

  /// Sets the attempts' timers.
  void begin();
  /// Ends the attempts that are under way, and begins no more.
  void stop();
  /// In the order in which they began.
  std::vector<Trial> rows() const;
  Funnel funnel() const;

 private:
  class Attempt;

  void begin_one();
  std::vector<std::size_t> candidates() const;
  void left(std::size_t number);

  NetworkWorld& world_;
  std::uint64_t world_number_;
  io::Random random_;
  bool timeline_;
  std::vector<std::unique_ptr<io::Timer>> timers_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::vector<bool> busy_;
  std::uint64_t skipped_ = 0;
};

}  // namespace flaresim::world
