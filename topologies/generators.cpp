#include "topologies/generators.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/connected_components.hpp>
#include <cmath>

#include "protocols/io/random.h"

namespace flaresim::topologies {
namespace {

using Vertex = CoreGraph::Vertex;
using Edge = CoreGraph::Edge;

constexpr bool is_share(double number) { return number >= 0 && number <= 1; }

Edge edge(std::size_t a, std::size_t b, CoreLink link, io::Duration delay) {
  link.delay = std::max(delay, CoreGraph::min_delay);
  link.jitter = std::min(link.jitter, link.delay);
  return {a, b, link};
}

double distance(const Vertex& a, const Vertex& b) {
  return std::sqrt((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y));
}

/// Which part of the graph each vertex is in.
std::vector<std::size_t> parts_of(const std::vector<Vertex>& vertices, const std::vector<Edge>& edges) {
  boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS> graph(vertices.size());
  for (const auto& each : edges) boost::add_edge(each.a, each.b, graph);
  std::vector<std::size_t> parts(vertices.size());
  boost::connected_components(graph, parts.data());
  return parts;
}

/// The nearest pair of which one end is in the first vertex's part; nothing when that is the whole graph.
std::optional<std::pair<std::size_t, std::size_t>> nearest_gap(const std::vector<Vertex>& vertices,
                                                               const std::vector<Edge>& edges) {
  const auto parts = parts_of(vertices, edges);
  std::optional<std::pair<std::size_t, std::size_t>> nearest;
  double least = 2;  // more than the diagonal
  for (std::size_t a = 0; a < vertices.size(); ++a) {
    for (std::size_t b = 0; parts[a] == parts[0] && b < vertices.size(); ++b) {
      if (parts[b] == parts[0] || distance(vertices[a], vertices[b]) >= least) continue;
      least = distance(vertices[a], vertices[b]);
      nearest = {a, b};
    }
  }
  return nearest;
}

/// Picks `count` different vertices in [first, last), each with a probability in proportion to its degree plus one.
std::vector<std::size_t> pick_popular(const std::vector<std::uint64_t>& degrees, std::size_t first,
                                      std::size_t last, std::size_t count, io::Random& random) {
  std::vector<std::size_t> picked;
  while (picked.size() < count) {
    std::uint64_t weight = 0;
    const auto is_free = [&](std::size_t i) {
      return std::find(picked.begin(), picked.end(), i) == picked.end();
    };
    for (auto i = first; i < last; ++i) weight += is_free(i) ? degrees[i] + 1 : 0;
    auto left = random.below(weight);
    for (auto i = first; i < last; ++i) {
      if (!is_free(i)) continue;
      if (left <= degrees[i]) {
        picked.push_back(i);
        break;
      }
      left -= degrees[i] + 1;
    }
  }
  return picked;
}

/// Grows a tiered graph from the top.
class TierBuilder {
 public:
  TierBuilder(const Tiered& parameters, std::uint64_t seed, const CoreLink& link)
      : parameters_(parameters), link_(link), random_(io::Random(seed).derive("tiered")) {}

  io::Result<CoreGraph> operator()() {
    for (std::size_t tier = 0; tier < parameters_.tiers.size(); ++tier) {
      const auto above = first_;
      first_ = vertices_.size();
      for (std::uint64_t i = 0; i < parameters_.tiers[tier]; ++i) {
        vertices_.push_back(
            {"T" + std::to_string(tier + 1) + "-" + std::to_string(i + 1), static_cast<int>(tier + 1)});
        degrees_.push_back(0);
        tier == 0 ? join_equals() : choose_providers(above);
      }
      if (tier > 0 && tier + 1 < parameters_.tiers.size()) peer();
      longest_ /= 3;
    }
    return CoreGraph::make(std::move(vertices_), std::move(edges_));
  }

 private:
  void join(std::size_t a, std::size_t b) {
    edges_.push_back(edge(a, b, link_, random_.between(longest_ / 4, longest_)));
    ++degrees_[a];
    ++degrees_[b];
  }
  void join_equals() {
    for (auto other = first_; other + 1 < vertices_.size(); ++other) join(other, vertices_.size() - 1);
  }
  void choose_providers(std::size_t above) {
    const std::size_t wanted = random_.uniform() < parameters_.single_homed ? 1 : 2;
    const auto count = std::min(wanted, first_ - above);
    for (const auto provider : pick_popular(degrees_, above, first_, count, random_)) {
      join(provider, vertices_.size() - 1);
    }
  }
  void peer() {
    for (auto a = first_; a + 1 < vertices_.size(); ++a) {
      if (random_.uniform() < parameters_.peering) join(a, a + 1);
    }
  }

