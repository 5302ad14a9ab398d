#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/study/plan.h"
#include "sim/study/store.h"
#include "sim/world/topology.h"
#include "sim/world/world_data.h"
#include "tests/sim/world/temporary_file.h"

namespace flaresim::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using world::Assignment;
using world::Transport;

/// Lines 1 and 2 of every scenario here.
const std::string head = "name: t\npeers: {a: {nat: linux}, b: {nat: open}}\n";
const std::string three = head + "sweep: {transports: [[tcp], [quic], [tcp, quic]]}\n";

tl::expected<Plan, world::ScenarioError> plan_of(const std::string& text,
                                                 const std::vector<Assignment>& set = {},
                                                 const std::vector<Axis>& axes = {}) {
  const test::TemporaryFile file(text);
  return make_plan(file.path(), set, axes, world::data_directory());
}

/// `line:column: message` of what is wrong, or `fine`.
std::string complaint(const std::string& text, const std::vector<Assignment>& set = {},
                      const std::vector<Axis>& axes = {}) {
  const auto plan = plan_of(text, set, axes);
  if (plan) return "fine";
  const auto& error = plan.error();
  if (error.line == 0) return to_string(error);
  return std::to_string(error.line) + ":" + std::to_string(error.column) + ": " + error.message;
}

std::vector<std::vector<Transport>> transports(const Plan& plan) {
  std::vector<std::vector<Transport>> result;
  for (const auto& cell : plan.cells) result.push_back(cell.scenario.transports);
  return result;
}

/// The lower bounds that each cell is held against.
std::vector<std::vector<double>> bounds(const Plan& plan) {
  std::vector<std::vector<double>> result;
  for (const auto& cell : plan.cells) {
    result.emplace_back();
    for (const auto& expectation : cell.scenario.expect) result.back().push_back(*expectation.at_least);
  }
  return result;
}

std::string expecting(const std::string& when, const std::string& at_least) {
  return "- {when: {" + when + "}, punch_rate: {at_least: " + at_least + "}}\n";
}

TEST(OwnSweep, MakesTheCellsThatTheCommandLineWould) {
  const auto own = plan_of(three).value();
  const auto given = plan_of(head, {}, {{"transports", {"[tcp]", "[quic]", "[tcp, quic]"}}}).value();
  EXPECT_THAT(transports(own), ElementsAre(ElementsAre(Transport::tcp), ElementsAre(Transport::quic),
                                           ElementsAre(Transport::tcp, Transport::quic)));
  EXPECT_EQ(own.axes, given.axes);
  EXPECT_EQ(fingerprint(own), fingerprint(given));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(own.cells[i].at[0].value, given.cells[i].at[0].value);
    EXPECT_EQ(own.cells[i].scenario, given.cells[i].scenario);
  }
  EXPECT_THAT(own.replaced, IsEmpty());
}

TEST(OwnSweep, ComesBeforeTheAxesOfTheCommandLine) {
  const auto plan = plan_of(three, {}, {{"seed", {"1", "2"}}}).value();
  EXPECT_THAT(plan.axes, ElementsAre("transports", "seed"));
  EXPECT_EQ(plan.cells.size(), 6U);
  EXPECT_EQ(plan.cells[1].scenario.seed, 2U);
  EXPECT_THAT(plan.replaced, IsEmpty());
}

TEST(OwnSweep, IsReplacedByAnAxisOfTheSameKey) {
  const auto plan =
      plan_of(head + "sweep: {transports: [[tcp], [quic]], seed: [1, 2]}\n", {}, {{"transports", {"quic"}}})
          .value();
  EXPECT_THAT(plan.axes, ElementsAre("transports", "seed"));
  EXPECT_THAT(transports(plan), ElementsAre(ElementsAre(Transport::quic), ElementsAre(Transport::quic)));
  ASSERT_EQ(plan.replaced.size(), 1U);
  EXPECT_EQ(plan.replaced[0].key, "transports");
  EXPECT_EQ(plan.replaced[0].option, "--sweep");
}

TEST(OwnSweep, IsReplacedByAnAssignmentToTheSameKey) {
  const auto plan = plan_of(three, {{"transports", "[tcp, quic]"}}).value();
  EXPECT_THAT(plan.axes, IsEmpty());
  EXPECT_THAT(transports(plan), ElementsAre(ElementsAre(Transport::tcp, Transport::quic)));
  ASSERT_EQ(plan.replaced.size(), 1U);
  EXPECT_EQ(plan.replaced[0].option, "--set");
}

TEST(OwnSweep, CanBeTakenAway) {
  EXPECT_THAT(transports(plan_of(three, {{"sweep", "{}"}}).value()),
              ElementsAre(ElementsAre(Transport::tcp)));
}

