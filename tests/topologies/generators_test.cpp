#include "topologies/generators.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/protocols/support/error_of.h"

namespace flaresim::topologies {
namespace {

using namespace std::chrono_literals;

std::vector<int> degrees(const CoreGraph& graph) {
  std::vector<int> degrees(graph.vertices().size(), 0);
  for (const auto& edge : graph.edges()) {
    ++degrees[edge.a];
    ++degrees[edge.b];
  }
  return degrees;
}

/// Some numbers of a graph that change when anything about it does.
std::string print(const CoreGraph& graph) {
  std::int64_t delays = 0;
  std::size_t ends = 0;
  for (const auto& edge : graph.edges()) {
    delays += edge.link.delay.count() % 1'000'003;
    ends = (ends * 31 + edge.a * 7 + edge.b) % 1'000'003;
  }
  return std::to_string(graph.vertices().size()) + " " + std::to_string(graph.edges().size()) + " " +
         std::to_string(delays) + " " + std::to_string(ends);
}

/// Every vertex is reached: asked of the graph's own edges, by flooding.
bool connected(const CoreGraph& graph) {
  std::vector<bool> reached(graph.vertices().size(), false);
  reached[0] = true;
  for (bool more = true; more;) {
    more = false;
    for (const auto& edge : graph.edges()) {
      if (reached[edge.a] == reached[edge.b]) continue;
      reached[edge.a] = reached[edge.b] = more = true;
    }
  }
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

TEST(Generators, GiveTheSameGraphForTheSameSeedOnEveryMachine) {
  // Numbers that were printed once: another compiler or library has to print them too.
  EXPECT_EQ(print(generate(Waxman{}, 1).value()), "50 97 49374511 106232");
  EXPECT_EQ(print(generate(BarabasiAlbert{}, 1).value()), "50 97 47047970 82425");
  EXPECT_EQ(print(generate(Tiered{}, 1).value()), "35 52 19331807 376851");
}

TEST(Generators, GiveOtherGraphsForOtherSeeds) {
  EXPECT_NE(print(generate(Waxman{}, 1).value()), print(generate(Waxman{}, 2).value()));
  EXPECT_NE(print(generate(BarabasiAlbert{}, 1).value()), print(generate(BarabasiAlbert{}, 2).value()));
  EXPECT_NE(print(generate(Tiered{}, 1).value()), print(generate(Tiered{}, 2).value()));
}

TEST(Generators, JoinEverythingHoweverThin) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_TRUE(connected(generate(Waxman{.vertices = 60, .alpha = 0.01, .beta = 0.05}, seed).value()));
    EXPECT_TRUE(connected(generate(BarabasiAlbert{.vertices = 60, .links = 1}, seed).value()));
    EXPECT_TRUE(
        connected(generate(Tiered{.tiers = {1, 5, 50}, .single_homed = 1, .peering = 0}, seed).value()));
  }
}

TEST(Waxman, NearVerticesAreJoinedMoreOftenThanFarOnesAsTheFormulaSays) {
  const Waxman parameters{.vertices = 200, .alpha = 0.6, .beta = 0.2};
  constexpr std::size_t bins = 4;
  std::array<double, bins> pairs{}, edges{}, expected{};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto graph = generate(parameters, seed).value();
    const auto distance = [&](std::size_t a, std::size_t b) {
      return std::hypot(graph.vertices()[a].x - graph.vertices()[b].x,
                        graph.vertices()[a].y - graph.vertices()[b].y);
    };
    const auto bin = [](double length) { return std::min(bins - 1, static_cast<std::size_t>(length * 4)); };
    for (std::size_t a = 0; a < 200; ++a) {
      for (std::size_t b = a + 1; b < 200; ++b) {
        ++pairs[bin(distance(a, b))];
        expected[bin(distance(a, b))] += 0.6 * std::exp(-distance(a, b) / (0.2 * std::sqrt(2.0)));
      }
    }
    for (const auto& edge : graph.edges()) ++edges[bin(distance(edge.a, edge.b))];
  }
  for (std::size_t i = 0; i < bins; ++i) {
    // Within five standard deviations of a sum of independent choices.
    EXPECT_NEAR(edges[i], expected[i], 5 * std::sqrt(expected[i]))
        << "of " << pairs[i] << " pairs in bin " << i;
  }
}

TEST(Waxman, DelaysAreLengths) {
  const auto graph = generate(Waxman{.vertices = 40, .side = 80ms}, 3).value();
  for (const auto& edge : graph.edges()) {
    const auto& a = graph.vertices()[edge.a];
    const auto& b = graph.vertices()[edge.b];
    const auto milliseconds = std::chrono::duration<double, std::milli>(edge.link.delay).count();
    EXPECT_NEAR(milliseconds, 80 * std::hypot(a.x - b.x, a.y - b.y), 0.001);
  }
}

