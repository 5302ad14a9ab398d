#include "topologies/core_graph.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <limits>
#include <set>

namespace flaresim::topologies {
namespace {

constexpr auto unreachable = std::numeric_limits<std::int64_t>::max();

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "core graph"; }
  std::string message(int value) const override {
    switch (static_cast<CoreError>(value)) {
      case CoreError::empty:
        return "there is no vertex";
      case CoreError::too_many_vertices:
        return "there are more than 1000 vertices";
      case CoreError::too_many_edges:
        return "there are more than 20000 edges";
      case CoreError::bad_name:
        return "a vertex needs a name of 1 to 60 printable characters";
      case CoreError::duplicate_name:
        return "two vertices have the same name";
      case CoreError::unknown_vertex:
        return "an edge ends at a vertex that is not there";
      case CoreError::self_loop:
        return "an edge begins and ends at the same vertex";
      case CoreError::bad_number:
        return "an attribute is not a number in its range";
      case CoreError::missing_delay:
        return "an edge has no delay_ms";
      case CoreError::not_connected:
        return "there is no way between two vertices";
      case CoreError::bad_parameter:
        return "no such graph can be made";
      case CoreError::file_too_large:
        return "is larger than 1 MiB";
      case CoreError::unknown_format:
        return "is neither .graphml nor .dot nor .gv";
      case CoreError::syntax:
        return "is not of the format that its name says";
      case CoreError::nested_too_deeply:
        return "is nested too deeply";
      case CoreError::directed:
        return "is a directed graph; links carry packets both ways";
      case CoreError::subgraph:
        return "has a subgraph, which says nothing about links";
    }
    return "unknown";
  }
};

/// A vertex on the way up, and the same vertex on the way down. Without tiers, every way goes down.
enum Phase : std::size_t { up, down };
constexpr std::size_t state_of(std::size_t vertex, Phase phase) { return 2 * vertex + phase; }

struct Step {
  std::size_t from = 0;  ///< states
  std::size_t to = 0;
  CoreGraph::Hop hop = 0;
  std::int64_t weight = 0;
};

/// What one direction of an edge allows, by the tiers of its ends.
void add_steps(std::vector<Step>& steps, const CoreGraph::Vertex& from, const CoreGraph::Vertex& to,
               std::size_t a, std::size_t b, CoreGraph::Hop hop, std::int64_t weight) {
  const bool climbs = to.tier < from.tier;
  const bool descends = to.tier > from.tier || from.tier == 0;
  if (climbs) return steps.push_back({state_of(a, up), state_of(b, up), hop, weight});
  steps.push_back({state_of(a, up), state_of(b, down), hop, weight});
  if (descends) steps.push_back({state_of(a, down), state_of(b, down), hop, weight});
}

std::vector<Step> steps_of(const CoreGraph& graph) {
  std::vector<Step> steps;
  const auto& vertices = graph.vertices();
  for (std::size_t i = 0; i < graph.edges().size(); ++i) {
    const auto& [a, b, link] = graph.edges()[i];
    add_steps(steps, vertices[a], vertices[b], a, b, 2 * i, link.delay.count());
    add_steps(steps, vertices[b], vertices[a], b, a, 2 * i + 1, link.delay.count());
  }
  return steps;
}

std::vector<std::int64_t> distances_from(std::size_t source, std::size_t states,
                                         const std::vector<Step>& steps) {
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property,
                                      boost::property<boost::edge_weight_t, std::int64_t>>;
  Graph graph(states);
  for (const auto& step : steps) boost::add_edge(step.from, step.to, step.weight, graph);
  std::vector<std::int64_t> distances(states, unreachable);
  boost::dijkstra_shortest_paths(graph, source, boost::distance_map(distances.data()));
  return distances;
}

}  // namespace

