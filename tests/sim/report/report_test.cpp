#include "sim/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace flaresim::report {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

study::Plan plan_with(const std::string& key, const std::string& value) {
  study::Plan plan;
  plan.base.name = "test";
  plan.axes = {key};
  plan.cells = {{.at = {{key, value}}, .scenario = plan.base}};
  return plan;
}

study::Summary summary_of(const study::Plan& plan, const std::vector<world::Trial>& trials) {
  study::Summarizer summarizer(plan);
  for (const auto& trial : trials) summarizer.add({0, trial});
  return summarizer.finish();
}

world::Trial failed(const std::string& nat) {
  world::Trial trial;
  trial.outcome = world::Outcome::failed;
  trial.cause = world::Cause::refused;
  trial.a.nat = nat;
  return trial;
}

TEST(Csv, NamesAsManyColumnsAsARowHas) {
  const auto plan = plan_with("seed", "1");
  const auto columns = [](const std::string& line) { return std::ranges::count(line, ','); };
  EXPECT_EQ(columns(csv_header(plan)), columns(csv_row(plan, {})));
  EXPECT_THAT(csv_header(plan), testing::StartsWith("seed,trial,outcome,cause,error,nat_a,"));
}

TEST(Csv, QuotesWhatWouldEndACell) {
  const auto plan = plan_with("peers.a.nat", "EIM/APDF,udp_timeout=30s");
  auto trial = failed("linux");
  trial.error = "a \"b\"\nc";
  EXPECT_THAT(csv_row(plan, {0, trial}),
              testing::StartsWith("\"EIM/APDF,udp_timeout=30s\",0,FAILED,refused,\"a \"\"b\"\"\nc\",linux,"));
}

TEST(Csv, KeepsEveryNanosecond) {
  auto trial = failed("linux");
  trial.direct_after = 86'399'999'999'999ns;
  EXPECT_THAT(csv_row(plan_with("seed", "1"), {0, trial}), HasSubstr(",86399999.999999,"));
}

TEST(Json, SurvivesATextThatIsNotUtf8) {
  const auto plan = plan_with("description", "\xff");
  EXPECT_THAT(json(summary_of(plan, {failed("\xfe")})), HasSubstr("\xEF\xBF\xBD"));
}

TEST(Json, TellsTheGroupsOfNatsApart) {
  const auto document = json(summary_of(plan_with("seed", "1"), {failed("b"), failed("a"), failed("b")}));
  const auto first = document.find("\"nat_a\": \"a\"");
  const auto second = document.find("\"nat_a\": \"b\"");
  ASSERT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
}

TEST(Junit, EscapesWhatIsMarkupAndDropsControlCharacters) {
  const auto text = junit(summary_of(plan_with("description", "<&\"\x01>"), {failed("linux")}));
  EXPECT_THAT(text, HasSubstr("description=&lt;&amp;&quot;?&gt;"));
  EXPECT_THAT(text, Not(HasSubstr("\x01")));
}

TEST(Markdown, EscapesWhatWouldEndACell) {
  EXPECT_THAT(markdown(summary_of(plan_with("description", "a|b"), {failed("linux")})),
              HasSubstr("| a\\|b |"));
}

TEST(Text, LinesUpCellsUnderTheirHeading) {
  EXPECT_THAT(text(summary_of(plan_with("seed", "1"), {failed("linux")})),
              HasSubstr("seed  trials  punched  punch_rate         95 %  direct_rate         95 %\n"
                        "1          1   0 of 1       0.0 %  [0.0, 79.3]        0.0 %  [0.0, 79.3]\n"));
}

TEST(Story, HasASentenceForEveryCause) {
  std::vector<std::string> stories;
  for (const auto cause : world::all_causes) {
    auto trial = failed("linux");
    trial.cause = cause;
    stories.push_back(story({}, trial));
    EXPECT_THAT(stories.back(), Not(HasSubstr("?")));
  }
  std::ranges::sort(stories);
  EXPECT_EQ(std::ranges::adjacent_find(stories), stories.end());
}

TEST(Words, AreReadBackAsWhatTheySay) {
  for (const auto outcome : world::all_outcomes) EXPECT_EQ(world::outcome_of(to_string(outcome)), outcome);
  for (const auto cause : world::all_causes) EXPECT_EQ(world::cause_of(to_string(cause)), cause);
  EXPECT_FALSE(world::outcome_of("success"));
}

}  // namespace
}  // namespace flaresim::report
