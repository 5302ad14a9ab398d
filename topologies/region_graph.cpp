#include "topologies/region_graph.h"

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <limits>

#include "topologies/csv.h"

namespace flaresim::topologies {
namespace {

constexpr double max_milliseconds = 60'000;

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "region graph"; }
  std::string message(int value) const override {
    switch (static_cast<GraphError>(value)) {
      case GraphError::empty:
        return "there is no region";
      case GraphError::too_many_regions:
        return "there are too many regions";
      case GraphError::cell_count:
        return "a row has more or fewer cells than the header";
      case GraphError::bad_number:
        return "a cell is not a number of milliseconds";
      case GraphError::duplicate_region:
        return "a region appears twice";
      case GraphError::unknown_region:
        return "a row names a region that the header does not";
      case GraphError::missing_row:
        return "a region has no row";
      case GraphError::not_symmetric:
        return "the two directions of a pair differ";
      case GraphError::not_connected:
        return "two regions are joined by no path of measured pairs";
    }
    return "unknown";
  }
};

}  // namespace

std::error_code make_error_code(GraphError error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

io::Result<RegionGraph> RegionGraph::from_csv(std::string_view text) {
  const auto rows = csv_rows(text);
  if (rows.empty() || rows[0].size() < 2) return io::fail(GraphError::empty);
  const auto count = rows[0].size() - 1;
  if (count > max_regions) return io::fail(GraphError::too_many_regions);

  RegionGraph graph;
  for (std::size_t i = 1; i <= count; ++i) {
    if (graph.find(rows[0][i])) return io::fail(GraphError::duplicate_region);
    graph.names_.emplace_back(rows[0][i]);
  }
  graph.graph_ = Graph(count);
  graph.measured_.assign(count, std::vector<bool>(count, false));
  graph.round_trips_.assign(count, std::vector<io::Duration>(count));

  std::vector<bool> seen(count, false);
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& row = rows[r];
    const auto from = graph.find(row[0]);
    if (!from) return io::fail(GraphError::unknown_region);
    if (seen[*from]) return io::fail(GraphError::duplicate_region);
    seen[*from] = true;
    if (row.size() != count + 1) return io::fail(GraphError::cell_count);
    for (std::size_t to = 0; to < count; ++to) {
      if (const auto ok = graph.measure(*from, to, row[to + 1]); !ok) return tl::unexpected(ok.error());
    }
  }
  if (std::find(seen.begin(), seen.end(), false) != seen.end()) return io::fail(GraphError::missing_row);
  if (const auto ok = graph.route_unmeasured(); !ok) return tl::unexpected(ok.error());
  return graph;
}

io::Result<> RegionGraph::measure(std::size_t a, std::size_t b, std::string_view cell) {
  if (cell.empty()) return {};
  const auto number = csv_number(cell);
  if (!number || *number > max_milliseconds) return io::fail(GraphError::bad_number);
  const auto round_trip =
      std::chrono::round<io::Duration>(std::chrono::duration<double, std::milli>(*number));
  if (measured_[a][b]) {
    if (round_trips_[a][b] != round_trip) return io::fail(GraphError::not_symmetric);
    return {};
  }
  measured_[a][b] = measured_[b][a] = true;
  round_trips_[a][b] = round_trips_[b][a] = round_trip;
  if (a != b) boost::add_edge(a, b, round_trip.count(), graph_);
  return {};
}

io::Result<> RegionGraph::route_unmeasured() {
  constexpr auto unreachable = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> distances(size());
  for (std::size_t from = 0; from < size(); ++from) {
    boost::dijkstra_shortest_paths(graph_, from, boost::distance_map(distances.data()));
    for (std::size_t to = 0; to < size(); ++to) {
      if (to == from || measured_[from][to]) continue;
      if (distances[to] == unreachable) return io::fail(GraphError::not_connected);
      round_trips_[from][to] = io::Duration(distances[to]);
    }
  }
  return {};
}

std::optional<std::size_t> RegionGraph::find(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names_.begin());
}

std::vector<std::vector<io::Duration>> RegionGraph::one_way() const {
  auto halves = round_trips_;
  for (auto& row : halves) {
    for (auto& delay : row) delay /= 2;
  }
  return halves;
}

}  // namespace flaresim::topologies
