#pragma once

#include <cstdint>
#include <vector>

#include "topologies/core_graph.h"

/// Core graphs drawn by chance. The same parameters give the same graph on every machine.
namespace flaresim::topologies {

/// Points in a square, uniformly; two of them at distance d are joined with the probability alpha · exp(-d / (beta ·
/// L)), where L is the square's diagonal (Waxman, "Routing of Multipoint Connections", IEEE JSAC 6(9), 1988). Parts
/// that are left unconnected are joined by their nearest pairs. An edge's delay is its length.
struct Waxman {
  std::uint64_t vertices = 50;                        ///< from 2
  double alpha = 0.4;                                 ///< in (0, 1]
  double beta = 0.2;                                  ///< in (0, 1]
  io::Duration side = std::chrono::milliseconds(50);  ///< delay along the square's side
};
io::Result<CoreGraph> generate(const Waxman& parameters, std::uint64_t seed, const CoreLink& link = {});

/// Vertices come one by one, each with `links` edges to earlier ones, which it picks with probabilities in proportion to
/// their degrees; the first `links` + 1 are joined all to all (Barabási, Albert, "Emergence of Scaling in Random
/// Networks", Science 286, 1999). Delays are uniform.
struct BarabasiAlbert {
  std::uint64_t vertices = 50;  ///< more than `links`
  std::uint64_t links = 2;      ///< of a vertex that comes, from 1
  io::Duration shortest = std::chrono::milliseconds(1);
  io::Duration longest = std::chrono::milliseconds(30);
};
io::Result<CoreGraph> generate(const BarabasiAlbert& parameters, std::uint64_t seed,
                               const CoreLink& link = {});

/// Autonomous systems in tiers. Those of tier 1 are joined all to all. Each one below has one or two providers in the
/// tier above (one in `single_homed` of the cases), popular ones more often; neighbours of the same tier between the
/// first and the last peer with the probability `peering`. Delays are uniform, and shorter the lower the tier. The shape is
/// that of transit-stub models (Zegura, Calvert, Bhattacharjee, "How to Model an Internetwork", INFOCOM 1996); the
/// numbers are assumptions.
struct Tiered {
  std::vector<std::uint64_t> tiers{3, 8, 24};  ///< vertices of each, from the top; at least one each
  double single_homed = 0.4;
  double peering = 0.2;
  io::Duration longest =
      std::chrono::milliseconds(40);  ///< between two of tier 1; a third of it one tier below …
};
io::Result<CoreGraph> generate(const Tiered& parameters, std::uint64_t seed, const CoreLink& link = {});

}  // namespace flaresim::topologies
