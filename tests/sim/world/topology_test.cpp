#include "sim/world/topology.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/world/address_plan.h"
#include "sim/world/nat_presets.h"
#include "tests/sim/world/pair_scenario.h"
#include "tests/sim/world/temporary_file.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using world::Assignment;

const std::string data = source_dir + "/topologies";

tl::expected<world::Scenario, world::ScenarioError> read(const std::string& text,
                                                         const std::vector<Assignment>& set = {}) {
  const TemporaryFile file(text);
  return world::load_scenario(file.path(), set, data);
}

std::string complaint(const std::string& text, const std::vector<Assignment>& set = {}) {
  const auto scenario = read(text, set);
  if (scenario) return "fine";
  const auto& error = scenario.error();
  if (error.line == 0) return to_string(error);
  return fmt::format("{}:{}: {}", error.line, error.column, error.message);
}

/// Two gateways in a row, and two peers.
std::string tree(const std::string& gateways, const std::string& a = "{behind: home}",
                 const std::string& more = "") {
  return "name: t\ngateways:\n" + gateways + "peers: {a: " + a + ", b: {nat: open}}\n" + more;
}
const std::string chain =
    "  cgn: {nat: symmetric, region: UK_london}\n  home: {nat: linux, behind: cgn, access: dsl}\n";

TEST(Topology, AScenarioMayHaveGatewaysOfItsOwn) {
  const auto scenario = read(tree(chain));
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_THAT(
      scenario->gateways,
      ElementsAre(world::GatewaySpec{"cgn", world::GatewayKind::nat, "symmetric", "UK_london", "none", "", 1},
                  world::GatewaySpec{"home", world::GatewayKind::nat, "linux", "", "dsl", "cgn", 1}));
  EXPECT_THAT(scenario->a.behind, ElementsAre("home"));
}

TEST(Topology, GivesItsKeysInThePlaceOfTheScenariosOwn) {
  const auto scenario = load("scenarios/pair.yaml", {{"topology", "same-cgn"}});
  EXPECT_THAT(scenario.a.behind, ElementsAre("home-a"));
  EXPECT_EQ(scenario.relays.location.region, "DE_frankfurt");  // of which the topology says nothing
  EXPECT_EQ(scenario.gateways.at(0).name, "cgn");
}

TEST(Topology, AssignmentsStandOverItWhereverTheyStand) {
  const std::vector<Assignment> set{{"gateways.cgn.nat", "full-cone"}, {"topology", "same-cgn"}};
  EXPECT_EQ(load("scenarios/pair.yaml", set).gateways.at(0).nat, "full-cone");
}

TEST(Topology, WhatIsUnderSetStandsOverItToo) {
  const auto scenario = read("name: t\ntopology: same-cgn\nset: {gateways.cgn.nat: full-cone}\n");
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->gateways.at(0).nat, "full-cone");
}

TEST(Topology, EveryShippedOneReadsBackFromItsOwnYaml) {
  for (const auto& name : world::topology_names(data)) {
    const auto topology = world::load_topology(name, data);
    ASSERT_TRUE(topology) << to_string(topology.error());
    const auto again = read(to_yaml(topology->scenario));
    ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(topology->scenario);
    EXPECT_EQ(*again, topology->scenario) << to_yaml(topology->scenario);
    EXPECT_GT(topology->summary.size(), 10u);
    EXPECT_LT(topology->summary.size(), 100u);
  }
}

