#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace flaresim::topologies {

/// A picture of a small world: servers above the Internet, gateways below it, each under what it is behind.
///
/// 1. No two boxes and no two labels overlap, whatever stands in them.
/// 2. The same diagram gives the same bytes.
struct Diagram {
  enum class Kind { server, gateway, host };
  struct Node {
    std::string name;
    Kind kind = Kind::host;
    std::vector<std::string> lines{};  ///< below the name
    std::size_t row =
        0;  ///< of gateways and hosts: 0 is next to the Internet; servers have a row of their own
  };
  /// What a node hangs on: another node, or the Internet, or a vertex of its core.
  struct Link {
    std::size_t node = 0;
    std::optional<std::size_t> to{};      ///< a node of an earlier row; nothing: the Internet
    std::optional<std::size_t> vertex{};  ///< of the core, if that is known
    std::string label{};
    bool tunnel = false;
  };
  struct Vertex {
    std::string name;
    std::size_t row = 0;
  };

  std::string title;
  std::string subtitle;
  std::vector<std::string> internet;                            ///< lines of text
  std::vector<Vertex> vertices;                                 ///< of the core; may be none
  std::vector<std::pair<std::size_t, std::size_t>> core_links;  ///< between vertices
  std::vector<Node> nodes;
  std::vector<Link> links;
};

/// A file of its own in SVG 1.1, in which text is text.
std::string to_svg(const Diagram& diagram);
/// For graphviz (https://graphviz.org/doc/info/lang.html).
std::string to_dot(const Diagram& diagram);

}  // namespace flaresim::topologies
