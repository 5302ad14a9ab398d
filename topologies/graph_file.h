#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "topologies/core_graph.h"

namespace flaresim::topologies {

constexpr std::size_t max_graph_file_bytes = 1 << 20;

/// What is wrong with a graph's file, and where: the edge or the vertex, or what the parser says.
struct GraphFileError {
  std::error_code code;
  std::string detail;  ///< may be empty
};

/// Reads undirected GraphML (http://graphml.graphdrawing.org). A vertex's name is its attribute `name` or `label`, else
/// `v` and its number from 1. Attributes of edges are those of `read_dot`, whatever type they are declared with.
tl::expected<CoreGraph, GraphFileError> read_graphml(std::string_view text);

/// Reads an undirected graph in DOT (https://graphviz.org/doc/info/lang.html) without subgraphs. A vertex's name is its
/// identifier. Edges have `delay_ms` (one way), and may have `jitter_ms` (half width), `rate_mbit_per_s`, `queue_ms` (at
/// that rate) and `loss_percent`, as in the table of access links; other attributes are not looked at.
tl::expected<CoreGraph, GraphFileError> read_dot(std::string_view text);

/// By the end of the file's name: `.graphml`, `.dot` or `.gv`.
tl::expected<CoreGraph, GraphFileError> read_graph(const std::string& file_name, std::string_view text);

}  // namespace flaresim::topologies
