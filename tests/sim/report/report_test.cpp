#include "sim/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/report/format.h"

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
  for (const auto& trial : trials) summarizer.add(study::Row{0, trial});
  return summarizer.finish();
}

world::Trial failed(const std::string& nat) {
  world::Trial trial;
  trial.outcome = world::Outcome::failed;
  trial.cause = world::Cause::refused;
  trial.a.nat = nat;
  return trial;
}

world::Trial punched(const std::string& transport) {
  world::Trial trial;
  trial.outcome = world::Outcome::success;
  trial.transport = transport;
  return trial;
}

/// A network of which `worlds` worlds were run: node 2 of every world takes itself for public, falsely.
study::Summary networks(std::uint64_t worlds) {
  study::Plan plan;
  plan.base.name = "net";
  plan.base.network.emplace();
  plan.base.trials = worlds;
  plan.base.expect = {{"true_closest_rate", 0.99, {}}};
  plan.cells = {{.at = {}, .scenario = plan.base}};
  study::Summarizer summarizer(plan);
  for (std::uint64_t number = 0; number < worlds; ++number) {
    auto trial = punched("tcp");
    trial.world = number;
    summarizer.add(study::Row{0, trial});
    world::NetworkReport report;
    report.nodes = 30 + 10 * number;
    report.lookups.took_s.median = 0.5 + static_cast<double>(number);
    report.probes = {.count = 100, .right = 99, .took_s = {}, .hops = {}};
    report.verdicts = {{"", true, 1, 1, 0, 0, {}}, {"symmetric", false, 4, 1, 3, 0, {}}};
    report.relays.refused[201] = 7;
    report.relays.private_nodes = 3;
    report.relays.without_reservation = 1;
    report.funnel = {.attempts = 8, .found = 4, .connected = 2};
    summarizer.add(study::World{0, number, "", report});
  }
  return summarizer.finish();
}

TEST(Networks, SayWhatTheirIntervalsAssume) {
  EXPECT_THAT(text(networks(1)), HasSubstr("within the one world only"));
  EXPECT_THAT(text(networks(3)), HasSubstr("clustered by world (3 worlds"));
  EXPECT_THAT(markdown(networks(3)), HasSubstr("clustered by world (3 worlds"));
  EXPECT_THAT(junit(networks(3)), HasSubstr("clustered by world (3 worlds"));
  EXPECT_THAT(json(networks(3)), HasSubstr("\"interval\": \"clustered\",\n    \"worlds\": 3"));
}

TEST(Networks, NameFalseVerdictsByNat) {
  EXPECT_THAT(text(networks(2)),
              testing::ContainsRegex("symmetric +private +8 +2 +6 +0 +2 false public \\(25.0 %\\)"));
}

TEST(Networks, ShowMeanAndSpanOfSeveralWorlds) {
  EXPECT_THAT(text(networks(1)), testing::ContainsRegex("lookup, median +0.500 s\n"));
  EXPECT_THAT(text(networks(2)), testing::ContainsRegex("lookup, median +1.000 s +0.500 s +1.500 s\n"));
  EXPECT_THAT(text(networks(2)), testing::ContainsRegex("refused with RESOURCE_LIMIT_EXCEEDED +7 +7 +7\n"));
}

TEST(Networks, ShowHowFarAttemptsCame) {
  EXPECT_THAT(text(networks(2)), testing::ContainsRegex("B's addresses found +8 +50.0 %\n"));
}

TEST(Networks, MayBeHeldAgainstRatesOfTheirOwn) {
  const auto shown = text(networks(2));
  EXPECT_THAT(shown, HasSubstr("met: true_closest_rate 99.0 %"));
  EXPECT_THAT(shown, testing::ContainsRegex(
                         "true_verdict_rate  nodes that know whether they can be dialled +80.0 %"));
  EXPECT_THAT(shown,
              testing::ContainsRegex(
                  "reserved_rate +nodes that think themselves private and hold a reservation +66.7 %"));
}

TEST(Networks, HaveARowAWorldInCsv) {
  study::Plan plan;
  plan.cells = {{.at = {}, .scenario = {}}};
  const auto header = csv_header(fields(plan, study::World()));
  EXPECT_THAT(header, testing::StartsWith("world,error,nodes,public_nodes,"));
  EXPECT_THAT(header, HasSubstr(",lookup_took_s_median,"));
  EXPECT_THAT(csv_row(fields(plan, study::World{0, 3, "gone", {}})), testing::StartsWith("3,gone,,,"));
}

TEST(Phases, ShowHowManyEndedAndHowLongTheyTook) {
  auto plan = plan_with("seed", "1");
  plan.axes.clear();
  plan.cells[0].at.clear();
  auto one = failed("linux");
  one.phases[0] = 15s;
  auto two = one;
  two.phases[0] = 31s;
  two.phases[1] = 250ms;
  const auto summary = summary_of(plan, {one, two, failed("linux"), failed("linux")});
  EXPECT_THAT(text(summary), testing::ContainsRegex("1.1 dialability +2 +50.0 % +15.000 s +31.000 s\n"));
  EXPECT_THAT(markdown(summary), HasSubstr("| 1.2 relays found | 1 | 25.0 % | 0.250 s | 0.250 s |"));
  EXPECT_THAT(json(summary), HasSubstr("\"p90_ms\": 31000.0"));
  EXPECT_THAT(text(summary_of(plan, {failed("linux")})), Not(HasSubstr("phase")));
}

