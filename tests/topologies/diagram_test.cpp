#include "topologies/diagram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flaresim::topologies {
namespace {

using testing::HasSubstr;
using testing::Not;

Diagram small() {
  return {.title = "two <homes> & \"more\"",
          .subtitle = "s",
          .internet = {"Internet"},
          .vertices = {{"v1", 0}, {"v2", 1}},
          .core_links = {{0, 1}},
          .nodes = {{"relay", Diagram::Kind::server, {"far"}, 0},
                    {"cgn", Diagram::Kind::gateway, {"symmetric"}, 0},
                    {"A", Diagram::Kind::host, {}, 1}},
          .links = {{.node = 0},
                    {.node = 1, .vertex = 1, .label = "fibre"},
                    {.node = 2, .to = 1, .label = "dsl", .tunnel = true}}};
}

TEST(Diagram, SvgHasEveryTextAndNoMarkupInIt) {
  const auto svg = to_svg(small());
  for (const auto* text : {">two &lt;homes&gt; &amp; &quot;more&quot;<", ">Internet<", ">v1<", ">relay<",
                           ">far<", ">cgn<", ">symmetric<", ">fibre<", ">A<", ">dsl<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_THAT(svg, Not(HasSubstr("<homes>")));
  EXPECT_EQ(svg, to_svg(small()));
}

TEST(Diagram, DotHasTheTreeWithQuotesEscaped) {
  const auto dot = to_dot(small());
  for (const auto* text :
       {"graph \"two <homes> & \\\"more\\\"\" {", "internet -- \"relay\" [label=\"\"];",
        "\"core/v2\" -- \"cgn\" [label=\"fibre\"];", "\"cgn\" -- \"A\" [label=\"dsl\", style=dashed];",
        "\"core/v1\" -- \"core/v2\";", "\"cgn\" [label=\"cgn\\nsymmetric\"];"}) {
    EXPECT_THAT(dot, HasSubstr(text));
  }
}

}  // namespace
}  // namespace flaresim::topologies
