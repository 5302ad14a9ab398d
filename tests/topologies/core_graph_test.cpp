#include "topologies/core_graph.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "protocols/io/random.h"
#include "tests/protocols/support/error_of.h"
#include "topologies/generators.h"

namespace flaresim::topologies {
namespace {

using namespace std::chrono_literals;
using Edge = CoreGraph::Edge;
using Vertex = CoreGraph::Vertex;

Edge edge(std::size_t a, std::size_t b, io::Duration delay) { return {a, b, {.delay = delay}}; }

/// The vertices that a way passes, by name.
std::string names_along(const CoreGraph& graph, std::size_t from, const std::vector<CoreGraph::Hop>& way) {
  auto text = graph.vertices()[from].name;
  for (const auto hop : way) {
    const auto& edge = graph.edges()[hop / 2];
    EXPECT_EQ(graph.vertices()[hop % 2 == 0 ? edge.a : edge.b].name, text.substr(text.find_last_of(' ') + 1));
    text += " " + graph.vertices()[hop % 2 == 0 ? edge.b : edge.a].name;
  }
  return text;
}

Failure made_of(std::vector<Vertex> vertices, std::vector<Edge> edges) {
  return error_of(CoreGraph::make(std::move(vertices), std::move(edges)));
}

TEST(CoreGraph, TakesTheWayWithTheLeastDelayNotTheFewestLinks) {
  const auto graph = CoreGraph::make({{"a"}, {"b"}, {"c"}, {"d"}},
                                     {edge(0, 3, 50ms), edge(0, 1, 10ms), edge(1, 2, 10ms), edge(2, 3, 10ms)})
                         .value();
  const auto ways = graph.ways_from(0);
  EXPECT_EQ(names_along(graph, 0, ways[3]), "a b c d");
  EXPECT_EQ(graph.delay_of(ways[3]), 30ms);
  EXPECT_TRUE(ways[0].empty());
}

TEST(CoreGraph, OfEquallyLongWaysTheEarlierLinkWins) {
  const std::vector<Vertex> square{{"a"}, {"b"}, {"c"}, {"d"}};
  const auto over_b =
      CoreGraph::make(square, {edge(0, 1, 1ms), edge(0, 2, 1ms), edge(1, 3, 1ms), edge(2, 3, 1ms)});
  const auto over_c =
      CoreGraph::make(square, {edge(0, 1, 1ms), edge(0, 2, 1ms), edge(2, 3, 1ms), edge(1, 3, 1ms)});
  EXPECT_EQ(names_along(*over_b, 0, over_b->ways_from(0)[3]), "a b d");
  EXPECT_EQ(names_along(*over_c, 0, over_c->ways_from(0)[3]), "a c d");
}

TEST(CoreGraph, OfParallelLinksTheShorterIsTaken) {
  const auto graph = CoreGraph::make({{"a"}, {"b"}}, {edge(0, 1, 9ms), edge(1, 0, 4ms)}).value();
  EXPECT_EQ(graph.ways_from(0)[1], std::vector<CoreGraph::Hop>{3});
}

TEST(CoreGraph, NobodyCarriesTrafficBetweenTwoOfItsProviders) {
  // The stub s is joined to both p and q, and that way would be shorter.
  const auto graph = CoreGraph::make({{"top", 1}, {"p", 2}, {"q", 2}, {"s", 3}},
                                     {edge(0, 1, 20ms), edge(0, 2, 20ms), edge(3, 1, 1ms), edge(3, 2, 1ms)})
                         .value();
  EXPECT_EQ(names_along(graph, 1, graph.ways_from(1)[2]), "p top q");
  EXPECT_EQ(names_along(graph, 3, graph.ways_from(3)[2]), "s q");
}

TEST(CoreGraph, OneLinkBetweenEqualsAtMost) {
  // p, q and r peer in a row; from p to r that would be two such links.
  const auto graph = CoreGraph::make({{"top", 1}, {"p", 2}, {"q", 2}, {"r", 2}},
                                     {edge(0, 1, 20ms), edge(0, 2, 20ms), edge(0, 3, 20ms), edge(1, 2, 1ms),
                                      edge(2, 3, 1ms)})
                         .value();
  EXPECT_EQ(names_along(graph, 1, graph.ways_from(1)[2]), "p q");
  EXPECT_EQ(names_along(graph, 1, graph.ways_from(1)[3]), "p top r");
}

/// The least delay by trying every simple way that `allowed` lets go on.
class BruteForce {
 public:
  explicit BruteForce(const CoreGraph& graph) : graph_(graph) {}

