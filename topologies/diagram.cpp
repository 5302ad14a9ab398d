#include "topologies/diagram.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace flaresim::topologies {
namespace {

// Everything in pixels.
constexpr double line_height = 16;
constexpr double padding = 10;
constexpr double gap = 24;   // between neighbours in a row
constexpr double rise = 64;  // between rows: room for a label on each link
constexpr double margin = 24;
constexpr double vertex_radius = 6;
constexpr double vertex_rise = 76;
constexpr double least_core_width = 480;
constexpr double arc_room = 36;  // above a row whose vertices have links among them
constexpr double bus = 18;       // how far below its upper end a link turns sideways

/// Wide enough for 12 px of DejaVu Sans or Verdana, of which the widest letters make up for the narrow ones.
double width_of(const std::string& text) {
  const auto letters = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
  return 7.6 * static_cast<double>(letters);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

struct Box {
  double x = 0;  ///< of the centre
  double y = 0;  ///< of the top
  double width = 0;
  double height = 0;
  double room = 0;  ///< what it needs in its row: labels may be wider than the box below them
};

std::string text_at(double x, double y, const std::string& text, const char* style = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n", x, y, style, escaped(text));
}

/// Moves boxes of a row apart, in their order, with the least change on the whole.
void spread(std::vector<Box*>& row) {
  for (std::size_t i = 1; i < row.size(); ++i) {
    const auto least = row[i - 1]->x + (row[i - 1]->room + row[i]->room) / 2 + gap;
    if (row[i]->x >= least) continue;
    // The pushed one meets the others halfway: all before it move left by half of the lack.
    const auto lack = least - row[i]->x;
    for (std::size_t j = 0; j < i; ++j) row[j]->x -= lack / 2;
    row[i]->x += lack / 2;
  }
}

/// Lays a diagram out and draws it.
class Drawing {
 public:
  explicit Drawing(const Diagram& diagram) : diagram_(diagram), boxes_(diagram.nodes.size()) {}

  std::string operator()() {
    measure();
    place_vertices();
    place_nodes();
    frame();
    return draw();
  }

 private:
  using Kind = Diagram::Kind;

  void measure() {
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const auto& node = diagram_.nodes[i];
      auto width = width_of(node.name);
      for (const auto& line : node.lines) width = std::max(width, width_of(line));
      boxes_[i].width = width + 2 * padding;
      boxes_[i].height = line_height * static_cast<double>(1 + node.lines.size()) + padding;
      boxes_[i].room = std::max(boxes_[i].width, labels_above(i));
    }
  }

  /// The width of the labels of a node's links, side by side.
  double labels_above(std::size_t node) const {
    double width = 0;
    for (const auto& link : diagram_.links) {
      if (link.node == node) width += width_of(link.label) + 2 * padding;
    }
    return width;
  }

  std::vector<Box*> row_of(Kind kind_is_server, std::size_t row) {
    std::vector<Box*> boxes;
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const bool server = diagram_.nodes[i].kind == Kind::server;
      if (server == (kind_is_server == Kind::server) && (server || diagram_.nodes[i].row == row)) {
        boxes.push_back(&boxes_[i]);
      }
    }
    return boxes;
  }

  std::size_t rows() const {
    std::size_t rows = 0;
    for (const auto& node : diagram_.nodes) {
      if (node.kind != Kind::server) rows = std::max(rows, node.row + 1);
    }
    return rows;
  }

