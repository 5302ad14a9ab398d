#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "protocols/io/result.h"
#include "protocols/io/time.h"

namespace flaresim::topologies {

enum class GraphError {
  empty = 1,         ///< no header line, or no region in it
  too_many_regions,  ///< more than `max_regions`
  cell_count,        ///< a row has more or fewer cells than the header
  bad_number,        ///< a cell is neither empty nor a number of milliseconds up to a minute
  duplicate_region,  ///< a name appears twice
  unknown_region,    ///< a row whose name is not in the header
  missing_row,       ///< a name in the header without a row
  not_symmetric,     ///< A,B and B,A differ
  not_connected,     ///< no path of measured pairs joins two regions
};
std::error_code make_error_code(GraphError error);

/// Regions of the world and the round-trip times between them.
///
/// 1. A measured pair has its measured round-trip time, also where a way over a third region would be shorter
///    (policy routing is like that: measured matrices break the triangle inequality).
/// 2. A pair that was not measured has the shortest path over measured ones (Dijkstra).
class RegionGraph {
 public:
  /// Reads a matrix in CSV: a header `region,NAME…`, then a row `NAME,RTT…` for each region, in milliseconds;
  /// an empty cell is a pair that was not measured. The diagonal is the round trip inside a region. Lines
  /// that begin with # are comments.
  static constexpr std::size_t max_regions = 1000;
  static io::Result<RegionGraph> from_csv(std::string_view text);

  std::size_t size() const { return names_.size(); }
  const std::vector<std::string>& names() const { return names_; }
  std::optional<std::size_t> find(std::string_view name) const;

  bool measured(std::size_t a, std::size_t b) const { return measured_[a][b]; }
  io::Duration round_trip(std::size_t a, std::size_t b) const { return round_trips_[a][b]; }
  /// Half of every round trip, `[from][to]`.
  std::vector<std::vector<io::Duration>> one_way() const;

 private:
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS, boost::no_property,
                                      boost::property<boost::edge_weight_t, std::int64_t>>;

  RegionGraph() = default;
  io::Result<> measure(std::size_t a, std::size_t b, std::string_view cell);
  io::Result<> route_unmeasured();

  std::vector<std::string> names_;
  Graph graph_;
  std::vector<std::vector<bool>> measured_;
  std::vector<std::vector<io::Duration>> round_trips_;
};

}  // namespace flaresim::topologies

template <>
struct std::is_error_code_enum<flaresim::topologies::GraphError> : std::true_type {};