std::error_code make_error_code(CoreError error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

io::Result<CoreGraph> CoreGraph::make(std::vector<Vertex> vertices, std::vector<Edge> edges) {
  CoreGraph graph(std::move(vertices), std::move(edges));
  if (auto fine = graph.check_vertices(); !fine) return tl::unexpected(fine.error());
  if (auto fine = graph.check_edges(); !fine) return tl::unexpected(fine.error());
  if (!graph.joined()) return io::fail(CoreError::not_connected);
  return graph;
}

io::Result<> CoreGraph::check_vertices() const {
  if (vertices_.empty()) return io::fail(CoreError::empty);
  if (vertices_.size() > max_vertices) return io::fail(CoreError::too_many_vertices);
  const auto printable = [](unsigned char c) { return c >= ' ' && c != 0x7f; };
  std::set<std::string_view> names;
  for (const auto& [name, tier, x, y] : vertices_) {
    if (name.empty() || name.size() > max_name_length || !std::all_of(name.begin(), name.end(), printable)) {
      return io::fail(CoreError::bad_name);
    }
    if (!names.insert(name).second) return io::fail(CoreError::duplicate_name);
    if (tier < 0 || (tier > 0) != has_tiers()) return io::fail(CoreError::bad_number);
  }
  return {};
}

io::Result<> CoreGraph::check_edges() const {
  if (edges_.size() > max_edges) return io::fail(CoreError::too_many_edges);
  for (const auto& [a, b, link] : edges_) {
    if (a >= vertices_.size() || b >= vertices_.size()) return io::fail(CoreError::unknown_vertex);
    if (a == b) return io::fail(CoreError::self_loop);
    const bool in_range = link.delay >= min_delay && link.delay <= max_delay && link.jitter <= link.delay &&
                          link.jitter >= io::Duration::zero() && link.queue >= io::Duration::zero() &&
                          link.queue <= max_delay && link.loss >= 0 && link.loss <= 1;
    if (!in_range) return io::fail(CoreError::bad_number);
  }
  return {};
}

/// With tiers, a way without valleys is sure to exist when everybody has a provider and those at the top have each
/// other; that is how the Internet does it.
bool CoreGraph::joined() const {
  if (!has_tiers()) {
    const auto distances = distances_from(state_of(0, up), 2 * vertices_.size(), steps_of(*this));
    for (std::size_t to = 1; to < vertices_.size(); ++to) {
      if (distances[state_of(to, down)] == unreachable) return false;
    }
    return true;
  }
  std::vector<bool> has_provider(vertices_.size(), false);
  std::set<std::pair<std::size_t, std::size_t>> at_the_top;
  for (const auto& [a, b, link] : edges_) {
    if (vertices_[a].tier < vertices_[b].tier) has_provider[b] = true;
    if (vertices_[b].tier < vertices_[a].tier) has_provider[a] = true;
    if (vertices_[a].tier == 1 && vertices_[b].tier == 1) at_the_top.insert({std::min(a, b), std::max(a, b)});
  }
  std::size_t top = 0;
  for (std::size_t i = 0; i < vertices_.size(); ++i) {
    if (vertices_[i].tier == 1)
      ++top;
    else if (!has_provider[i])
      return false;
  }
  return top > 0 && at_the_top.size() == top * (top - 1) / 2;
}

std::optional<std::size_t> CoreGraph::find(std::string_view name) const {
  const auto found = std::find_if(vertices_.begin(), vertices_.end(),
                                  [&](const auto& vertex) { return vertex.name == name; });
  if (found == vertices_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - vertices_.begin());
}

std::vector<std::size_t> CoreGraph::sites() const {
  int lowest = 0;
  for (const auto& vertex : vertices_) lowest = std::max(lowest, vertex.tier);
  std::vector<std::size_t> sites;
  for (std::size_t i = 0; i < vertices_.size(); ++i) {
    if (vertices_[i].tier == lowest) sites.push_back(i);
  }
  return sites;
}

std::vector<std::vector<CoreGraph::Hop>> CoreGraph::ways_from(std::size_t from) const {
  const auto states = 2 * vertices_.size();
  const auto steps = steps_of(*this);
  const auto distances = distances_from(state_of(from, up), states, steps);

  // Among ways of the same delay the step of the lowest number wins, whatever order the search went in. Delays are
  // above zero, so that steps back always end.
  std::vector<const Step*> into(states, nullptr);
  for (const auto& step : steps) {
    if (distances[step.from] == unreachable || distances[step.from] + step.weight != distances[step.to])
      continue;
    if (into[step.to] == nullptr) into[step.to] = &step;
  }
  std::vector<std::vector<Hop>> ways(vertices_.size());
  for (std::size_t to = 0; to < vertices_.size(); ++to) {
    auto at =
        distances[state_of(to, up)] <= distances[state_of(to, down)] ? state_of(to, up) : state_of(to, down);
    for (; at != state_of(from, up); at = into[at]->from) ways[to].push_back(into[at]->hop);
    std::reverse(ways[to].begin(), ways[to].end());
  }
  return ways;
}

io::Duration CoreGraph::delay_of(const std::vector<Hop>& way) const {
  io::Duration sum{};
  for (const auto hop : way) sum += edges_[hop / 2].link.delay;
  return sum;
}

}  // namespace flaresim::topologies