TEST(Topology, MistakesNameTheirPlace) {
  EXPECT_EQ(complaint(tree("  home: {nat: linus}\n")), "3:15: unknown NAT 'linus'; did you mean 'linux'?");
  EXPECT_EQ(complaint(tree("  home: {}\n")), "3:9: key 'nat' is missing in gateways.home");
  EXPECT_EQ(complaint(tree("  home: {nat: linux, acess: dsl}\n")),
            "3:22: unknown key 'acess' in gateways.home; did you mean 'access'?");
  EXPECT_EQ(complaint(tree("  home: {nat: linux, behind: cng}\n  cgn: {nat: open}\n")),
            "3:30: there is no gateway 'cng'; did you mean 'cgn'?");
  EXPECT_EQ(complaint(tree("  Home: {nat: linux}\n")),
            "3:3: expected a name of 1 to 32 small letters, digits, '-' and '_', not 'Home'");
  EXPECT_EQ(complaint(tree(chain, "{behind: hone}")),
            "5:21: there is no gateway 'hone'; did you mean 'home'?");
  EXPECT_EQ(complaint(tree(chain + "  hose: {nat: open}\n")),
            "5:3: nothing is behind gateway 'hose'; did you mean 'home'?");
  EXPECT_EQ(complaint(tree("  home: {nat: linux, behind: home}\n")),
            "3:3: gateway 'home' is behind itself, or behind more than 8 others");
  EXPECT_THAT(complaint(tree(chain, "{behind: home, nat: linux}")), HasSubstr("has no nat of its own"));
  EXPECT_EQ(complaint(tree(chain, "{behind: home, ip: [6]}")),
            "5:31: peers.a.ip has version 6, which the scenario's ip has not");
  EXPECT_EQ(complaint(tree("  nat-b: {nat: linux}\n", "{behind: nat-b}")),
            "3:3: 'nat-b' is the name of a peer's own gateway");
  EXPECT_EQ(complaint(tree(chain, "{behind: home}", "relays: {region: near}\n")),
            "6:18: there is no region 'near'; did you mean 'near-a'?");
  EXPECT_EQ(complaint("name: t\ntopology: home-hone\n"),
            "2:11: there is no topology 'home-hone'; did you mean 'home-home'?");
  EXPECT_EQ(complaint("name: t\ntopology: home-home\nset: {trials: 3}\n"),
            "3:7: 'trials' is not what a topology gives; write the key itself");
}

TEST(Topology, BoxesThatNeedAnotherOneHaveIt) {
  EXPECT_EQ(complaint(tree("  b4: {kind: ds-lite}\n", "{behind: b4}")),
            "3:3: gateway 'b4' is an end of a tunnel, and has to be right behind an aftr");
  EXPECT_EQ(complaint(tree("  c: {kind: clat}\n", "{behind: c}")),
            "3:3: gateway 'c' is a clat, and has to be behind a nat64");
  EXPECT_EQ(complaint(tree("  c: {kind: clot}\n", "{behind: c}")),
            "3:13: there is no kind of gateway 'clot'; did you mean 'clat'?");
  EXPECT_EQ(
      complaint(tree("  c: {kind: nptv6, nat: linux}\n", "{behind: c}")),
      "3:20: unknown key 'nat' in gateways.c (kind nptv6); expected one of: kind, region, access, behind");
  EXPECT_EQ(complaint(tree("  c: {nat: linux, addresses: 65}\n", "{behind: c}")),
            "3:30: expected a whole number from 1 to 64, not '65'");
}

TEST(Topology, MistakesInArgumentsNameTheArgument) {
  EXPECT_EQ(complaint("name: t\n", {{"topology", "same-cgm"}}),
            "--set topology=same-cgm: there is no topology 'same-cgm'; did you mean 'same-cgn'?");
  EXPECT_EQ(complaint("name: t\ntopology: same-cgn\n", {{"gateways.cng.nat", "open"}}),
            "--set gateways.cng.nat=open: nothing is behind gateway 'cng'; did you mean 'cgn'?");
  EXPECT_EQ(
      complaint("name: t\ntopology: same-cgn\n", {{"relays.asymmetry", "10 ms"}}),
      "--set relays.asymmetry=10 ms: relays.asymmetry is of A alone, but A and B are both behind 'cgn'");
}