  /// Vertices of a row stand side by side, those with neighbours to the left of the row above more to the left.
  void place_vertices() {
    std::size_t count = 0;
    for (const auto& vertex : diagram_.vertices) count = std::max(count, vertex.row + 1);
    vertex_rows_ = count;
    vertices_.assign(diagram_.vertices.size(), {});
    std::vector<std::vector<std::size_t>> rows(count);
    for (std::size_t i = 0; i < diagram_.vertices.size(); ++i) rows[diagram_.vertices[i].row].push_back(i);
    const auto spacing_of = [&](const std::vector<std::size_t>& row) {
      double spacing = 0;
      for (const auto i : row) spacing = std::max(spacing, width_of(diagram_.vertices[i].name));
      return spacing * 0.8 + 8;
    };
    double widest = rows.empty() ? 0 : least_core_width;
    for (const auto& row : rows) widest = std::max(widest, spacing_of(row) * static_cast<double>(row.size()));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::stable_sort(rows[r].begin(), rows[r].end(), [&](auto a, auto b) { return pull(a) < pull(b); });
      const auto spacing = widest / static_cast<double>(rows[r].size());
      for (std::size_t i = 0; i < rows[r].size(); ++i) {
        vertices_[rows[r][i]] = {.x = spacing * (static_cast<double>(i) + 0.5) - widest / 2,
                                 .y = vertex_rise * static_cast<double>(r),
                                 .width = spacing,
                                 .height = 0,
                                 .room = spacing};
      }
    }
    core_width_ = widest;
  }

  /// Where the neighbours above would have it.
  double pull(std::size_t vertex) const {
    double sum = 0, count = 0;
    for (const auto& [a, b] : diagram_.core_links) {
      const auto other = a == vertex ? b : a;
      if ((a != vertex && b != vertex) || diagram_.vertices[other].row >= diagram_.vertices[vertex].row)
        continue;
      sum += vertices_[other].x;
      ++count;
    }
    return count > 0 ? sum / count : 0;
  }

  /// From the hosts up: everything stands over the middle of what hangs on it, and below the Internet under its vertex.
  void place_nodes() {
    for (int round = 0; round < 40; ++round) {
      for (auto row = rows(); row-- > 0;) settle(row_of(Kind::gateway, row), true);
      for (std::size_t row = 0; row < rows(); ++row) settle(row_of(Kind::gateway, row), false);
    }
    settle(row_of(Kind::server, 0), true);
  }

  void settle(std::vector<Box*> row, bool from_below) {
    for (auto* box : row) box->x = wish(static_cast<std::size_t>(box - boxes_.data()), from_below, box->x);
    spread(row);
    if (row.empty()) return;
    // A row that nothing holds in place stands in the middle.
    const auto free = [&](Box* box) { return !held(static_cast<std::size_t>(box - boxes_.data())); };
    if (!std::all_of(row.begin(), row.end(), free)) return;
    const auto middle = (row.front()->x - row.front()->room / 2 + row.back()->x + row.back()->room / 2) / 2;
    for (auto* box : row) box->x -= middle;
  }

  bool is_at_bottom(std::size_t vertex) const { return diagram_.vertices[vertex].row + 1 == vertex_rows_; }
  bool held(std::size_t node) const {
    return std::any_of(diagram_.links.begin(), diagram_.links.end(), [&](const auto& link) {
      return link.node == node && (link.to || (link.vertex && is_at_bottom(*link.vertex)));
    });
  }

  double wish(std::size_t node, bool from_below, double otherwise) const {
    double sum = 0, count = 0;
    for (const auto& link : diagram_.links) {
      if (from_below && link.to == node) {
        sum += boxes_[link.node].x;
        ++count;
      }
      if (!from_below && link.node == node && link.to) {
        sum += boxes_[*link.to].x;
        ++count;
      }
      if (link.node == node && link.vertex && is_at_bottom(*link.vertex)) {
        sum += vertices_[*link.vertex].x;
        ++count;
      }
    }
    return count > 0 ? sum / count : otherwise;
  }

  /// Heights, and the size of the whole.
  void frame() {
    double y = margin + 2 * line_height + 8;
    const auto servers = row_of(Kind::server, 0);
    double height = 0;
    for (auto* box : servers) height = std::max(height, box->height);
    for (auto* box : servers) box->y = y + height - box->height;
    if (!servers.empty()) y += height + rise;

    internet_.y = y;
    internet_.height = line_height * static_cast<double>(diagram_.internet.size()) + 2 * padding;
    if (vertex_rows_ > 0) {
      const auto top = internet_.height + 12 + (arcs_on_top() ? arc_room : 0);
      for (auto& vertex : vertices_) vertex.y += y + top;
      internet_.height = top + vertex_rise * static_cast<double>(vertex_rows_ - 1) + 36;
    }
    y += internet_.height;
    for (std::size_t row = 0; row < rows(); ++row) {
      y += rise;
      height = 0;
      for (auto* box : row_of(Kind::gateway, row)) {
        box->y = y;
        height = std::max(height, box->height);
      }
      y += height;
    }
    height_ = y + margin;
    frame_width();
  }

  bool arcs_on_top() const {
    return std::any_of(diagram_.core_links.begin(), diagram_.core_links.end(), [&](const auto& link) {
      return diagram_.vertices[link.first].row == 0 && diagram_.vertices[link.second].row == 0;
    });
  }

  void frame_width() {
    double left = -core_width_ / 2 - padding, right = -left;
    for (const auto& line : diagram_.internet) {
      left = std::min(left, -width_of(line) / 2 - 2 * padding);
      right = std::max(right, width_of(line) / 2 + 2 * padding);
    }
    for (const auto& box : boxes_) {
      left = std::min(left, box.x - box.room / 2);
      right = std::max(right, box.x + box.room / 2);
    }
    if (vertex_rows_ > 0) {  // the graph stands in the middle
      right = std::max(right, -left);
      left = -right;
    }
    internet_.x = (left + right) / 2;
    internet_.width = right - left;
    for (const auto& title : {diagram_.title, diagram_.subtitle}) {
      const auto lack = width_of(title) - (right - left);
      if (lack > 0) left -= lack / 2, right += lack / 2;
    }
    left_ = left - margin;
    width_ = right - left + 2 * margin;
  }

  std::string draw() const {
    auto svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"{2:.1f} 0 "
        "{0:.1f} "
        "{1:.1f}\">\n"
        "<style>text{{font:12px 'DejaVu Sans',Verdana,sans-serif;text-anchor:middle;fill:#222}}"
        ".n{{font-weight:bold}}.t{{font-size:15px;font-weight:bold;text-anchor:start}}.s{{text-anchor:start}}"
        ".v{{font-size:10px;paint-order:stroke;stroke:#eef0f6;stroke-width:3px}}.l{{fill:#555;font-size:11px}"
        "}"
        "path{{fill:none;stroke:#555;stroke-width:1.5}}.c{{stroke:#aab;stroke-width:1}}.d{{stroke-dasharray:"
        "5 4}}"
        "</style>\n"
        "<rect x=\"{2:.1f}\" width=\"{0:.1f}\" height=\"{1:.1f}\" fill=\"#fff\"/>\n",
        width_, height_, left_);
    svg += text_at(left_ + margin, margin + 6, diagram_.title, " class=\"t\"");
    svg += text_at(left_ + margin, margin + line_height + 10, diagram_.subtitle, " class=\"s\"");
    svg += draw_internet();
    for (std::size_t i = 0; i < diagram_.links.size(); ++i) svg += draw_link(i);
    for (std::size_t i = 0; i < boxes_.size(); ++i) svg += draw_node(i);
    return svg + "</svg>\n";
  }

  std::string draw_internet() const {
    auto svg = fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"18\" fill=\"#eef0f6\" "
        "stroke=\"#99a\"/>\n",
        internet_.x - internet_.width / 2, internet_.y, internet_.width, internet_.height);
    for (std::size_t i = 0; i < diagram_.internet.size(); ++i) {
      const auto y = internet_.y + padding + 12 + line_height * static_cast<double>(i);
      svg += text_at(internet_.x, y, diagram_.internet[i], i == 0 ? " class=\"n\"" : "");
    }
    for (const auto& [a, b] : diagram_.core_links) svg += draw_core_link(vertices_[a], vertices_[b]);
    for (std::size_t i = 0; i < vertices_.size(); ++i) {
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"#667\"/>\n", vertices_[i].x,
                         vertices_[i].y, vertex_radius);
      svg += text_at(vertices_[i].x, vertices_[i].y + vertex_radius + 12, diagram_.vertices[i].name,
                     " class=\"v\"");
    }
    return svg;
  }

  /// Straight between rows; within a row an arc, which passes over those between.
  static std::string draw_core_link(const Box& a, const Box& b) {
    if (a.y != b.y) {
      return fmt::format("<path class=\"c\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n", a.x, a.y, b.x, b.y);
    }
    const auto bow = std::min(34.0, 12 + std::abs(a.x - b.x) / 12);
    return fmt::format("<path class=\"c\" d=\"M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}\"/>\n", a.x, a.y,
                       (a.x + b.x) / 2, a.y - 2 * bow, b.x, b.y);
  }

  /// Where a node's link meets it: several stand side by side, as far apart as their labels need.
  double foot_of(std::size_t link) const {
    const auto node = diagram_.links[link].node;
    auto x = boxes_[node].x - labels_above(node) / 2;
    for (std::size_t i = 0; i < diagram_.links.size(); ++i) {
      if (diagram_.links[i].node != node) continue;
      const auto width = width_of(diagram_.links[i].label) + 2 * padding;
      if (i == link) return x + width / 2;
      x += width;
    }
    return x;
  }

  std::string draw_link(std::size_t number) const {
    const auto& link = diagram_.links[number];
    const auto& box = boxes_[link.node];
    const auto x = foot_of(number);
    const char* style = link.tunnel ? " class=\"d\"" : "";
    if (diagram_.nodes[link.node].kind == Kind::server) {
      const auto bottom = box.y + box.height;
      return fmt::format("<path{} d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", style, x, bottom, internet_.y) +
             label(x, bottom + rise / 2, link.label);
    }
    auto from = x;
    auto top = internet_.y + internet_.height;
    if (link.to) {
      from = boxes_[*link.to].x;
      top = boxes_[*link.to].y + boxes_[*link.to].height;
    } else if (link.vertex && is_at_bottom(*link.vertex)) {
      from = vertices_[*link.vertex].x;
      top = vertices_[*link.vertex].y + vertex_radius + 16;
    }
    const auto turn = (link.to ? top : internet_.y + internet_.height) + bus;
    return fmt::format("<path{} d=\"M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}\"/>\n", style, from, top, turn, x,
                       box.y) +
           label(x, box.y - 20, link.label);
  }

  static std::string label(double x, double y, const std::string& text) {
    if (text.empty()) return "";
    const auto width = width_of(text) * 11 / 12 + 6;
    return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\" fill=\"#fff\"/>\n",
                       x - width / 2, y - 12, width) +
           text_at(x, y, text, " class=\"l\"");
  }

  std::string draw_node(std::size_t number) const {
    const auto& node = diagram_.nodes[number];
    const auto& box = boxes_[number];
    const auto* fill = node.kind == Kind::server    ? "#e3f3e3"
                       : node.kind == Kind::gateway ? "#fdebd3"
                                                    : "#dcebfb";
    const auto* stroke = node.kind == Kind::server ? "#6a6" : node.kind == Kind::gateway ? "#c84" : "#58a";
    auto svg = fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"{}\" fill=\"{}\" "
        "stroke=\"{}\"/>\n",
        box.x - box.width / 2, box.y, box.width, box.height, node.kind == Kind::gateway ? 2 : 8, fill,
        stroke);
    svg += text_at(box.x, box.y + padding / 2 + 12, node.name, " class=\"n\"");
    for (std::size_t i = 0; i < node.lines.size(); ++i) {
      svg +=
          text_at(box.x, box.y + padding / 2 + 12 + line_height * static_cast<double>(i + 1), node.lines[i]);
    }
    return svg;
  }

  const Diagram& diagram_;
  std::vector<Box> boxes_;     ///< of the nodes
  std::vector<Box> vertices_;  ///< `y` is that of their centre
  std::size_t vertex_rows_ = 0;
  double core_width_ = 0;
  Box internet_;
  double left_ = 0;
  double width_ = 0;
  double height_ = 0;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

