#include "topologies/graph_file.h"

#include <algorithm>
#include <array>
#include <boost/any.hpp>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphml.hpp>
#include <boost/graph/graphviz.hpp>
#include <cmath>
#include <map>
#include <sstream>

#include "topologies/csv.h"

namespace flaresim::topologies {
namespace {

constexpr int max_depth = 16;

/// Attributes of edges with their largest values, as in the table of access links.
struct Attribute {
  std::string_view name;
  double largest;
};
constexpr std::array<Attribute, 5> attributes{{{"delay_ms", 60'000},
                                               {"jitter_ms", 60'000},
                                               {"rate_mbit_per_s", 1'000'000},
                                               {"queue_ms", 60'000},
                                               {"loss_percent", 100}}};

struct RawVertex {
  std::string name;
};
struct RawEdge {
  std::size_t a = 0;
  std::size_t b = 0;
  std::array<std::string, attributes.size()> values;  ///< as written; empty: not given
};
struct RawGraph {
  std::vector<RawVertex> vertices;
  std::vector<RawEdge> edges;
};

template <class Enum>
tl::unexpected<GraphFileError> wrong(Enum code, std::string detail = "") {
  return tl::unexpected(GraphFileError{make_error_code(code), std::move(detail)});
}

io::Duration milliseconds(double number) {
  return std::chrono::round<io::Duration>(std::chrono::duration<double, std::milli>(number));
}

tl::expected<CoreLink, GraphFileError> link_of(const RawEdge& edge, const std::string& where) {
  std::array<double, attributes.size()> numbers{};
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    if (edge.values[i].empty()) continue;
    const auto number = csv_number(edge.values[i]);
    if (!number || *number > attributes[i].largest) {
      return wrong(CoreError::bad_number,
                   where + ": " + std::string(attributes[i].name) + " '" + edge.values[i] + "'");
    }
    numbers[i] = *number;
  }
  if (edge.values[0].empty()) return wrong(CoreError::missing_delay, where);
  const auto [delay, jitter, megabits, queue, percent] = numbers;
  return CoreLink{.delay = milliseconds(delay),
                  .jitter = milliseconds(jitter),
                  .bits_per_second = static_cast<std::uint64_t>(std::llround(megabits * 1e6)),
                  .queue = milliseconds(queue),
                  .loss = percent / 100};
}

tl::expected<CoreGraph, GraphFileError> graph_of(const RawGraph& raw) {
  std::vector<CoreGraph::Vertex> vertices;
  std::vector<CoreGraph::Edge> edges;
  for (const auto& [name] : raw.vertices) vertices.push_back({name});
  for (const auto& edge : raw.edges) {
    const auto where = vertices[edge.a].name + " -- " + vertices[edge.b].name;
    if (edge.a == edge.b) return wrong(CoreError::self_loop, where);
    const auto link = link_of(edge, where);
    if (!link) return tl::unexpected(link.error());
    if (link->delay < CoreGraph::min_delay || link->jitter > link->delay) {
      return wrong(CoreError::bad_number, where + ": the delay must be above zero and above the jitter");
    }
    edges.push_back({edge.a, edge.b, *link});
  }
  auto graph = CoreGraph::make(std::move(vertices), std::move(edges));
  if (!graph) return tl::unexpected(GraphFileError{graph.error(), ""});
  return std::move(*graph);
}

/// Takes what Boost's GraphML reader finds. A limit ends the reading by an exception.
class GraphmlSink final : public boost::mutate_graph {
 public:
  bool is_directed() const override { return false; }
  boost::any do_add_vertex() override {
    if (graph.vertices.size() >= CoreGraph::max_vertices) throw CoreError::too_many_vertices;
    graph.vertices.push_back({"v" + std::to_string(graph.vertices.size() + 1)});
    return graph.vertices.size() - 1;
  }
  std::pair<boost::any, bool> do_add_edge(boost::any from, boost::any to) override {
    if (graph.edges.size() >= CoreGraph::max_edges) throw CoreError::too_many_edges;
    graph.edges.push_back({boost::any_cast<std::size_t>(from), boost::any_cast<std::size_t>(to), {}});
    return {graph.edges.size() - 1, true};
  }
  void set_graph_property(const std::string&, const std::string&, const std::string&) override {}
  void set_vertex_property(const std::string& name, boost::any vertex, const std::string& value,
                           const std::string&) override {
    if (name == "name" || name == "label") graph.vertices[boost::any_cast<std::size_t>(vertex)].name = value;
  }
  void set_edge_property(const std::string& name, boost::any edge, const std::string& value,
                         const std::string&) override {
    const auto known =
        std::find_if(attributes.begin(), attributes.end(), [&](const auto& a) { return a.name == name; });
    if (known == attributes.end()) return;
    graph.edges[boost::any_cast<std::size_t>(edge)]
        .values[static_cast<std::size_t>(known - attributes.begin())] = value;
  }

  RawGraph graph;
};

/// How deep elements stand inside of each other, near enough: the reader below recurses.
bool is_deep_xml(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '<' && text[i + 1] == '/') --depth;
    if (text[i] == '<' && text[i + 1] != '/' && text[i + 1] != '!' && text[i + 1] != '?') ++depth;
    if (text[i] == '/' && text[i + 1] == '>') --depth;
    if (depth > max_depth) return true;
  }
  return false;
}

/// Whether braces stand inside of braces, outside of strings and comments.
bool has_subgraph(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto skip_to = [&](std::string_view end) { i = std::min(text.find(end, i + 1), text.size()); };
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
    } else if (text.substr(i, 2) == "//" || text[i] == '#') {
      skip_to("\n");
    } else if (text.substr(i, 2) == "/*") {
      skip_to("*/");
    } else if (text[i] == '{' && ++depth > 1) {
      return true;
    } else if (text[i] == '}') {
      --depth;
    }
  }
  return false;
}

