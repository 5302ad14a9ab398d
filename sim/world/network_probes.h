#pragma once

#include <memory>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/network_lives.h"
#include "sim/world/network_world.h"

namespace flaresim::world {

/// Lookups of random keys by random nodes, held against the servers that are online when they end.
///
/// A lookup whose node leaves before it ends does not count. A result is right when every one of the k closest servers that can be dialled is in it. Those that cannot, because
/// they take themselves for public wrongly, are found by those alone who are connected to them.
class NetworkProbes {
 public:
  NetworkProbes(NetworkWorld& world, io::Random random);

  void begin();
  void stop() { timers_.clear(); }
  ProbeFigures figures() const;

 private:
  io::Task<> probe();
  bool is_right(std::size_t prober, const kademlia::Key& key,
                const std::vector<swarm::AddressInfo>& closest) const;

  NetworkWorld& world_;
  io::Random random_;
  std::size_t k_;
  std::vector<std::unique_ptr<io::Timer>> timers_;
  ProbeFigures figures_;
  std::vector<double> took_s_;
  std::vector<double> hops_;
};

/// Silences a share of the nodes at once, and looks at the others some time later.
///
/// A survivor is still connected to the rest when it is in the largest part of the network that connections between
/// survivors hold together, and is online when they are looked at. It is lost when it is then outside of the largest part
/// that connections and routing tables hold together.
class NetworkKill {
 public:
  NetworkKill(NetworkWorld& world, NetworkLives& lives, io::Random random);

  void begin();
  void stop();
  const std::optional<KillFigures>& figures() const { return figures_; }

 private:
  void strike();
  void look();
  enum class Ties { connections, connections_and_tables };
  /// In ascending order.
  std::vector<std::size_t> largest_part(const std::vector<bool>& among, Ties ties) const;

  NetworkWorld& world_;
  NetworkLives& lives_;
  io::Random random_;
  io::Timer timer_;
  std::vector<std::pair<std::size_t, std::uint64_t>> connected_;  ///< members and their lives
  std::optional<KillFigures> figures_;
};

}  // namespace flaresim::world