TEST(OwnSweep, StaysInTheResolvedScenarioWithWhatTheCommandLineAdded) {
  const auto plan = plan_of(three + "expect:\n" + expecting("transports: [quic]", "0.1") +
                                expecting("transports: [tcp]", "0.2"),
                            {}, {{"transports", {"[tcp]"}}, {"seed", {"1", "2"}}})
                        .value();
  const auto again = plan_of(to_yaml(plan.base)).value();
  EXPECT_EQ(fingerprint(again), fingerprint(plan));
  EXPECT_EQ(again.axes, plan.axes);
  EXPECT_THAT(bounds(again), ElementsAre(ElementsAre(0.2), ElementsAre(0.2)));
}

TEST(OwnSweep, ErrorsNameThePlaceOfTheValue) {
  EXPECT_EQ(complaint(head + "sweep: {transports: [[tcp], [quic, tcq]]}"),
            "3:36: there is no transport 'tcq'; did you mean 'tcp'?");
  EXPECT_THAT(complaint(head + "sweep: {peers.a.nat: [linux, EIM/XPDF]}"), StartsWith("3:34: "));
  EXPECT_THAT(complaint(head + "sweep: {seed: [1], peers.a.nat: [linux, 'EIM/XPDF']}"), StartsWith("3:46: "));
  EXPECT_EQ(complaint(head + "sweep: {seed: [1], trails: [1]}"),
            "3:20: unknown key 'trails'; did you mean 'trials'?");
  EXPECT_THAT(complaint(head + "sweep: {peers.a.natt: [open]}"),
              StartsWith("3:9: unknown key 'natt' in peers.a"));
  EXPECT_THAT(
      complaint(head, {{"sweep", "{transports: [[tcp], [tcq]]}"}}),
      StartsWith("--set sweep={transports: [[tcp], [tcq]]}: character 23: there is no transport 'tcq'"));
}

TEST(OwnSweep, IsBounded) {
  std::string values = "1";
  for (int i = 2; i <= 400; ++i) values += ", " + std::to_string(i);
  EXPECT_EQ(complaint(head + "sweep: {trials: [" + values + "], seed: [" + values + "]}"),
            "sweep seed: the sweep has more than 100000 cells");
}

TEST(OwnSweep, DoesNotSweepWhatIsExpected) {
  EXPECT_THAT(complaint(head, {}, {{"expect", {"{}"}}}), HasSubstr("--sweep expect: has no part in a trial"));
  EXPECT_THAT(complaint(head, {}, {{"sweep", {"{}"}}}), HasSubstr("--sweep sweep: has no part in a trial"));
}

TEST(Expectations, HoldForTheCellsThatTheyName) {
  const auto plan = plan_of(three + "expect:\n" + expecting("transports: [tcp]", "0.1") +
                            expecting("transports: [quic, tcp]", "0.2") + "- punch_rate: {at_least: 0.3}\n" +
                            expecting("transports: quic", "0.4"))
                        .value();
  EXPECT_THAT(bounds(plan), ElementsAre(ElementsAre(0.1, 0.3), ElementsAre(0.3, 0.4), ElementsAre(0.2, 0.3)));
  EXPECT_THAT(plan.not_applicable, IsEmpty());
}

TEST(Expectations, CompareWhatValuesMean) {
  const auto plan =
      plan_of(head + "sweep: {relays.asymmetry: [40 ms, 1 s], unreachable_pairs: [0.5, 0.1]}\nexpect:\n" +
              expecting("relays.asymmetry: 0.04 s, unreachable_pairs: 5e-1", "0.1"))
          .value();
  EXPECT_THAT(bounds(plan), ElementsAre(ElementsAre(0.1), IsEmpty(), IsEmpty(), IsEmpty()));
}

TEST(Expectations, SeeThroughAxesOfTheSameThing) {
  const auto plan =
      plan_of(head +
              "sweep: {peers.a: [{nat: open}, {nat: linux, access: cable}], peers.a.nat: [open, linux]}\n"
              "expect:\n" +
              expecting("peers.a: {nat: linux, access: cable}", "0.1") +
              expecting("peers.a.nat: open", "0.2"))
          .value();
  EXPECT_THAT(bounds(plan), ElementsAre(ElementsAre(0.2), IsEmpty(), ElementsAre(0.2), ElementsAre(0.1)));
}

TEST(Expectations, MayNameAKeyThatIsSetAndNotSwept) {
  const auto text = head + "expect:\n" + expecting("peers.a.nat: linux", "0.1");
  EXPECT_THAT(bounds(plan_of(text).value()), ElementsAre(ElementsAre(0.1)));
}