struct DotEdge {
  std::string delay_ms, jitter_ms, rate_mbit_per_s, queue_ms, loss_percent;
};
using DotGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS, RawVertex, DotEdge>;

tl::expected<RawGraph, GraphFileError> parse_dot(std::string_view text) {
  DotGraph graph;
  boost::dynamic_properties properties(boost::ignore_other_properties);
  properties.property("node_id", boost::get(&RawVertex::name, graph));
  properties.property("delay_ms", boost::get(&DotEdge::delay_ms, graph));
  properties.property("jitter_ms", boost::get(&DotEdge::jitter_ms, graph));
  properties.property("rate_mbit_per_s", boost::get(&DotEdge::rate_mbit_per_s, graph));
  properties.property("queue_ms", boost::get(&DotEdge::queue_ms, graph));
  properties.property("loss_percent", boost::get(&DotEdge::loss_percent, graph));
  try {
    boost::read_graphviz(text.begin(), text.end(), graph, properties);
  } catch (const boost::directed_graph_error&) {
    return wrong(CoreError::directed);
  } catch (const std::exception& exception) {
    return wrong(CoreError::syntax, exception.what());
  }
  RawGraph raw;
  if (boost::num_vertices(graph) > CoreGraph::max_vertices) return wrong(CoreError::too_many_vertices);
  if (boost::num_edges(graph) > CoreGraph::max_edges) return wrong(CoreError::too_many_edges);
  for (std::size_t i = 0; i < boost::num_vertices(graph); ++i) raw.vertices.push_back(graph[i]);
  for (auto [edge, end] = boost::edges(graph); edge != end; ++edge) {
    const auto& values = graph[*edge];
    raw.edges.push_back(
        {boost::source(*edge, graph),
         boost::target(*edge, graph),
         {values.delay_ms, values.jitter_ms, values.rate_mbit_per_s, values.queue_ms, values.loss_percent}});
  }
  return raw;
}

}  // namespace

tl::expected<CoreGraph, GraphFileError> read_graphml(std::string_view text) {
  if (text.size() > max_graph_file_bytes) return wrong(CoreError::file_too_large);
  if (is_deep_xml(text)) return wrong(CoreError::nested_too_deeply);
  GraphmlSink sink;
  try {
    std::istringstream in{std::string(text)};
    boost::read_graphml(in, sink, 0);
  } catch (CoreError limit) {
    return wrong(limit);
  } catch (const boost::directed_graph_error&) {
    return wrong(CoreError::directed);
  } catch (const boost::bad_parallel_edge& exception) {
    return wrong(CoreError::unknown_vertex, exception.what());
  } catch (const std::exception& exception) {
    return wrong(CoreError::syntax, exception.what());
  }
  return graph_of(sink.graph);
}

tl::expected<CoreGraph, GraphFileError> read_dot(std::string_view text) {
  if (text.size() > max_graph_file_bytes) return wrong(CoreError::file_too_large);
  if (has_subgraph(text)) return wrong(CoreError::subgraph);
  const auto raw = parse_dot(text);
  if (!raw) return tl::unexpected(raw.error());
  return graph_of(*raw);
}

tl::expected<CoreGraph, GraphFileError> read_graph(const std::string& file_name, std::string_view text) {
  if (file_name.ends_with(".graphml")) return read_graphml(text);
  if (file_name.ends_with(".dot") || file_name.ends_with(".gv")) return read_dot(text);
  return wrong(CoreError::unknown_format);
}

}  // namespace flaresim::topologies
