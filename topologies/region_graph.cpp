#include "topologies/region_graph.h"

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <charconv>
#include <cmath>
#include <limits>

namespace flaresim::topologies {
namespace {

class Category : public std::error_category {
 public:
  const char* name() const noexcept override { return "region graph"; }
  std::string message(int value) const override {
    switch (static_cast<GraphError>(value)) {
      case GraphError::empty: return "no header line";
      case GraphError::missing_cell: return "a row with fewer cells than the header";
      case GraphError::extra_cell: return "a row with more cells than the header";
      case GraphError::bad_number: return "a cell that is no positive number of milliseconds";
      case GraphError::duplicate_region: return "a region appears twice";
      case GraphError::unknown_region: return "a row for a region that the header lacks";
      case GraphError::not_symmetric: return "the two directions of a pair differ";
      case GraphError::not_connected: return "no path of measured pairs between two regions";
    }
    return "unknown error";
  }
};

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (;;) {
    const auto comma = line.find(',');
    auto cell = line.substr(0, comma);
    while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\r')) cell.remove_suffix(1);
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

std::vector<std::vector<std::string_view>> rows_of(std::string_view text) {
  std::vector<std::vector<std::string_view>> rows;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line == "\r" || line.front() == '#') continue;
    rows.push_back(cells_of(line));
  }
  return rows;
}

std::optional<io::Duration> milliseconds(std::string_view cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  constexpr double longest_ms = 60'000;  // a round trip beyond a minute is a mistake in the table
  if (error != std::errc{} || end != cell.data() + cell.size() || !(value > 0) || value > longest_ms) return {};
  return io::Duration(std::llround(value * 1e6));
}

}  // namespace

std::error_code make_error_code(GraphError error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

io::Result<RegionGraph> RegionGraph::from_csv(std::string_view text) {
  const auto rows = rows_of(text);
  if (rows.empty() || rows.front().size() < 2) return io::fail(GraphError::empty);

  RegionGraph out;
  for (std::size_t i = 1; i < rows.front().size(); ++i) {
    const auto name = rows.front()[i];
    if (out.find(name)) return io::fail(GraphError::duplicate_region);
    out.names_.emplace_back(name);
  }
  const auto size = out.names_.size();
  std::vector<std::vector<std::optional<io::Duration>>> measured(
      size, std::vector<std::optional<io::Duration>>(size));
  std::vector<bool> seen(size, false);
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const auto& row = rows[r];
    const auto from = out.find(row.front());
    if (!from) return io::fail(GraphError::unknown_region);
    if (seen[*from]) return io::fail(GraphError::duplicate_region);
    seen[*from] = true;
    if (row.size() < size + 1) return io::fail(GraphError::missing_cell);
    if (row.size() > size + 1) return io::fail(GraphError::extra_cell);
    for (std::size_t to = 0; to < size; ++to) {
      if (row[to + 1].empty()) continue;
      measured[*from][to] = milliseconds(row[to + 1]);
      if (!measured[*from][to]) return io::fail(GraphError::bad_number);
    }
  }

  out.graph_ = Graph(size);
  out.round_trips_.assign(size, std::vector<io::Duration>(size, io::Duration::zero()));
  for (std::size_t a = 0; a < size; ++a) {
    out.round_trips_[a][a] = measured[a][a].value_or(io::Duration::zero());
    for (std::size_t b = a + 1; b < size; ++b) {
      if (measured[a][b] != measured[b][a]) return io::fail(GraphError::not_symmetric);
      if (measured[a][b]) boost::add_edge(a, b, measured[a][b]->count(), out.graph_);
    }
  }
  if (auto routed = out.route_unmeasured(); !routed) return tl::unexpected(routed.error());
  return out;
}

io::Result<> RegionGraph::route_unmeasured() {
  const auto weights = boost::get(boost::edge_weight, graph_);
  constexpr auto unreachable = std::numeric_limits<std::int64_t>::max();
  for (std::size_t from = 0; from < size(); ++from) {
    std::vector<std::int64_t> distance(size(), unreachable);
    boost::dijkstra_shortest_paths(graph_, from, boost::distance_map(distance.data()).weight_map(weights));
    for (std::size_t to = 0; to < size(); ++to) {
      if (to == from) continue;
      if (distance[to] == unreachable) return io::fail(GraphError::not_connected);
      const auto edge = boost::edge(from, to, graph_);
      round_trips_[from][to] = io::Duration(edge.second ? weights[edge.first] : distance[to]);
    }
  }
  return {};
}

std::optional<std::size_t> RegionGraph::find(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names_.begin());
}

bool RegionGraph::measured(std::size_t a, std::size_t b) const { return boost::edge(a, b, graph_).second; }

std::vector<std::vector<io::Duration>> RegionGraph::one_way() const {
  auto delays = round_trips_;
  for (auto& row : delays) {
    for (auto& delay : row) delay /= 2;
  }
  return delays;
}

}  // namespace flaresim::topologies
