#include "topologies/graph_file.h"

#include <gtest/gtest.h>

namespace flaresim::topologies {
namespace {

using namespace std::chrono_literals;

std::string graphml(const std::string& body, const std::string& direction = "undirected") {
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="n" for="node" attr.name="label" attr.type="string"/>
  <key id="d" for="edge" attr.name="delay_ms" attr.type="double"/>
  <key id="r" for="edge" attr.name="rate_mbit_per_s" attr.type="double"/>
  <key id="o" for="edge" attr.name="owner" attr.type="string"/>
  <graph id="G" edgedefault=")" +
         direction + "\">" + body + "</graph></graphml>\n";
}
const std::string two_nodes = R"(<node id="0"><data key="n">Bern</data></node><node id="1"/>)";

/// None for a success, which has no error() to ask for.
std::error_code code_of(const tl::expected<CoreGraph, GraphFileError>& graph) {
  return graph ? std::error_code() : graph.error().code;
}
std::error_code of_graphml(const std::string& text) { return code_of(read_graphml(text)); }
std::error_code of_dot(const std::string& text) { return code_of(read_dot(text)); }

TEST(GraphFile, GraphmlGivesNamesDelaysAndRates) {
  const auto graph = read_graphml(graphml(
      two_nodes +
      R"(<edge source="0" target="1"><data key="d">2.5</data><data key="r">100</data><data key="o">SBB</data></edge>)"));
  ASSERT_TRUE(graph) << graph.error().code.message() << graph.error().detail;
  EXPECT_EQ(graph->vertices(), (std::vector<CoreGraph::Vertex>{{"Bern"}, {"v2"}}));
  EXPECT_EQ(graph->edges(),
            (std::vector<CoreGraph::Edge>{{0, 1, {.delay = 2500us, .bits_per_second = 100'000'000}}}));
}

TEST(GraphFile, DotGivesAllFiveNumbers) {
  const auto graph = read_dot(R"(graph "a {b}" { // a { comment
    Bern -- "New York" [delay_ms=40.125, jitter_ms=2, rate_mbit_per_s=10, queue_ms=50, loss_percent=0.5, color=red];
    Bern -- c -- "New York" [delay_ms=1] /* another { */
  })");
  ASSERT_TRUE(graph) << graph.error().code.message() << graph.error().detail;
  ASSERT_EQ(graph->vertices().size(), 3u);
  const auto bern = graph->find("Bern").value(), york = graph->find("New York").value(),
             c = graph->find("c").value();
  const CoreLink long_one{
      .delay = 40'125us, .jitter = 2ms, .bits_per_second = 10'000'000, .queue = 50ms, .loss = 0.005};
  EXPECT_EQ(graph->edges(),
            (std::vector<CoreGraph::Edge>{
                {bern, york, long_one}, {bern, c, {.delay = 1ms}}, {c, york, {.delay = 1ms}}}));
}

TEST(GraphFile, TheFormatIsThatOfTheName) {
  EXPECT_TRUE(read_graph("x.dot", "graph { a -- b [delay_ms=1] }"));
  EXPECT_TRUE(read_graph("x.gv", "graph { a -- b [delay_ms=1] }"));
  EXPECT_EQ(code_of(read_graph("x.graphml", "graph { a -- b [delay_ms=1] }")), CoreError::syntax);
  EXPECT_EQ(code_of(read_graph("x.json", "")), CoreError::unknown_format);
}

TEST(GraphFile, BadGraphmlIsRefusedByItsCause) {
  const std::string edge = R"(<edge source="0" target="1"><data key="d">1</data></edge>)";
  EXPECT_EQ(of_graphml(graphml(two_nodes + edge)), std::error_code());
  EXPECT_EQ(of_graphml(""), CoreError::syntax);
  EXPECT_EQ(of_graphml("<graphml><graph>"), CoreError::syntax);
  EXPECT_EQ(of_graphml(graphml("")), CoreError::empty);
  EXPECT_EQ(of_graphml(graphml(two_nodes + edge, "directed")), CoreError::directed);
  EXPECT_EQ(of_graphml(graphml(two_nodes)), CoreError::not_connected);
  EXPECT_EQ(of_graphml(graphml(two_nodes + R"(<edge source="0" target="1"/>)")), CoreError::missing_delay);
  EXPECT_EQ(of_graphml(graphml(two_nodes + R"(<edge source="0" target="0"><data key="d">1</data></edge>)")),
            CoreError::self_loop);
  EXPECT_EQ(of_graphml(graphml(two_nodes + edge + R"(<node id="2"><data key="n">Bern</data></node>)")),
            CoreError::duplicate_name);
}

TEST(GraphFile, BadDotIsRefusedByItsCause) {
  EXPECT_EQ(of_dot(""), CoreError::syntax);
  EXPECT_EQ(of_dot("graph {"), CoreError::syntax);
  EXPECT_EQ(of_dot("graph { a -- }"), CoreError::syntax);
  EXPECT_EQ(of_dot("graph { \"a -- b }"), CoreError::syntax);
  EXPECT_EQ(of_dot("digraph { a -> b [delay_ms=1] }"), CoreError::directed);
  EXPECT_EQ(of_dot("graph { { a b } -- c [delay_ms=1] }"), CoreError::subgraph);
  EXPECT_EQ(of_dot("graph { a -- b }"), CoreError::missing_delay);
  EXPECT_EQ(of_dot("graph { a -- a [delay_ms=1] }"), CoreError::self_loop);
  EXPECT_EQ(of_dot("graph { }"), CoreError::empty);
}

TEST(GraphFile, NumbersAreCheckedAndTheEdgeIsNamed) {
  for (const std::string bad :
       {"delay_ms=x", "delay_ms=\"1 ms\"", "delay_ms=-1", "delay_ms=nan", "delay_ms=60001", "delay_ms=0",
        "delay_ms=1, jitter_ms=2", "delay_ms=1, loss_percent=101", "delay_ms=1, rate_mbit_per_s=1000001",
        "delay_ms=1, queue_ms=-1"}) {
    const auto graph = read_dot("graph { a -- b [" + bad + "] }");
    ASSERT_FALSE(graph) << bad;
    EXPECT_EQ(graph.error().code, CoreError::bad_number) << bad;
    EXPECT_TRUE(graph.error().detail.starts_with("a -- b: ")) << graph.error().detail;
  }
}

TEST(GraphFile, SizesAreBounded) {
  EXPECT_EQ(of_dot(std::string(max_graph_file_bytes + 1, ' ')), CoreError::file_too_large);
  EXPECT_EQ(of_graphml(std::string(max_graph_file_bytes + 1, ' ')), CoreError::file_too_large);
  std::string many = "graph { n0", nodes;
  for (int i = 1; i <= 1000; ++i) many += " -- n" + std::to_string(i);
  EXPECT_EQ(of_dot(many + " [delay_ms=1] }"), CoreError::too_many_vertices);
  for (int i = 0; i <= 1000; ++i) nodes += "<node id=\"" + std::to_string(i) + "\"/>";
  EXPECT_EQ(of_graphml(graphml(nodes)), CoreError::too_many_vertices);
  std::string edges = two_nodes;
  for (int i = 0; i <= 20'000; ++i) edges += R"(<edge source="0" target="1"/>)";
  EXPECT_EQ(of_graphml(graphml(edges)), CoreError::too_many_edges);
}

TEST(GraphFile, DepthIsBoundedBeforeAnythingRecurses) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_EQ(of_graphml(deep), CoreError::nested_too_deeply);
  EXPECT_EQ(of_dot("graph " + std::string(200'000, '{')), CoreError::subgraph);
}

TEST(GraphFile, WhatIsCutOffAnywhereIsRefusedAndDoesNoHarm) {
  const auto xml = graphml(two_nodes + R"(<edge source="0" target="1"><data key="d">1</data></edge>)");
  for (std::size_t end = 0; end + 2 < xml.size(); ++end)
    EXPECT_NE(of_graphml(xml.substr(0, end)), std::error_code());
  const std::string dot = "graph \"g\" { \"a b\" -- c [delay_ms=1] /* x */ ; c -- d [delay_ms=2] }";
  for (std::size_t end = 0; end < dot.size(); ++end) EXPECT_NE(of_dot(dot.substr(0, end)), std::error_code());
}

}  // namespace
}  // namespace flaresim::topologies
