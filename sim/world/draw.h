#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "protocols/io/random.h"
#include "sim/world/geography.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// A gateway of one trial, with everything decided.
struct GatewayPlace {
  std::string name;  ///< `nat-a` and `nat-b` for those that peers have of their own
  GatewayKind kind = GatewayKind::nat;
  std::string nat;
  int addresses = 1;
  std::string region;
  std::string access;
  std::optional<std::size_t>
      behind;  ///< number of another gateway, which comes earlier; nothing: the Internet
  gateway::ServiceProfile services{};
};

/// A peer's host in one trial.
struct HostPlace {
  std::vector<std::size_t> behind;  ///< numbers of gateways, one an interface
  std::string region;
  std::string access;   ///< the link to each of them
  std::vector<int> ip;  ///< versions
  /// Where else its interfaces ever are.
  struct Stop {
    std::size_t interface = 0;
    std::size_t gateway = 0;
  };
  std::vector<Stop> stops{};
};

/// What chance decides about a trial before it begins. Each part has a random stream of its own, so that two
/// scenarios that differ in one part agree on all others.
struct Draw {
  PeerKind a;  ///< for reports: all NATs on the way to the Internet, and all links
  PeerKind b;
  std::vector<GatewayPlace> gateways;
  HostPlace host_a;
  HostPlace host_b;
  std::vector<std::string> relay_regions;
  std::vector<std::string> observer_regions;
  std::size_t relay = 0;  ///< the one over which A dials B
  bool path = true;       ///< packets pass between the two peers directly
};

/// One peer of that kind; `regions` are those to choose from when it has none of its own.
PeerKind draw_peer(const PeerSpec& spec, const std::vector<std::string>& regions, const io::Random& random);

Draw draw(const Scenario& scenario, Geography& geography, const io::Random& trial);

}  // namespace flaresim::world