  io::Duration operator()(std::size_t from, std::size_t to) {
    best_ = io::Duration::max();
    seen_.assign(graph_.vertices().size(), false);
    walk(from, to, {}, false);
    return best_;
  }

 private:
  int tier(std::size_t vertex) const { return graph_.vertices()[vertex].tier; }

  void walk(std::size_t at, std::size_t to, io::Duration so_far, bool going_down) {
    if (so_far >= best_) return;
    if (at == to) {
      best_ = so_far;
      return;
    }
    seen_[at] = true;
    for (const auto& [a, b, link] : graph_.edges()) {
      if (a != at && b != at) continue;
      const auto next = a == at ? b : a;
      const bool climbs = tier(next) < tier(at);
      if (seen_[next] || (tier(at) > 0 && going_down && tier(next) <= tier(at))) continue;
      walk(next, to, so_far + link.delay, going_down || !climbs);
    }
    seen_[at] = false;
  }

  const CoreGraph& graph_;
  std::vector<bool> seen_;
  io::Duration best_{};
};

TEST(CoreGraph, WaysAreAsShortAsAnyThatIsAllowed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const auto& graph : {generate(Waxman{.vertices = 9}, seed).value(),
                              generate(Tiered{.tiers = {2, 3, 5}}, seed).value()}) {
      BruteForce shortest(graph);
      for (std::size_t from = 0; from < graph.vertices().size(); ++from) {
        const auto ways = graph.ways_from(from);
        for (std::size_t to = 0; to < graph.vertices().size(); ++to) {
          EXPECT_EQ(graph.delay_of(ways[to]), shortest(from, to)) << "seed " << seed;
          const auto passed = names_along(graph, from, ways[to]);
          EXPECT_TRUE(passed.ends_with(graph.vertices()[to].name));
        }
      }
    }
  }
}

TEST(CoreGraph, SitesAreInTheLowestTierOrEverywhere) {
  const auto tiers =
      CoreGraph::make({{"top", 1}, {"s", 2}, {"t", 2}}, {edge(0, 1, 1ms), edge(0, 2, 1ms)}).value();
  EXPECT_EQ(tiers.sites(), (std::vector<std::size_t>{1, 2}));
  const auto flat = CoreGraph::make({{"a"}, {"b"}}, {edge(0, 1, 1ms)}).value();
  EXPECT_EQ(flat.sites(), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(flat.find("b"), 1u);
  EXPECT_FALSE(flat.find("c"));
}

TEST(CoreGraph, RefusesWhatIsNoCore) {
  EXPECT_EQ(made_of({}, {}), CoreError::empty);
  EXPECT_EQ(made_of({{"a"}, {"a"}}, {edge(0, 1, 1ms)}), CoreError::duplicate_name);
  EXPECT_EQ(made_of({{""}}, {}), CoreError::bad_name);
  EXPECT_EQ(made_of({{std::string(61, 'x')}}, {}), CoreError::bad_name);
  EXPECT_EQ(made_of({{"a\nb"}}, {}), CoreError::bad_name);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {edge(0, 2, 1ms)}), CoreError::unknown_vertex);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {edge(0, 0, 1ms)}), CoreError::self_loop);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {}), CoreError::not_connected);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {edge(0, 1, 0ms)}), CoreError::bad_number);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {edge(0, 1, 61s)}), CoreError::bad_number);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {{0, 1, {.delay = 1ms, .jitter = 2ms}}}), CoreError::bad_number);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, {{0, 1, {.delay = 1ms, .loss = 1.5}}}), CoreError::bad_number);
  EXPECT_EQ(made_of({{"a", 1}, {"b"}}, {edge(0, 1, 1ms)}), CoreError::bad_number);
  EXPECT_EQ(made_of({{"a"}, {"b"}}, std::vector<Edge>(20'001, edge(0, 1, 1ms))), CoreError::too_many_edges);
  EXPECT_EQ(made_of(std::vector<Vertex>(1001), {}), CoreError::too_many_vertices);
}

TEST(CoreGraph, RefusesTiersThatLeaveSomebodyOut) {
  // Nobody provides for s; the two at the top are strangers.
  EXPECT_EQ(made_of({{"top", 1}, {"s", 2}, {"t", 2}}, {edge(0, 1, 1ms), edge(1, 2, 1ms)}),
            CoreError::not_connected);
  EXPECT_EQ(made_of({{"a", 1}, {"b", 1}, {"s", 2}}, {edge(0, 2, 1ms), edge(1, 2, 1ms)}),
            CoreError::not_connected);
  EXPECT_EQ(made_of({{"a", 2}}, {}), CoreError::not_connected);
}

}  // namespace
}  // namespace flaresim::topologies
