#pragma once

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

enum class CoreError {
  empty = 1,          ///< no vertex
  too_many_vertices,  ///< more than `CoreGraph::max_vertices`
  too_many_edges,     ///< more than `CoreGraph::max_edges`
  bad_name,           ///< a vertex has no name, too long a one, or control characters in it
  duplicate_name,     ///< two vertices have the same name
  unknown_vertex,     ///< an edge ends where no vertex is
  self_loop,          ///< an edge begins and ends at the same vertex
  bad_number,         ///< an attribute is not a number in its range
  missing_delay,      ///< an edge has no delay
  not_connected,      ///< there is no way between two vertices
  bad_parameter,      ///< a generator cannot make such a graph
  file_too_large,     ///< more than `max_graph_file_bytes`
  unknown_format,     ///< neither `.graphml` nor `.dot` nor `.gv`
  syntax,             ///< not of that format
  nested_too_deeply,  ///< more elements inside of elements than a graph needs
  directed,           ///< a directed graph: links carry packets both ways
  subgraph,           ///< braces inside of braces, which say nothing about links
};
std::error_code make_error_code(CoreError error);

/// A link between two vertices, alike in both directions.
struct CoreLink {
  io::Duration delay{};               ///< one way; from a microsecond to a minute
  io::Duration jitter{};              ///< half width; at most the delay
  std::uint64_t bits_per_second = 0;  ///< 0: unlimited, so that nothing ever waits
  io::Duration queue{};               ///< how long a full queue takes to drain; 0: unlimited
  double loss = 0;                    ///< probability, in [0, 1]

  friend bool operator==(const CoreLink&, const CoreLink&) = default;
};

/// The Internet's core as a graph: places where sites attach, and links between them.
///
/// 1. Packets take the way with the least delay; of several, always the same one on every machine.
/// 2. Where vertices have tiers (autonomous systems: 1 is the top), ways are free of valleys: up from customer to
///    provider, over at most one link between equals, and down again; nobody carries traffic for two providers (Gao,
///    "On Inferring Autonomous System Relationships in the Internet", IEEE/ACM ToN 9(6), 2001).
/// 3. There is a way between any two vertices.
class CoreGraph {
 public:
  static constexpr std::size_t max_vertices = 1000;
  static constexpr std::size_t max_edges = 20'000;
  static constexpr std::size_t max_name_length = 60;
  static constexpr io::Duration min_delay = std::chrono::microseconds(1);
  static constexpr io::Duration max_delay = std::chrono::minutes(1);

  struct Vertex {
    std::string name;
    int tier = 0;  ///< from 1; 0 on all vertices: there are no tiers
    double x = 0;  ///< where the generator put it, in [0, 1]
    double y = 0;
    friend bool operator==(const Vertex&, const Vertex&) = default;
  };
  struct Edge {
    std::size_t a = 0;
    std::size_t b = 0;
    CoreLink link{};
    friend bool operator==(const Edge&, const Edge&) = default;
  };

  static io::Result<CoreGraph> make(std::vector<Vertex> vertices, std::vector<Edge> edges);

  const std::vector<Vertex>& vertices() const { return vertices_; }
  const std::vector<Edge>& edges() const { return edges_; }
  std::optional<std::size_t> find(std::string_view name) const;
  /// Where peers and servers live when nobody says where: the lowest tier, or everywhere.
  std::vector<std::size_t> sites() const;
  bool has_tiers() const { return vertices_.front().tier > 0; }

  /// A link of one direction: 2·i is edge i from a to b, 2·i + 1 from b to a.
  using Hop = std::size_t;
  /// The ways from a vertex to every vertex, as links in their order; to itself there are none.
  std::vector<std::vector<Hop>> ways_from(std::size_t from) const;
  /// The delays of links along a way, summed up.
  io::Duration delay_of(const std::vector<Hop>& way) const;

  friend bool operator==(const CoreGraph&, const CoreGraph&) = default;

 private:
  CoreGraph(std::vector<Vertex> vertices, std::vector<Edge> edges)
      : vertices_(std::move(vertices)), edges_(std::move(edges)) {}
  io::Result<> check_vertices() const;
  io::Result<> check_edges() const;
  bool joined() const;

  std::vector<Vertex> vertices_;
  std::vector<Edge> edges_;
};

}  // namespace flaresim::topologies

template <>
struct std::is_error_code_enum<flaresim::topologies::CoreError> : std::true_type {};
