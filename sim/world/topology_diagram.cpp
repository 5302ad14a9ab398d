#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <queue>

#include "sim/world/scenario_reader.h"
#include "sim/world/topology.h"

namespace flaresim::world {
namespace {

using topologies::CoreGraph;
using topologies::Diagram;

constexpr std::size_t max_line = 26;

/// A long NAT on several lines, cut where the notation has commas or blanks.
std::vector<std::string> wrapped(const std::string& text) {
  std::vector<std::string> lines(1);
  std::size_t from = 0;
  while (from < text.size()) {
    const auto end = std::min(text.find_first_of(", ", from), text.size() - 1) + 1;
    const auto word = text.substr(from, end - from);
    if (!lines.back().empty() && lines.back().size() + word.size() > max_line) lines.emplace_back();
    lines.back() += word;
    from = end;
  }
  return lines;
}

std::string versions(const std::vector<int>& ip) {
  if (ip.size() > 1) return "IPv4 and IPv6";
  return fmt::format("IPv{}", ip.front());
}

/// Rows of a core's vertices: its tiers, or how many links they are away from the best connected one.
std::vector<std::size_t> rows_of(const CoreGraph& core) {
  std::vector<std::size_t> rows(core.vertices().size(), SIZE_MAX);
  if (core.has_tiers()) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i] = static_cast<std::size_t>(core.vertices()[i].tier - 1);
    return rows;
  }
  std::vector<std::vector<std::size_t>> neighbours(rows.size());
  for (const auto& edge : core.edges()) {
    neighbours[edge.a].push_back(edge.b);
    neighbours[edge.b].push_back(edge.a);
  }
  const auto hub =
      std::ranges::max_element(neighbours, {}, &std::vector<std::size_t>::size) - neighbours.begin();
  std::queue<std::size_t> waiting({static_cast<std::size_t>(hub)});
  rows[waiting.front()] = 0;
  for (; !waiting.empty(); waiting.pop()) {
    for (const auto next : neighbours[waiting.front()]) {
      if (rows[next] != SIZE_MAX) continue;
      rows[next] = rows[waiting.front()] + 1;
      waiting.push(next);
    }
  }
  return rows;
}

/// ` of 2 Mbit/s to 10 Gbit/s`, as far as links have rates.
std::string rates_of(const CoreGraph& core) {
  std::uint64_t least = UINT64_MAX, most = 0;
  for (const auto& edge : core.edges()) {
    if (edge.link.bits_per_second == 0) continue;
    least = std::min(least, edge.link.bits_per_second);
    most = std::max(most, edge.link.bits_per_second);
  }
  if (most == 0) return "";
  return least == most ? " of " + rate_text(most)
                       : fmt::format(" of {} to {}", rate_text(least), rate_text(most));
}

struct NameOfOrigin {
  std::string operator()(const CoreSpec::File& file) const {
    return file.path.substr(file.path.find_last_of('/') + 1);
  }
  std::string operator()(const topologies::Waxman&) const { return "Waxman graph"; }
  std::string operator()(const topologies::BarabasiAlbert&) const { return "Barabási–Albert graph"; }
  std::string operator()(const topologies::Tiered&) const { return "autonomous systems in tiers"; }
};

/// Draws one topology, from the Internet down.
class Picture {
 public:
  explicit Picture(const Topology& topology) : topology_(topology), scenario_(topology.scenario) {
    diagram_.title = topology.name;
    diagram_.subtitle = topology.summary;
  }

  Diagram operator()() {
    draw_internet();
    draw_servers();
    for (const auto& gateway : scenario_.gateways) draw_gateway(gateway);
    draw_host("A", "dials over the relay", scenario_.a, "nat-a");
    draw_host("B", "holds the reservation", scenario_.b, "nat-b");
    return std::move(diagram_);
  }

 private:
  void draw_internet() {
    if (!scenario_.core) {
      diagram_.internet = {"Internet", "measured delays between regions"};
      return;
    }
    const auto& core = *scenario_.core->graph;
    diagram_.internet = {
        "Internet",
        fmt::format("{}: {} vertices, {} links{}", std::visit(NameOfOrigin{}, scenario_.core->origin),
                    core.vertices().size(), core.edges().size(), rates_of(core))};
    const auto rows = rows_of(core);
    for (std::size_t i = 0; i < rows.size(); ++i)
      diagram_.vertices.push_back({core.vertices()[i].name, rows[i]});
    for (const auto& edge : core.edges()) diagram_.core_links.emplace_back(edge.a, edge.b);
  }