std::string dot_label(std::vector<std::string> lines) {
  for (auto& line : lines) line = quoted(line).substr(1, quoted(line).size() - 2);
  return fmt::format("\"{}\"", fmt::join(lines, "\\n"));
}

}  // namespace

std::string to_svg(const Diagram& diagram) { return Drawing(diagram)(); }

std::string to_dot(const Diagram& diagram) {
  auto dot = fmt::format("graph {} {{\n  label={};\n  node [shape=box, fontname=\"DejaVu Sans\"];\n",
                         quoted(diagram.title), dot_label({diagram.title, diagram.subtitle}));
  dot += fmt::format("  internet [shape=ellipse, label={}];\n", dot_label(diagram.internet));
  const auto vertex_name = [&](std::size_t i) { return quoted("core/" + diagram.vertices[i].name); };
  for (std::size_t i = 0; i < diagram.vertices.size(); ++i) {
    dot += fmt::format("  {} [shape=circle, label={}];\n", vertex_name(i), quoted(diagram.vertices[i].name));
  }
  for (const auto& [a, b] : diagram.core_links)
    dot += fmt::format("  {} -- {};\n", vertex_name(a), vertex_name(b));
  for (const auto& node : diagram.nodes) {
    auto lines = node.lines;
    lines.insert(lines.begin(), node.name);
    dot += fmt::format("  {} [label={}{}];\n", quoted(node.name), dot_label(lines),
                       node.kind == Diagram::Kind::gateway ? "" : ", style=rounded");
  }
  for (const auto& link : diagram.links) {
    const auto upper = link.to       ? quoted(diagram.nodes[*link.to].name)
                       : link.vertex ? vertex_name(*link.vertex)
                                     : "internet";
    dot += fmt::format("  {} -- {} [label={}{}];\n", upper, quoted(diagram.nodes[link.node].name),
                       quoted(link.label), link.tunnel ? ", style=dashed" : "");
  }
  return dot + "}\n";
}

}  // namespace flaresim::topologies
