#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/network_world.h"

namespace flaresim::world {

/// Counts what happens in a network, and looks at all of its nodes now and then. The world
/// outlives it.
class NetworkGauge {
 public:
  explicit NetworkGauge(NetworkWorld& world);

  /// At all nodes that are online.
  void look();
  /// Everything so far.
  NetworkReport report() const;
  /// Ends of connections at the last look.
  std::uint64_t connections_now() const { return connections_now_; }

 private:
  struct Kind {
    VerdictFigures figures;
    std::vector<double> first_after_s;
  };

  void begin_life(std::size_t number);
  /// What a node has counted itself, when its life or the world ends.
  void add_counters(const Member& member, NetworkReport& into) const;
  void end_life(std::size_t number);
  void look_at(Member& member);
  void look_at_table(const kademlia::Dht& dht);
  void look_at_relay(const relay::RelayService& relay);
  void look_at_verdict(const Member& member);
  Kind& kind_of(const Member& member);

  NetworkWorld& world_;
  NetworkReport totals_;  ///< what only adds up
  io::Duration online_{0};
  std::vector<double> took_s_, answered_after_s_, hops_, requests_;
  std::vector<double> table_sizes_, reservations_, circuits_, connections_;
  std::vector<Kind> kinds_;
  std::uint64_t connections_now_ = 0;
};

}  // namespace flaresim::world
