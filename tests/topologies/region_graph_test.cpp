#include "topologies/region_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/protocols/support/error_of.h"

namespace flaresim::topologies {
namespace {

using namespace std::chrono_literals;

std::string shipped(const char* name) {
  std::ifstream file(std::string(TOPOLOGY_DATA "/") + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The shipped table once more, read by a simpler program: names, then whole milliseconds.
struct Table {
  std::vector<std::string> names;
  std::vector<std::vector<int>> milliseconds;
};
Table plain_table() {
  std::istringstream file(shipped("rtt10_ms.csv"));
  Table table;
  std::string line, cell;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::getline(cells, cell, ',');
    table.names.push_back(cell);
    auto& row = table.milliseconds.emplace_back();
    while (std::getline(cells, cell, ',')) row.push_back(std::stoi(cell));
  }
  return table;
}

TEST(RegionGraph, EveryMeasuredPairHasItsMeasuredRoundTrip) {
  const auto graph = RegionGraph::from_csv(shipped("rtt10_ms.csv")).value();
  const auto table = plain_table();
  ASSERT_EQ(graph.names(), table.names);
  ASSERT_EQ(graph.size(), 10u);
  int shortcuts = 0;
  for (std::size_t a = 0; a < 10; ++a) {
    for (std::size_t b = 0; b < 10; ++b) {
      EXPECT_TRUE(graph.measured(a, b));
      EXPECT_EQ(graph.round_trip(a, b), std::chrono::milliseconds(table.milliseconds[a][b]));
      EXPECT_EQ(graph.one_way()[a][b], std::chrono::microseconds(500 * table.milliseconds[a][b]));
      bool shorter = false;
      for (std::size_t via = 0; via < 10; ++via) {
        if (via == a || via == b || a >= b) continue;
        shorter |= table.milliseconds[a][via] + table.milliseconds[via][b] < table.milliseconds[a][b];
      }
      shortcuts += shorter;
    }
  }
  EXPECT_EQ(shortcuts, 5);  // so that routing measured pairs would show
}

TEST(RegionGraph, AnUnmeasuredPairHasTheShortestPathOverMeasuredOnes) {
  const auto graph = RegionGraph::from_csv(
                         "region,a,b,c,d\n"
                         "a,1,10,50,\n"
                         "b,10,1,20.5,\n"
                         "c,50,20.5,1,7\n"
                         "d,,,7,\n")
                         .value();
  EXPECT_EQ(graph.round_trip(0, 2), 50ms);  // measured: no detour over b
  EXPECT_FALSE(graph.measured(0, 3));
  EXPECT_EQ(graph.round_trip(0, 3), 37500us);  // a-b-c-d
  EXPECT_EQ(graph.round_trip(3, 0), 37500us);
  EXPECT_EQ(graph.round_trip(1, 3), 27500us);
  EXPECT_EQ(graph.round_trip(3, 3), 0ms);
}

TEST(RegionGraph, OneOfTheTwoCellsIsEnough) {
  const auto graph = RegionGraph::from_csv("region,a,b\na,1,\n# a comment\n\nb,12,1\r\n").value();
  EXPECT_TRUE(graph.measured(0, 1));
  EXPECT_EQ(graph.round_trip(0, 1), 12ms);
  EXPECT_EQ(graph.find("b"), 1u);
  EXPECT_EQ(graph.find("z"), std::nullopt);
}

TEST(RegionGraph, MistakesHaveTheirNames) {
  const auto error = [](const char* text) { return error_of(RegionGraph::from_csv(text)); };
  EXPECT_EQ(error(""), GraphError::empty);
  EXPECT_EQ(error("region\n"), GraphError::empty);
  EXPECT_EQ(error("region,a,a\na,1,1\n"), GraphError::duplicate_region);
  EXPECT_EQ(error("region,a\na,1\na,1\n"), GraphError::duplicate_region);
  EXPECT_EQ(error("region,a,b\na,1\nb,1,1\n"), GraphError::cell_count);
  EXPECT_EQ(error("region,a,b\na,1,2,3\nb,2,1\n"), GraphError::cell_count);
  EXPECT_EQ(error("region,a\nb,1\n"), GraphError::unknown_region);
  EXPECT_EQ(error("region,a,b\na,1,2\n"), GraphError::missing_row);
  EXPECT_EQ(error("region,a,b\na,1,2\nb,3,1\n"), GraphError::not_symmetric);
  EXPECT_EQ(error("region,a,b\na,1,\nb,,1\n"), GraphError::not_connected);
  for (const char* cell : {"x", "-1", "1ms", "nan", "inf", "1e9", "0x10"}) {
    EXPECT_EQ(error((std::string("region,a\na,") + cell + "\n").c_str()), GraphError::bad_number) << cell;
  }
  std::string many = "region";
  for (int i = 0; i < 1001; ++i) many += ",r" + std::to_string(i);
  EXPECT_EQ(error(many.c_str()), GraphError::too_many_regions);
}

}  // namespace
}  // namespace flaresim::topologies