  void draw_servers() {
    const auto draw = [&](const std::string& name, int count, const Location& location,
                          const std::string& access) {
      if (count == 0) return;
      Diagram::Node node{.name = count == 1 ? name : fmt::format("{} {}s", count, name),
                         .kind = Diagram::Kind::server};
      node.lines.push_back(location.placement == Placement::random ? "anywhere" : location_text(location));
      if (!topology_.has_relays) node.lines = {"where the scenario says"};
      add(std::move(node), {.label = access == "none" ? "" : access});
    };
    draw("relay", scenario_.relays.count, scenario_.relays.location, scenario_.relays.access);
    draw("observer", scenario_.observers, scenario_.observer_location, "none");
  }

  std::size_t add(Diagram::Node node, Diagram::Link link) {
    diagram_.nodes.push_back(std::move(node));
    link.node = diagram_.nodes.size() - 1;
    diagram_.links.push_back(std::move(link));
    return diagram_.nodes.size() - 1;
  }

  Diagram::Link link_to(const std::string& outer, const std::string& access,
                        const std::string& region) const {
    Diagram::Link link{.label = access == "none" ? "" : access};
    if (!outer.empty()) {
      link.to = numbers_.at(outer);
      link.tunnel = !region.empty() && regions_.at(outer) != region;
      if (link.tunnel) link.label = fmt::format("{}tunnel", link.label.empty() ? "" : link.label + " + ");
    } else if (scenario_.core && !region.empty()) {
      link.vertex = scenario_.core->graph->find(region);
    }
    return link;
  }

  std::size_t row_below(const std::string& outer) const {
    return outer.empty() ? 0 : diagram_.nodes[numbers_.at(outer)].row + 1;
  }

  void draw_gateway(const GatewaySpec& gateway) {
    if (numbers_.contains(gateway.name)) return;
    if (!gateway.behind.empty())
      draw_gateway(*std::ranges::find(scenario_.gateways, gateway.behind, &GatewaySpec::name));
    auto region = gateway.region;
    if (region.empty() && !gateway.behind.empty()) region = regions_.at(gateway.behind);
    Diagram::Node node{.name = gateway.name, .kind = Diagram::Kind::gateway, .lines = {}};
    if (gateway.kind != GatewayKind::nat) node.lines.emplace_back(to_string(gateway.kind));
    if (!gateway.nat.empty()) std::ranges::copy(wrapped(gateway.nat), std::back_inserter(node.lines));
    if (gateway.addresses > 1) node.lines.push_back(fmt::format("{} addresses", gateway.addresses));
    node.lines.push_back(region.empty() ? "anywhere" : region);
    node.row = row_below(gateway.behind);
    regions_[gateway.name] = region;
    numbers_[gateway.name] = add(std::move(node), link_to(gateway.behind, gateway.access, region));
  }

  void draw_host(const std::string& name, const std::string& role, const PeerSpec& peer,
                 const std::string& own) {
    auto behind = peer.behind;
    if (behind.empty() && (peer.population || peer.kind.nat != "open")) {
      draw_gateway({.name = own,
                    .nat = peer.population ? "drawn from " + peer.population->name : peer.kind.nat,
                    .region = peer.kind.region,
                    .access = peer.population ? "none" : peer.kind.access,
                    .behind = ""});
      behind = {own};
    }
    Diagram::Node node{.name = name, .kind = Diagram::Kind::host, .lines = {role}};
    const auto inherited = behind.empty() ? std::string() : regions_.at(behind.front());
    const auto region = peer.kind.region.empty() ? inherited : peer.kind.region;
    if (behind.empty() || region != inherited) node.lines.push_back(region.empty() ? "anywhere" : region);
    node.lines.push_back(versions(peer.ip.empty() ? scenario_.ip : peer.ip));
    for (const auto& gateway : behind) node.row = std::max(node.row, row_below(gateway));
    const auto access = peer.behind.empty() && !behind.empty() ? "none" : peer.kind.access;
    const auto number = add(std::move(node), link_to(behind.empty() ? "" : behind.front(), access, region));
    for (std::size_t i = 1; i < behind.size(); ++i) {
      auto link = link_to(behind[i], access, region);
      link.node = number;
      diagram_.links.push_back(std::move(link));
    }
  }

  const Topology& topology_;
  const Scenario& scenario_;
  Diagram diagram_;
  std::map<std::string, std::size_t> numbers_;  ///< of gateways' nodes
  std::map<std::string, std::string> regions_;  ///< of gateways
};

}  // namespace

Diagram diagram_of(const Topology& topology) { return Picture(topology)(); }

}  // namespace flaresim::world