TEST(BarabasiAlbert, EveryNewcomerBringsItsLinksAndFewVerticesHaveMany) {
  const auto graph = generate(BarabasiAlbert{.vertices = 1000, .links = 2}, 1).value();
  EXPECT_EQ(graph.edges().size(), 3u + 997u * 2u);
  auto all = degrees(graph);
  EXPECT_EQ(*std::min_element(all.begin(), all.end()), 2);
  std::sort(all.begin(), all.end());
  EXPECT_LE(all[500], 3);
  // The largest is about m · sqrt(n) = 63; a graph with the same edges thrown evenly would have none above 20.
  EXPECT_GT(all.back(), 35);
  // P(degree ≥ k) = m(m + 1) / (k(k + 1)), of the exact solution (Dorogovtsev, Mendes, Samukhin, PRL 85, 2000).
  for (const int k : {3, 5, 10}) {
    const auto share =
        static_cast<double>(std::count_if(all.begin(), all.end(), [&](int d) { return d >= k; })) / 1000;
    EXPECT_NEAR(share, 6.0 / (k * (k + 1)), 0.05) << "of degree " << k << " and more";
  }
}

TEST(BarabasiAlbert, DelaysAreUniformBetweenTheirBounds) {
  const auto graph =
      generate(BarabasiAlbert{.vertices = 500, .links = 2, .shortest = 4ms, .longest = 6ms}, 1).value();
  io::Duration sum{};
  for (const auto& edge : graph.edges()) {
    EXPECT_GE(edge.link.delay, 4ms);
    EXPECT_LE(edge.link.delay, 6ms);
    sum += edge.link.delay;
  }
  const std::chrono::duration<double, std::milli> total = sum;
  EXPECT_NEAR(total.count() / static_cast<double>(graph.edges().size()), 5, 0.1);
}

TEST(Tiered, EverybodyBelowTheTopHasOneOrTwoProvidersRightAbove) {
  const auto graph = generate(Tiered{.tiers = {4, 10, 60}}, 2).value();
  std::vector<int> providers(74, 0);
  std::map<std::pair<int, int>, int> by_tiers;
  for (const auto& edge : graph.edges()) {
    const auto upper = std::min(graph.vertices()[edge.a].tier, graph.vertices()[edge.b].tier);
    const auto lower = std::max(graph.vertices()[edge.a].tier, graph.vertices()[edge.b].tier);
    ++by_tiers[{upper, lower}];
    if (upper != lower)
      ++providers[graph.vertices()[edge.a].tier > graph.vertices()[edge.b].tier ? edge.a : edge.b];
  }
  EXPECT_EQ((by_tiers[{1, 1}]), 6);
  EXPECT_EQ((by_tiers[{1, 3}]), 0);
  EXPECT_EQ((by_tiers[{3, 3}]), 0);
  EXPECT_LE((by_tiers[{2, 2}]), 9);
  EXPECT_EQ(std::count(providers.begin(), providers.begin() + 4, 0), 4);
  const auto single = std::count(providers.begin() + 4, providers.end(), 1);
  EXPECT_EQ(single + std::count(providers.begin() + 4, providers.end(), 2), 70);
  EXPECT_NEAR(static_cast<double>(single), 0.4 * 70, 5 * std::sqrt(70 * 0.4 * 0.6));
}

TEST(Tiered, LinksGetShorterTowardsTheEdge) {
  const auto graph = generate(Tiered{.tiers = {3, 6, 30}, .longest = 36ms}, 2).value();
  for (const auto& edge : graph.edges()) {
    const auto lower = std::max(graph.vertices()[edge.a].tier, graph.vertices()[edge.b].tier);
    const auto longest = lower == 1 ? 36ms : lower == 2 ? 12ms : 4ms;
    EXPECT_LE(edge.link.delay, longest);
    EXPECT_GE(edge.link.delay, longest / 4);
  }
}

TEST(Generators, GiveEveryLinkTheRateThatIsAskedFor) {
  const CoreLink link{.jitter = 1ms, .bits_per_second = 1'000'000, .queue = 20ms, .loss = 0.25};
  for (const auto& graph : {generate(Waxman{}, 1, link).value(), generate(BarabasiAlbert{}, 1, link).value(),
                            generate(Tiered{}, 1, link).value()}) {
    for (const auto& edge : graph.edges()) {
      EXPECT_EQ(edge.link.bits_per_second, 1'000'000u);
      EXPECT_EQ(edge.link.queue, 20ms);
      EXPECT_EQ(edge.link.loss, 0.25);
      EXPECT_EQ(edge.link.jitter, std::min<io::Duration>(1ms, edge.link.delay));
    }
  }
}

TEST(Generators, RefuseWhatCannotBeMade) {
  EXPECT_EQ(error_of(generate(Waxman{.vertices = 1}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Waxman{.vertices = 1001}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Waxman{.alpha = 0}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Waxman{.beta = 1.5}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Waxman{.vertices = 1000, .alpha = 1, .beta = 1}, 1)),
            CoreError::too_many_edges);
  EXPECT_EQ(error_of(generate(BarabasiAlbert{.links = 0}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(BarabasiAlbert{.vertices = 2, .links = 2}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(BarabasiAlbert{.shortest = 2ms, .longest = 1ms}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Tiered{.tiers = {}}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Tiered{.tiers = {3, 0}}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Tiered{.tiers = {3, 998}}, 1)), CoreError::bad_parameter);
  EXPECT_EQ(error_of(generate(Tiered{.peering = 1.1}, 1)), CoreError::bad_parameter);
}

}  // namespace
}  // namespace flaresim::topologies