  const Tiered& parameters_;
  CoreLink link_;
  io::Random random_;
  std::vector<Vertex> vertices_;
  std::vector<Edge> edges_;
  std::vector<std::uint64_t> degrees_;
  std::size_t first_ = 0;  ///< vertex of the tier that grows
  io::Duration longest_ = parameters_.longest;
};

}  // namespace

io::Result<CoreGraph> generate(const Waxman& parameters, std::uint64_t seed, const CoreLink& link) {
  const auto [count, alpha, beta, side] = parameters;
  const bool valid = count >= 2 && count <= CoreGraph::max_vertices && is_share(alpha) && is_share(beta) &&
                     alpha > 0 && beta > 0 && side >= CoreGraph::min_delay &&
                     side <= CoreGraph::max_delay / 2;
  if (!valid) return io::fail(CoreError::bad_parameter);
  auto random = io::Random(seed).derive("waxman");
  std::vector<Vertex> vertices;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto x = random.uniform();
    vertices.push_back({"v" + std::to_string(i + 1), 0, x, random.uniform()});
  }
  const auto length = [&](std::size_t a, std::size_t b) {
    const std::chrono::duration<double, std::nano> exact = side * distance(vertices[a], vertices[b]);
    return std::chrono::round<io::Duration>(exact);
  };
  std::vector<Edge> edges;
  for (std::size_t a = 0; a < count; ++a) {
    for (auto b = a + 1; b < count; ++b) {
      const auto chance = alpha * std::exp(-distance(vertices[a], vertices[b]) / (beta * std::sqrt(2.0)));
      if (random.uniform() < chance) edges.push_back(edge(a, b, link, length(a, b)));
    }
  }
  while (const auto gap = nearest_gap(vertices, edges)) {
    edges.push_back(edge(gap->first, gap->second, link, length(gap->first, gap->second)));
  }
  return CoreGraph::make(std::move(vertices), std::move(edges));
}

io::Result<CoreGraph> generate(const BarabasiAlbert& parameters, std::uint64_t seed, const CoreLink& link) {
  const auto [count, links, shortest, longest] = parameters;
  if (links < 1 || count <= links || count > CoreGraph::max_vertices || shortest < CoreGraph::min_delay ||
      shortest > longest || longest > CoreGraph::max_delay) {
    return io::fail(CoreError::bad_parameter);
  }
  auto random = io::Random(seed).derive("barabasi-albert");
  std::vector<Vertex> vertices;
  std::vector<Edge> edges;
  std::vector<std::size_t> ends;  // every vertex as often as it has edges
  for (std::size_t i = 0; i < count; ++i) {
    vertices.push_back({"v" + std::to_string(i + 1)});
    std::vector<std::size_t> picked;
    if (i <= links) {
      for (std::size_t other = 0; other < i; ++other) picked.push_back(other);
    }
    while (i > links && picked.size() < links) {
      const auto other = ends[random.below(ends.size())];
      if (std::find(picked.begin(), picked.end(), other) == picked.end()) picked.push_back(other);
    }
    for (const auto other : picked) {
      edges.push_back(edge(other, i, link, random.between(shortest, longest)));
      ends.insert(ends.end(), {other, i});
    }
  }
  return CoreGraph::make(std::move(vertices), std::move(edges));
}

io::Result<CoreGraph> generate(const Tiered& parameters, std::uint64_t seed, const CoreLink& link) {
  constexpr std::size_t max_tiers = 6;
  std::uint64_t count = 0;
  bool valid = !parameters.tiers.empty() && parameters.tiers.size() <= max_tiers &&
               is_share(parameters.peering) && is_share(parameters.single_homed) &&
               parameters.longest >= std::chrono::milliseconds(1) &&
               parameters.longest <= CoreGraph::max_delay;
  for (const auto tier : parameters.tiers) {
    valid = valid && tier >= 1 && tier <= CoreGraph::max_vertices;
    count += tier;
  }
  if (!valid || count > CoreGraph::max_vertices) return io::fail(CoreError::bad_parameter);
  return TierBuilder(parameters, seed, link)();
}

}  // namespace flaresim::topologies