TEST(Csv, NamesAsManyColumnsAsARowHas) {
  const auto plan = plan_with("seed", "1");
  const auto columns = [](const std::string& line) { return std::ranges::count(line, ','); };
  EXPECT_EQ(columns(csv_header(fields(plan, study::Row()))), columns(csv_row(fields(plan, study::Row()))));
  EXPECT_THAT(csv_header(fields(plan, study::Row())),
              testing::StartsWith("seed,trial,world,outcome,cause,error,nat_a,"));
}

TEST(Csv, QuotesWhatWouldEndACell) {
  const auto plan = plan_with("peers.a.nat", "EIM/APDF,udp_timeout=30s");
  auto trial = failed("linux");
  trial.error = "a \"b\"\nc";
  EXPECT_THAT(
      csv_row(fields(plan, study::Row{0, trial})),
      testing::StartsWith("\"EIM/APDF,udp_timeout=30s\",0,0,FAILED,refused,\"a \"\"b\"\"\nc\",linux,"));
}

TEST(Csv, KeepsEveryNanosecond) {
  auto trial = failed("linux");
  trial.direct_after = 86'399'999'999'999ns;
  EXPECT_THAT(csv_row(fields(plan_with("seed", "1"), study::Row{0, trial})), HasSubstr(",86399999.999999,"));
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
  EXPECT_THAT(
      text(summary_of(plan_with("seed", "1"), {failed("linux")})),
      HasSubstr("seed  trials  punched  punch_rate         95 %  direct_rate         95 %  won by\n"
                "1          1   0 of 1       0.0 %  [0.0, 79.3]        0.0 %  [0.0, 79.3]       -\n"));
}

TEST(Text, SharesOutThePunchesAmongTheTransportsThatWonThem) {
  auto plan = plan_with("seed", "1");
  plan.axes.clear();
  plan.cells[0].at.clear();
  auto reversed = punched("tcp");
  reversed.outcome = world::Outcome::connection_reversed;
  const auto summary = summary_of(
      plan, {punched("tcp"), punched("quic"), punched("quic"), punched("quic"), reversed, failed("x")});
  EXPECT_THAT(text(summary), HasSubstr("\nwon by       quic 75.0 %, tcp 25.0 %\n"));
  EXPECT_THAT(markdown(summary), HasSubstr("\nWon by quic 75.0 %, tcp 25.0 %.\n"));
  EXPECT_THAT(json(summary), HasSubstr("\"transports\": {\n    \"quic\": 3,\n    \"tcp\": 1\n  }"));
  EXPECT_THAT(text(summary_of(plan, {failed("x")})), Not(HasSubstr("won by")));
}

TEST(Text, ShowsTheLargestGroupsAndSaysHowManyMoreThereAre) {
  auto plan = plan_with("seed", "1");
  plan.axes.clear();
  plan.cells[0].at.clear();
  std::vector<world::Trial> trials;
  for (int nat = 10; nat < 30; ++nat) {
    for (int i = 0; i < nat; ++i) trials.push_back(failed("nat" + std::to_string(nat)));
  }
  const auto summary = summary_of(plan, trials);
  const auto shown = text(summary);
  EXPECT_THAT(shown, HasSubstr("and 5 more pairs of NATs, in the run's summary.json\n"));
  EXPECT_LT(shown.find("nat29"), shown.find("nat28"));
  EXPECT_THAT(shown, HasSubstr("nat15"));
  EXPECT_THAT(shown, Not(HasSubstr("nat14")));
  EXPECT_THAT(json(summary), HasSubstr("nat10"));
}

TEST(Text, SaysWhatTheCommandLineChanged) {
  auto plan = plan_with("seed", "1");
  plan.replaced = {{"transports", "--set"}};
  plan.not_applicable = {{"punch_rate", 0.89, 0.95, {{"transports", "[quic]"}, {"ip", "4"}}}};
  const auto summary = summary_of(plan, {failed("x")});
  const std::vector<std::string> expected{
      "--set replaces the scenario's own sweep of transports",
      "not applicable: punch_rate at least 0.89 and at most 0.95 when transports=[quic], ip=4"};
  for (const auto& note : expected) {
    EXPECT_THAT(text(summary), HasSubstr("note: " + note + "\n"));
    EXPECT_THAT(json(summary), HasSubstr("\"" + note + "\""));
  }
}

TEST(ShortNat, MarksTcpUnfriendlyOnesOfAPopulation) {
  const auto marked = [](const std::string& nat) {
    return short_nat(nat + ",tcp_mapping=APDM,tcp_ports=random");
  };
  EXPECT_EQ(marked("EIM/APDF/preserve"), "EIM/APDF+tcp-unfriendly");
  EXPECT_EQ(marked("EIM/EIF/sequential"), "EIM/EIF/sequential+tcp-unfriendly");
  EXPECT_EQ(marked("EIM/APDF,udp_timeout=30s"), "EIM/APDF/preserve,udp_timeout=30s+tcp-unfriendly");
  for (const auto* nat : {"EIM/APDF", "linux", "?", "EIM/APDF,tcp_mapping=APDM"})
    EXPECT_EQ(short_nat(nat), nat);
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