TEST(Expectations, ThatHoldNowhereAreErrors) {
  EXPECT_EQ(complaint(head + "expect:\n" + expecting("transports: [tcp]", "0.1")),
            "4:11: 'transports' is neither swept nor set in the scenario");
  EXPECT_EQ(complaint(three + "expect:\n" + expecting("transprots: [tcp]", "0.1")),
            "5:11: 'transprots' is neither swept nor set in the scenario");
  EXPECT_EQ(complaint(head + "sweep: {transports: [[tcp], [quic]]}\nexpect:\n" +
                      expecting("transports: [tcp]", "0.1") + expecting("transports: [tcp, quic]", "0.1")),
            "6:11: no cell meets these conditions");
  EXPECT_EQ(complaint(three + "expect:\n" + expecting("transports: [tcq]", "0.1")),
            "5:24: there is no transport 'tcq'; did you mean 'tcp'?");
  // What the command line says about other keys is no excuse.
  EXPECT_EQ(
      complaint(head + "sweep: {transports: [[tcp]]}\nexpect:\n" + expecting("transports: [quic]", "0.1"),
                {{"seed", "3"}}, {{"trials", {"1", "2"}}}),
      "5:11: no cell meets these conditions");
}

TEST(Expectations, DoNotApplyWhenTheCommandLineLeftTheirCellsOut) {
  const auto text = three + "expect:\n" + expecting("transports: [tcp]", "0.1") +
                    expecting("transports: [quic]", "0.2") + "- punch_rate: {at_least: 0.3}\n";
  for (const auto& plan :
       {plan_of(text, {{"transports", "quic"}}), plan_of(text, {}, {{"transports", {"quic"}}})}) {
    ASSERT_TRUE(plan) << to_string(plan.error());
    EXPECT_THAT(bounds(*plan), ElementsAre(ElementsAre(0.2, 0.3)));
    ASSERT_EQ(plan->not_applicable.size(), 1U);
    EXPECT_EQ(plan->not_applicable[0].when[0].value, "[tcp]");
  }
  const auto without = plan_of(text, {{"sweep", "{}"}}).value();
  EXPECT_THAT(bounds(without), ElementsAre(ElementsAre(0.3)));
  EXPECT_EQ(without.not_applicable.size(), 2U);
}

TEST(TopologySweep, AllIsEveryTopology) {
  const auto plan = plan_of(head, {}, {{"topology", {"all"}}}).value();
  std::vector<std::string> swept;
  for (const auto& cell : plan.cells) swept.push_back(cell.at.at(0).value);
  EXPECT_EQ(swept, world::topology_names(world::data_directory()));
  EXPECT_GT(swept.size(), 15u);
  EXPECT_EQ(plan_of(head + "sweep: {topology: all}\n").value().cells.size(), swept.size());
}

TEST(TopologySweep, EachCellHasTheGatewaysOfItsTopology) {
  const auto plan = plan_of("name: t\n", {}, {{"topology", {"same-lan", "datacentre-home"}}}).value();
  EXPECT_EQ(plan.cells.at(0).scenario.gateways.at(0).name, "home");
  EXPECT_EQ(plan.cells.at(1).scenario.gateways.at(0).name, "home-b");
}

TEST(TopologySweep, StaysInTheResolvedScenarioWithWhatStandsOverIt) {
  const auto plan =
      plan_of(head, {{"gateways.cgn.nat", "full-cone"}, {"trials", "3"}, {"ip", "[4, 6]"}},
              {{"topology", {"same-cgn", "cgn-hairpin"}}, {"gateways.home-a.nat", {"linux", "symmetric"}}})
          .value();
  ASSERT_EQ(plan.cells.size(), 4u);
  for (const auto& cell : plan.cells) EXPECT_EQ(cell.scenario.gateways.at(0).nat, "full-cone");
  EXPECT_EQ(plan.cells.at(1).scenario.gateways.at(1).nat, "symmetric");
  const auto again = plan_of(to_yaml(plan.base));
  ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(plan.base);
  EXPECT_EQ(fingerprint(*again), fingerprint(plan)) << to_yaml(plan.base);
  EXPECT_EQ(again->axes, plan.axes);
}

TEST(TopologySweep, AKeyThatATopologyDoesNotKnowIsAnErrorOfItsCell) {
  EXPECT_EQ(
      complaint(head, {}, {{"topology", {"same-cgn", "home-home"}}, {"gateways.cgn.nat", {"linux"}}}),
      "--sweep gateways.cgn.nat=linux: nothing is behind gateway 'cgn'; expected one of: home-a, home-b");
}

TEST(TopologySweep, ExpectationsMayNameATopology) {
  const auto plan = plan_of("name: t\nsweep: {topology: [same-lan, home-home]}\nexpect:\n" +
                            expecting("topology: home-home", "0.9") + expecting("topology: same-lan", "0.1"));
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_THAT(bounds(*plan), ElementsAre(ElementsAre(0.1), ElementsAre(0.9)));
}

}  // namespace
}  // namespace flaresim::study