TEST(Core, IsGeneratedOrReadAndItsVerticesAreTheRegions) {
  const std::string peers = "peers: {a: {nat: open, region: v3}, b: {nat: open}}\n";
  const auto scenario =
      read("name: t\ncore: {graph: waxman, vertices: 10, seed: 3, rate: 2.5 Mbit/s}\n" + peers);
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->core->graph->vertices().size(), 10u);
  EXPECT_EQ(scenario->core->graph->edges().front().link.bits_per_second, 2'500'000u);
  const auto complain = [&](const std::string& core) {
    return complaint("name: t\ncore: " + core + "\n" + peers);
  };
  EXPECT_EQ(complain("{graph: waxmann}"), "2:15: there is no generator 'waxmann'; did you mean 'waxman'?");
  EXPECT_EQ(complain("{graph: waxman, tiers: [1]}"),
            "2:23: unknown key 'tiers' in core; expected one of: vertices, alpha, beta, side, graph, "
            "seed, jitter, rate, queue, loss");
  EXPECT_EQ(complain("{graph: waxman, alpha: 0}"), "2:7: no such graph can be made of these parameters");
  EXPECT_EQ(complain("{graph: waxman, rate: 3 MB/s}"),
            "2:29: expected a rate up to 1000 Gbit/s with one of the units bit/s, kbit/s, Mbit/s, Gbit/s, "
            "such as 10 "
            "Mbit/s, not '3 MB/s'");
  EXPECT_EQ(complain("{vertices: 3}"),
            "2:8: unknown key 'vertices' in core; expected one of: graph, file, digest");
  EXPECT_THAT(complain("{file: nowhere.dot}"), HasSubstr("nowhere.dot: cannot be read"));
  EXPECT_THAT(complain("{file: scenario.yaml}"), HasSubstr("2:14: "));
  EXPECT_THAT(complaint("name: t\ncore: {graph: waxman, vertices: 4}\npeers: {a: {nat: open, region: "
                        "US_iowa}, b: {nat: open}}\n"),
              HasSubstr("3:32: there is no region 'US_iowa'"));
}

TEST(Core, AFileThatHasChangedIsNoticed) {
  const auto path = data + "/worlds/backbone.dot";
  const auto yaml = [&](const std::string& digest) {
    return "name: t\ncore: {file: " + path + ", digest: \"" + digest +
           "\"}\npeers: {a: {nat: open}, b: {nat: open}}\n";
  };
  EXPECT_THAT(complaint(yaml("0")), HasSubstr("has changed since; its digest is now "));
  const auto now = complaint(yaml("0"));
  EXPECT_EQ(complaint(yaml(now.substr(now.size() - 16))), "fine");
}

/// Where the servers of a drawn world stand.
std::vector<std::string> relays(const std::string& placement, int count,
                                const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> set{{"relays.region", placement}, {"relays.count", std::to_string(count)}};
  set.insert(set.end(), more.begin(), more.end());
  const auto scenario = load("scenarios/pair.yaml", set);
  world::Geography geography(scenario, world_data());
  return draw(scenario, geography, io::Random(1)).relay_regions;
}

TEST(Placement, FollowsTheMeasuredRoundTrips) {
  // A is in Frankfurt, B in London. The numbers are those of topologies/data/rtt10_ms.csv.
  EXPECT_THAT(relays("near-a", 3), ElementsAre("DE_frankfurt", "UK_london", "FI_hamina"));  // 1, 16, 34
  EXPECT_THAT(relays("near-b", 3), ElementsAre("UK_london", "DE_frankfurt", "FI_hamina"));  // 1, 16, 41
  EXPECT_THAT(relays("on-path", 2), ElementsAre("FI_hamina", "CA_toronto"));                // 75, 182
  EXPECT_THAT(relays("far", 2), ElementsAre("AU_melbourne", "JP_tokyo"));                   // 561, 436
  EXPECT_THAT(relays("SG_singapore", 2), ElementsAre("SG_singapore", "SG_singapore"));
}

TEST(Placement, OnPathOfACoreIsAVertexOfTheShortestWay) {
  const auto scenario = load("scenarios/pair.yaml", {{"topology", "as-graph"}});
  const auto& core = *scenario.core->graph;
  world::Geography geography(scenario, world_data());
  const auto drawn = draw(scenario, geography, io::Random(1));
  const auto a = core.find(drawn.host_a.region).value(), b = core.find(drawn.host_b.region).value();
  const auto relay = core.find(drawn.relay_regions.at(0)).value();
  EXPECT_EQ(geography.delay(a, relay) + geography.delay(relay, b), geography.delay(a, b));
  EXPECT_TRUE(relay != a && relay != b);
}

