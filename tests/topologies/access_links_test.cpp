#include "topologies/access_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/protocols/support/error_of.h"

namespace flaresim::topologies {
namespace {

using namespace std::chrono_literals;

const std::string header =
    "kind,delay_ms,jitter_ms,up_mbit_per_s,down_mbit_per_s,queue_ms,loss_percent,source\n";

TEST(AccessLinks, TheShippedOnesAreAllThere) {
  std::ifstream file(TOPOLOGY_DATA "/access.csv");
  std::ostringstream text;
  text << file.rdbuf();
  const auto links = read_access_links(text.str()).value();
  std::vector<std::string> kinds;
  for (const auto& link : links) {
    kinds.push_back(link.kind);
    EXPECT_FALSE(link.source.empty());
  }
  EXPECT_THAT(kinds, testing::IsSupersetOf({"fibre", "cable", "dsl", "wifi", "4g", "satellite-leo",
                                            "satellite-geo", "datacenter"}));
}

TEST(AccessLinks, UnitsAreThoseOfTheirColumns) {
  const auto links = read_access_links(header + "x,22.5,5,10,0,150,0.5,somebody; 2012\n").value();
  ASSERT_EQ(links.size(), 1u);
  EXPECT_EQ(links[0].delay, 22500us);
  EXPECT_EQ(links[0].jitter, 5ms);
  EXPECT_EQ(links[0].up_bits_per_second, 10'000'000u);
  EXPECT_EQ(links[0].down_bits_per_second, 0u);
  EXPECT_DOUBLE_EQ(links[0].loss, 0.005);
  EXPECT_EQ(links[0].queue_bytes(links[0].up_bits_per_second), 187'500u);
  EXPECT_EQ(links[0].queue_bytes(0), 0u);
}

TEST(AccessLinks, MistakesHaveTheirNames) {
  const auto error = [](const std::string& text) { return error_of(read_access_links(text)); };
  EXPECT_EQ(error(""), AccessError::bad_header);
  EXPECT_EQ(error("kind,delay\n"), AccessError::bad_header);
  EXPECT_EQ(error(header + "x,1,1\n"), AccessError::cell_count);
  EXPECT_EQ(error(header + "x,one,1,1,1,1,1,s\n"), AccessError::bad_number);
  EXPECT_EQ(error(header + "x,1,1,1,1,1,101,s\n"), AccessError::bad_number);
  EXPECT_EQ(error(header + "x,1,2,1,1,1,1,s\n"), AccessError::jitter_too_wide);
  EXPECT_EQ(error(header + "x,1,1,1,1,1,1,s\nx,1,1,1,1,1,1,s\n"), AccessError::duplicate_kind);
}

}  // namespace
}  // namespace flaresim::topologies