TEST(Placement, OfObserversIsTheSame) {
  const auto scenario = load("scenarios/pair.yaml", {{"observers", "{count: 2, region: far}"}});
  world::Geography geography(scenario, world_data());
  EXPECT_THAT(draw(scenario, geography, io::Random(1)).observer_regions,
              ElementsAre("AU_melbourne", "JP_tokyo"));
}

TEST(Placement, ByChanceUsesTheLowestTierOnly) {
  const std::string text =
      "name: t\ncore: {graph: tiered, tiers: [2, 3, 4]}\npeers: {a: {nat: open}, b: {nat: open}}\n";
  const auto scenario = read(text).value();
  world::Geography geography(scenario, world_data());
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto drawn = draw(scenario, geography, io::Random(seed));
    EXPECT_TRUE(drawn.a.region.starts_with("T3-")) << drawn.a.region;
    EXPECT_TRUE(drawn.relay_regions.at(0).starts_with("T3-"));
  }
}

world::AddressPlan plan_of(const std::string& text) {
  const auto scenario = read(text).value();
  world::Geography geography(scenario, world_data());
  const auto drawn = draw(scenario, geography, io::Random(1));
  std::vector<nat::Behaviour> behaviours;
  for (const auto& gateway : drawn.gateways) behaviours.push_back(world::parse_nat(gateway.nat).value());
  return plan_addresses(drawn, behaviours);
}

std::vector<std::string> texts(const std::vector<io::IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const auto& address : addresses) texts.push_back(address.to_string());
  return texts;
}

TEST(AddressPlan, GivesPrivateAddressesBehindTranslationAndOthersWayThrough) {
  const auto plan = plan_of(tree(chain, "{behind: home}", "ip: [4, 6]\n"));
  EXPECT_EQ(plan.gateways[0].v4.at(0).to_string(), "84.16.40.7");
  EXPECT_EQ(plan.gateways[1].v4.at(0).to_string(), "100.64.1.10");  // RFC 6598
  EXPECT_THAT(texts(plan.host_a.at(0)), ElementsAre("192.168.2.10", "2a02:8071:40::10"));
  // The peer's IPv6 address is routed through both.
  EXPECT_THAT(texts(plan.gateways[0].outside), ElementsAre("84.16.40.7", "2a02:8071:40::10"));
  EXPECT_THAT(texts(plan.gateways[1].outside), ElementsAre("100.64.1.10", "2a02:8071:40::10"));
  // B has a public address of its own, which its firewall without translation holds for it.
  EXPECT_THAT(texts(plan.host_b.at(0)), ElementsAre("84.16.42.7", "2a02:8071:41::10"));
  EXPECT_TRUE(plan.gateways[2].v4.empty());
  EXPECT_THAT(texts(plan.gateways[2].outside), ElementsAre("84.16.42.7", "2a02:8071:41::10"));
}

TEST(AddressPlan, WhatIsBehindABoxThatTranslatesNothingHasAnAddressOfTheNextOneOut) {
  const auto plan =
      plan_of(tree("  aftr: {nat: symmetric}\n  b4: {nat: open, behind: aftr}\n", "{behind: b4}"));
  EXPECT_THAT(texts(plan.host_a.at(0)), ElementsAre("100.64.2.10"));
  EXPECT_THAT(texts(plan.gateways[1].outside), ElementsAre("100.64.2.10"));
  EXPECT_THAT(texts(plan.gateways[0].outside), ElementsAre("84.16.40.7"));
}

TEST(AddressPlan, HasOneOfEachForEveryInterface) {
  const auto plan = plan_of(
      tree("  wifi: {nat: linux}\n  mobile: {nat: linux}\n", "{behind: [wifi, mobile]}", "ip: [4, 6]\n"));
  EXPECT_THAT(texts(plan.host_a.at(0)), ElementsAre("192.168.1.10", "2a02:8071:40::10"));
  EXPECT_THAT(texts(plan.host_a.at(1)), ElementsAre("192.168.2.10", "2a02:8071:50::10"));
}

}  // namespace
}  // namespace flaresim::test
