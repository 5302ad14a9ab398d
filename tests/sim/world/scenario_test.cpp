#include "sim/world/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/world/world_data.h"
#include "tests/sim/world/temporary_file.h"

namespace flaresim::world {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

using test::TemporaryFile;

tl::expected<Scenario, ScenarioError> load(const std::string& text, const std::vector<Assignment>& set = {}) {
  const TemporaryFile file(text);
  return load_scenario(file.path(), set, data_directory());
}

/// The whole of what is wrong, or `fine`.
std::string told(const tl::expected<Scenario, ScenarioError>& scenario) {
  return scenario ? "fine" : to_string(scenario.error());
}

/// `line:column: message` of what is wrong with a text, or `fine`.
std::string complaint(const std::string& text, const std::vector<Assignment>& set = {}) {
  const auto scenario = load(text, set);
  if (scenario) return "fine";
  auto error = scenario.error();
  if (error.line == 0) return to_string(error);
  EXPECT_THAT(error.file, HasSubstr("scenario-test-"));
  return std::to_string(error.line) + ":" + std::to_string(error.column) + ": " + error.message;
}

/// A scenario of which the third line and what follows are given.
std::string with(const std::string& lines) {
  return "name: t\npeers: {a: {nat: linux}, b: {nat: open}}\n" + lines + "\n";
}

/// A population of which nothing is wrong, but for what is replaced.
std::string population(const std::string& nats = "{linux: 1}", const std::string& regions = "{US_iowa: 1}",
                       const std::string& accesses = "{dsl: 1}") {
  return "name: t\npeers:\n  b: {nat: open}\n  a:\n    population:\n      name: p\n      nats: " + nats +
         "\n      regions: " + regions + "\n      accesses: " + accesses + "\n";
}

TEST(Scenario, DefaultsFillWhatIsNotGiven) {
  const auto scenario = load(with(""));
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->trials, 100U);
  EXPECT_EQ(scenario->seed, 1U);
  EXPECT_EQ(scenario->time_limit, 180s);
  EXPECT_EQ(scenario->a.kind, (PeerKind{"linux", "", "none"}));
  EXPECT_EQ(scenario->transports, std::vector{Transport::tcp});
  EXPECT_EQ(scenario->protocol, (ProtocolSpec{Roles::spec, 333ms, false, {Security::noise, Security::tls}}));
  EXPECT_EQ(scenario->relays, RelaySpec{});
  EXPECT_TRUE(scenario->expect.empty());
}

TEST(Scenario, EveryKeyIsRead) {
  const auto scenario = load(R"(
name: all-keys
description: "two words"
trials: 7
seed: 18446744073709551615
time_limit: 1.5 min
transports: [quic, tcp]
ip: [6, 4]
protocol:
  roles: swap_on_last_attempt
  quic_initial_rtt: 100 ms
  accepted_socket_takes_punch_role: true
  security: [tls, noise]
peers:
  a: {nat: "APDM/APDF/preserve,udp_timeout=30s", region: DE_frankfurt, access: cable}
  b: {nat: symmetric, region: JP_tokyo, access: 4g}
relays: {count: 3, region: UK_london, access: datacenter, asymmetry: 40 ms}
observers: 4
unreachable_pairs: 0.25
expect:
  punch_rate: {at_least: 0.5, at_most: 1}
  direct_rate: {at_most: 1e-1}
sweep: {transports: [[tcp], quic], seed: 1}
)");
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->name, "all-keys");
  EXPECT_EQ(scenario->description, "two words");
  EXPECT_EQ(scenario->trials, 7U);
  EXPECT_EQ(scenario->seed, 18446744073709551615U);
  EXPECT_EQ(scenario->time_limit, 90s);
  EXPECT_EQ(scenario->transports, (std::vector{Transport::tcp, Transport::quic}));
  EXPECT_EQ(scenario->ip, (std::vector{4, 6}));
  EXPECT_EQ(scenario->protocol,
            (ProtocolSpec{Roles::swap_on_last_attempt, 100ms, true, {Security::tls, Security::noise}}));
  EXPECT_EQ(scenario->a.kind, (PeerKind{"APDM/APDF/preserve,udp_timeout=30s", "DE_frankfurt", "cable"}));
  EXPECT_EQ(scenario->b.kind, (PeerKind{"symmetric", "JP_tokyo", "4g"}));
  EXPECT_EQ(scenario->relays, (RelaySpec{3, {Placement::fixed, "UK_london"}, "datacenter", 40ms}));
  EXPECT_EQ(scenario->observers, 4);
  EXPECT_EQ(scenario->unreachable_pairs, 0.25);
  EXPECT_EQ(scenario->expect,
            (std::vector<Expectation>{{"punch_rate", 0.5, 1.0}, {"direct_rate", std::nullopt, 0.1}}));
  EXPECT_EQ(scenario->sweep, (std::vector<Axis>{{"transports", {"[tcp]", "quic"}}, {"seed", {"1"}}}));
}

TEST(Scenario, ExpectationsMayBeOfSomeCellsOnly) {
  const auto scenario = load(with(R"(expect:
- {when: {transports: [tcp, quic], seed: 7}, punch_rate: {at_least: 0.5}, direct_rate: {at_most: 0.9}}
- punch_rate: {at_least: 0.1})"));
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  const std::vector<Condition> when{{"transports", "[tcp, quic]"}, {"seed", "7"}};
  EXPECT_EQ(scenario->expect, (std::vector<Expectation>{{"punch_rate", 0.5, std::nullopt, when},
                                                        {"direct_rate", std::nullopt, 0.9, when},
                                                        {"punch_rate", 0.1, std::nullopt, {}}}));
}

TEST(Scenario, ASweepsValuesAreShownAsOnTheCommandLine) {
  const auto scenario = load(with(R"(sweep:
  peers.a.nat: ["EIM/APDF,udp_timeout=30s", linux]
  relays.asymmetry: 40 ms
  peers.b: [{nat: "EIM/EIF,udp_timeout=9s", region: JP_tokyo}]
  description: ["[", "a: b", "", "5", "two\nlines"]
  ip: [[4, 6], 4])"));
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->sweep,
            (std::vector<Axis>{{"peers.a.nat", {"EIM/APDF,udp_timeout=30s", "linux"}},
                               {"relays.asymmetry", {"40 ms"}},
                               {"peers.b", {"{nat: \"EIM/EIF,udp_timeout=9s\", region: JP_tokyo}"}},
                               {"description", {"\"[\"", "\"a: b\"", "\"\"", "5", "\"two\\nlines\""}},
                               {"ip", {"[4, 6]", "4"}}}));
  const auto again = load(to_yaml(*scenario));
  ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(*scenario);
  EXPECT_EQ(*again, *scenario) << to_yaml(*scenario);
  for (const auto& axis : scenario->sweep) {
    for (const auto& value : axis.values)
      EXPECT_EQ(complaint(with(""), {{axis.key, value}}), "fine") << value;
  }
}

TEST(Scenario, DurationsMayHaveAnyOfTheUnits) {
  const std::vector<std::pair<std::string, io::Duration>> cases{
      {"20 ms", 20ms},     {"1.5 s", 1500ms}, {"2 min", 2min}, {"1000 us", 1ms},
      {"3000000 ns", 3ms}, {"1 h", 1h},       {"20ms", 20ms},  {"'7 s'", 7s}};
  for (const auto& [text, duration] : cases) {
    const auto scenario = load(with("time_limit: " + text));
    ASSERT_TRUE(scenario) << text << ": " << to_string(scenario.error());
    EXPECT_EQ(scenario->time_limit, duration) << text;
  }
}

TEST(Scenario, ASingleValueStandsForAListOfOne) {
  EXPECT_EQ(load(with("ip: 6"))->ip, std::vector{6});
  EXPECT_EQ(load(with("transports: tcp"))->transports, std::vector{Transport::tcp});
}

constexpr auto a_cold_start = R"(discovery: cold-start
bootstrap: 2
meet_at: 90 s
relays: {count: 5}
protocol:
  reachability: v2
  relay_choice: xor-closest
  mdns: true
  reversal_to_private: true
  connections: {low: 3, high: 9, grace: 5 s}
events: [{at: 60 s, peer: relays-of-b, do: stop}])";

TEST(Scenario, AColdStartHasKeysOfItsOwn) {
  const auto scenario = load(with(a_cold_start));
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->discovery, Discovery::cold_start);
  EXPECT_EQ(scenario->bootstrap, 2);
  EXPECT_EQ(scenario->meet_at, 90s);
  EXPECT_EQ(scenario->protocol.reachability, ReachabilityFrom::v2);
  EXPECT_EQ(scenario->protocol.relay_choice, RelayChoice::xor_closest);
  EXPECT_TRUE(scenario->protocol.mdns);
  EXPECT_TRUE(scenario->protocol.reversal_to_private);
  EXPECT_EQ(scenario->protocol.connections, (ConnectionsSpec{3, 9, 5s}));
  ASSERT_EQ(scenario->events.size(), 1u);
  EXPECT_EQ(scenario->events[0].action, ChangeAction::stop);
  EXPECT_EQ(scenario->events[0].target, "relays-of-b");
  const auto again = load(to_yaml(*scenario));
  ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(*scenario);
  EXPECT_EQ(*again, *scenario) << to_yaml(*scenario);
}

constexpr auto a_network = R"(name: t
network:
  nodes: 500
  peers: {nat: linux, access: dsl}
  join: 3 min
  duration: 50 min
  public_share: 0.25
  public_access: cable
  bootstrap: 7
  low_water: 11
  high_water: 22
  refresh: 4 min
  max_reservations: 33
  max_circuits_per_peer: 5
  channel: full
  check_every: 90 s
  churn:
    {from: 6 min, session: {median: 20 min, p80: 2 h}, off: {median: 5 min, p80: 7 min}, silent: 0.125}
  pairs: {peers: 44, attempts: 55, from: 8 min, limit: 66 s}
  probes: {count: 77, at: 9 min, over: 88 s}
  kill: {at: 20 min, share: 0.375, settle: 11 min}
)";

TEST(Scenario, ANetworkHasKeysOfItsOwn) {
  const auto scenario = load(a_network);
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->a.kind, (PeerKind{"linux", "", "dsl"}));
  EXPECT_EQ(scenario->network, (NetworkSpec{.nodes = 500,
                                            .join = 3min,
                                            .duration = 50min,
                                            .public_share = 0.25,
                                            .public_access = "cable",
                                            .bootstrap = 7,
                                            .churn = ChurnSpec{6min, {20min, 2h}, {5min, 7min}, 0.125},
                                            .low_water = 11,
                                            .high_water = 22,
                                            .refresh = 4min,
                                            .max_reservations = 33,
                                            .max_circuits_per_peer = 5,
                                            .channel = BackgroundChannel::full,
                                            .pairs = PairsSpec{44, 55, 8min, 66s},
                                            .probes = ProbesSpec{77, 9min, 88s},
                                            .kill = KillSpec{20min, 0.375, 11min},
                                            .check_every = 90s}));
  const auto again = load(to_yaml(*scenario));
  ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(*scenario);
  EXPECT_EQ(*again, *scenario) << to_yaml(*scenario);
}

struct Complaint {
  const char* name;
  std::string text;
  std::string expected;
};
void PrintTo(const Complaint& complaint, std::ostream* out) { *out << complaint.name; }

class ScenarioComplaint : public testing::TestWithParam<Complaint> {};

TEST_P(ScenarioComplaint, NamesThePlaceAndWhatWasExpected) {
  EXPECT_THAT(complaint(GetParam().text), StartsWith(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Errors, ScenarioComplaint,
    testing::Values(
        Complaint{"UnknownKey", with("trails: 3"), "3:1: unknown key 'trails'; did you mean 'trials'?"},
        Complaint{"UnknownKeyFarFromAll", with("zzzzzzzz: 3"),
                  "3:1: unknown key 'zzzzzzzz'; expected one of: name,"},
        Complaint{"UnknownKeyOfAPeer", "name: t\npeers:\n  a: {nat: linux}\n  b: {nat: open, regoin: x}\n",
                  "4:18: unknown key 'regoin' in peers.b; did you mean 'region'?"},
        Complaint{"UnknownPeer", "name: t\npeers: {a: {}, b: {}, c: {}}\n", "2:23: unknown key 'c' in peers"},
        Complaint{"UnknownKeyOfANetwork", "name: t\nnetwork: {nodes: 9, joins: 1 s}\n",
                  "2:21: unknown key 'joins' in network; did you mean 'join'?"},
        Complaint{"ANetworkOverQuic",
                  "name: t\ntransports: [quic]\nnetwork: {nodes: 9, peers: {nat: linux}}\n",
                  "2:13: a network has the transport tcp alone"},
        Complaint{"ANetworkWithATimeToMeetAt",
                  "name: t\nmeet_at: 1 s\nnetwork: {nodes: 9, peers: {nat: linux}}\n",
                  "2:10: a scenario with a network has no 'meet_at'"},
        Complaint{"MeetingAfterTheEnd", with("discovery: cold-start\ntime_limit: 60 s\nmeet_at: 60 s"),
                  "5:10: A looks for B only after the time_limit of 1 min"},
        Complaint{"MoreBootstrapNodesThanPublicOnes",
                  "name: t\nnetwork: {nodes: 40, public_share: 0.1, bootstrap: 5, peers: {nat: linux}}\n",
                  "2:10: 5 bootstrap nodes, but 4 public nodes (a public_share of 0.1 of 40)"},
        Complaint{"ANetworkWithTheConnectionsOfPeers",
                  "name: t\nprotocol: {connections: {low: 1}}\nnetwork: {nodes: 9, peers: {nat: linux}}\n",
                  "2:25: a scenario with a network has no protocol.connections"},
        Complaint{"ANetworkWithoutNodes", "name: t\nnetwork: {join: 1 s}\n", "2:10: "},
        Complaint{"PairsThatEndTooLate",
                  "name: t\nnetwork: {nodes: 9, duration: 20 min, pairs: {from: 19 min, limit: 2 min}}\n",
                  "2:10: the pairs' attempts would end at 21 min, after the world's duration of 20 min"},
        Complaint{"AMarkBelowTheLowOne", "name: t\nnetwork: {nodes: 9, low_water: 9, high_water: 8}\n",
                  "2:10: high_water is below low_water"},
        Complaint{"AP80BelowTheMedian",
                  "name: t\nnetwork: {nodes: 9, churn: {session: {median: 2 h, p80: 1 h}}}\n",
                  "2:38: expected a p80 above the median"},
        Complaint{"UnknownDiscovery", with("discovery: cold-stat"),
                  "3:12: there is no way of discovery 'cold-stat'; did you mean 'cold-start'?"},
        Complaint{"MoreBootstrapNodesThanNodes",
                  with("discovery: cold-start\nbootstrap: 3\nrelays: {count: 2}"),
                  "4:12: 3 bootstrap nodes, but relays.count is 2"},
        Complaint{"OneRelayOfAColdStart", with("discovery: cold-start\nbootstrap: 3"),
                  "4:12: 3 bootstrap nodes, but relays.count is 1"},
        Complaint{"ObserversOfAColdStart", with("discovery: cold-start\nrelays: {count: 9}\nobservers: 2"),
                  "3:12: a cold start has no observers"},
        Complaint{"UnknownRelayChoice", with("protocol: {relay_choice: closest}"),
                  "3:26: there is no choice of relays 'closest'"},
        Complaint{"UnknownKeyOfConnections", with("protocol: {connections: {lo: 3}}"),
                  "3:26: unknown key 'lo' in protocol.connections"},
        Complaint{"LowAboveHigh", with("protocol: {connections: {low: 9, high: 5}}"), "3:31: expected"},
        Complaint{"RelaysOfAFixedWorld", with("events: [{at: 1 s, peer: relays-of-b, do: stop}]"),
                  "3:26: there is no peer 'relays-of-b'"},
        Complaint{"RelaysThatMove",
                  with("discovery: cold-start\nrelays: {count: 9}\n"
                       "events: [{at: 1 s, peer: relays-of-b, do: move}]"),
                  "5:43: there is no event 'move'"},
        Complaint{"AStopOfAnInterface", with("events: [{at: 1 s, peer: a, do: stop, interface: 1}]"),
                  "3:50: a peer stops on all of its interfaces"},
        Complaint{"UnknownKeyOfRelays", with("relays: {cuont: 2}"),
                  "3:10: unknown key 'cuont' in relays; did you mean 'count'?"},
        Complaint{"UnknownRate", with("expect: {punchrate: {at_least: 1}}"),
                  "3:10: unknown key 'punchrate' in expect; did you mean 'punch_rate'?"},
        Complaint{"UnknownBound", with("expect: {punch_rate: {atleast: 1}}"),
                  "3:23: unknown key 'atleast' in expect.punch_rate; did you mean 'at_least'?"},
        Complaint{"DuplicateKey", with("trials: 1\nseed: 2\ntrials: 3"),
                  "5:1: key 'trials' is given twice (first on line 3)"},
        Complaint{"DuplicateKeyInside", with("relays: {count: 1, count: 2}"),
                  "3:20: key 'count' is given twice (first on line 3)"},
        Complaint{"MissingName", "peers: {a: {}, b: {}}\n", "1:1: key 'name' is missing"},
        Complaint{"MissingPeers", "name: t\n", "1:1: key 'peers' is missing"},
        Complaint{"MissingPeer", "name: t\npeers: {a: {}}\n", "2:8: key 'b' is missing in peers"},
        Complaint{"EmptyFile", "", "1:1: expected a map, not nothing"},
        Complaint{"NotAMap", "- a\n- b\n", "1:1: expected a map, not a list"},
        Complaint{"PeerIsNotAMap", "name: t\npeers: {a: linux, b: {}}\n",
                  "2:12: expected a map in peers.a, not 'linux'"},
        Complaint{"TextIsAList", with("description: [a]"), "3:14: expected a text, not a list"},
        Complaint{"ValueIsMissing", with("trials:"),
                  "3:1: expected a whole number from 1 to 100000000, not nothing"},
        Complaint{"NameWithASlash", "name: ../x\npeers: {a: {}, b: {}}\n",
                  "1:7: expected a name of 1 to 100 letters"},
        Complaint{"TrialsBelowRange", with("trials: 0"),
                  "3:9: expected a whole number from 1 to 100000000, not '0'"},
        Complaint{"TrialsAboveRange", with("trials: 100000001"), "3:9: expected a whole number from 1 to"},
        Complaint{"TrialsNotWhole", with("trials: 1.5"),
                  "3:9: expected a whole number from 1 to 100000000, not '1.5'"},
        Complaint{"TrialsQuoted", with("trials: \"5\""),
                  "3:9: expected a whole number from 1 to 100000000, not a text"},
        Complaint{"SeedNegative", with("seed: -1"),
                  "3:7: expected a whole number from 0 to 18446744073709551615, not '-1'"},
        Complaint{"SeedTooLarge", with("seed: 18446744073709551616"), "3:7: expected a whole number from 0"},
        Complaint{
            "DurationWithoutUnit", with("time_limit: 20"),
            "3:13: expected a number with one of the units h, min, s, ms, us, ns, such as 20 ms, not '20'"},
        Complaint{"DurationWithUnknownUnit", with("time_limit: 20 sec"),
                  "3:13: expected a number with one of the units"},
        Complaint{"DurationWithoutNumber", with("time_limit: ms"),
                  "3:13: expected a number with one of the units"},
        Complaint{"DurationNotFinite", with("time_limit: nan s"),
                  "3:13: expected a number with one of the units"},
        Complaint{"DurationOfZero", with("time_limit: 0 s"),
                  "3:13: expected a duration from 1 ms to 24 h, not '0 s'"},
        Complaint{"DurationAboveRange", with("time_limit: 25 h"),
                  "3:13: expected a duration from 1 ms to 24 h"},
        Complaint{"DurationNegative", with("relays: {asymmetry: -1 ms}"),
                  "3:21: expected a duration from 0 s to 10 s, not '-1 ms'"},
        Complaint{"DurationIsAList", with("time_limit: [1 s]"),
                  "3:13: expected a duration such as 20 ms, not a list"},
        Complaint{"RateAboveOne", with("unreachable_pairs: 1.01"),
                  "3:20: expected a rate from 0 to 1, not '1.01'"},
        Complaint{"RateNegative", with("unreachable_pairs: -0.1"),
                  "3:20: expected a rate from 0 to 1, not '-0.1'"},
        Complaint{"RateNotANumber", with("unreachable_pairs: few"),
                  "3:20: expected a rate from 0 to 1, not 'few'"},
        Complaint{"RateNan", with("unreachable_pairs: nan"), "3:20: expected a rate from 0 to 1, not 'nan'"},
        Complaint{"RateInPercent", with("unreachable_pairs: 1 %"),
                  "3:20: expected a rate from 0 to 1, not '1 %'"},
        Complaint{
            "ExpectationWithoutARate", with("expect: [{when: {seed: 1}}]"),
            "3:10: expected at least one of: punch_rate, direct_rate, true_closest_rate, true_verdict_rate, "
            "reserved_rate"},
        Complaint{"ConditionsAreNotAMap", with("expect: [{when: seed, punch_rate: {at_least: 1}}]"),
                  "3:17: expected a map of keys to the values that they must have"},
        Complaint{"NoCondition", with("expect: [{when: {}, punch_rate: {at_least: 1}}]"),
                  "3:17: expected a map of keys"},
        Complaint{"ConditionWithoutAValue", with("expect: [{when: {seed: }, punch_rate: {at_least: 1}}]"),
                  "3:18: a value is empty"},
        Complaint{"ConditionOnAnExpectation",
                  with("expect: [{when: {expect: {}}, punch_rate: {at_least: 1}}]"),
                  "3:18: 'expect' has no part in a trial"},
        Complaint{"UnknownKeyOfAnExpectation", with("expect: [{wen: {seed: 1}, punch_rate: {at_least: 1}}]"),
                  "3:11: unknown key 'wen' in an entry of expect; did you mean 'when'?"},
        Complaint{"ConditionInAMapOfRates", with("expect: {when: {seed: 1}, punch_rate: {at_least: 1}}"),
                  "3:10: unknown key 'when' in expect"},
        Complaint{"SweepIsAList", with("sweep: [seed]"),
                  "3:8: expected a map of keys to the values that they take"},
        Complaint{"SweepWithoutValues", with("sweep: {seed: []}"), "3:15: expected at least one value"},
        Complaint{"SweptValueIsEmpty", with("sweep: {seed: [1, ~]}"), "3:19: a value is empty"},
        Complaint{"SweptValueTwice", with("sweep: {transports: [[tcp], [tcp]]}"),
                  "3:29: value '[tcp]' is given twice"},
        Complaint{"SweepOfASweep", with("sweep: {sweep.seed: [1, 2]}"),
                  "3:9: 'sweep' has no part in a trial"},
        Complaint{"UnknownRoles", with("protocol: {roles: legasy}"),
                  "3:19: there is no role option 'legasy'; did you mean 'legacy'?"},
        Complaint{"UnknownKeyOfProtocol", with("protocol: {role: spec}"),
                  "3:12: unknown key 'role' in protocol; did you mean 'roles'?"},
        Complaint{"InitialRttOfZero", with("protocol: {quic_initial_rtt: 0 s}"),
                  "3:30: expected a duration from 1 ms to 10 s, not '0 s'"},
        Complaint{"SwitchIsNotTrueOrFalse", with("protocol: {accepted_socket_takes_punch_role: yes}"),
                  "3:46: expected true or false, not 'yes'"},
        Complaint{"SwitchIsQuoted", with("protocol: {accepted_socket_takes_punch_role: 'true'}"),
                  "3:46: expected true or false, not a text"},
        Complaint{"UnknownSecurity", with("protocol: {security: [noise, tsl]}"),
                  "3:30: there is no security protocol 'tsl'; did you mean 'tls'?"},
        Complaint{"NoSecurity", with("protocol: {security: []}"), "3:22: expected at least one item"},
        Complaint{"UnknownTransport", with("transports: [tcp, tcq]"), "3:19: there is no transport 'tcq'"},
        Complaint{"TransportTwice", with("transports: [tcp, tcp]"), "3:19: 'tcp' is listed twice"},
        Complaint{"NoTransport", with("transports: []"), "3:13: expected at least one item"},
        Complaint{"UnknownIpVersion", with("ip: [4, 5]"), "3:9: expected IP version 4 or 6, not '5'"},
        Complaint{"IpIsAMap", with("ip: {a: 4}"), "3:5: expected a list, not a map"},
        Complaint{"NoRelay", with("relays: {count: 0}"),
                  "3:17: expected a whole number from 1 to 64, not '0'"},
        Complaint{"UnknownRegion", with("relays: {region: DE_frankfrut}"),
                  "3:18: there is no region 'DE_frankfrut'; did you mean 'DE_frankfurt'?"},
        Complaint{"UnknownAccess", with("relays: {access: fiber}"),
                  "3:18: there is no access link 'fiber'; did you mean 'fibre'?"},
        Complaint{"UnknownNat", "name: t\npeers:\n  a: {nat: port-restrictet}\n  b: {}\n", "3:12: "},
        Complaint{"UnknownFiltering", "name: t\npeers:\n  a: {nat: EIM/XPDF}\n  b: {}\n", "3:16: "},
        Complaint{"UnknownFilteringQuoted", "name: t\npeers:\n  a: {nat: 'EIM/XPDF'}\n  b: {}\n", "3:17: "},
        Complaint{"UnknownPopulation", "name: t\npeers:\n  a: {population: flare-2021}\n  b: {}\n",
                  "3:19: there is no population 'flare-2021'; did you mean 'flare-2022'?"},
        Complaint{"PopulationPath", "name: t\npeers:\n  a: {population: ../../x}\n  b: {}\n",
                  "3:19: there is no population '../../x'"},
        Complaint{"PopulationAndNat", "name: t\npeers:\n  a: {population: flare-2022, nat: linux}\n  b: {}\n",
                  "3:36: peers.a has a population, which draws nat, region and access"},
        Complaint{"NoBound", with("expect: {punch_rate: {}}"), "3:22: expected at_least, at_most, or both"},
        Complaint{"BoundsCross", with("expect: {punch_rate: {at_least: 0.9, at_most: 0.8}}"),
                  "3:22: at_least is above at_most"},
        Complaint{"NotYaml", with("trials: [1"), "4:1: "},
        Complaint{"TwoDocuments", with("---\na: 1"), "4:1: a second document"},
        Complaint{"Tag", with("trials: !!int 3"), "3:9: tags such as"},
        Complaint{"KeyIsAList", with("? [a]\n: 1"), "3:3: a key must be a single word"},
        Complaint{"AliasOfItself", with("description: &x [*x]"), "3:14: values are nested too deeply"},
        Complaint{"SharesDoNotAddUp", population("{linux: 0.5, open: 0.4}"),
                  "7:13: the shares in nats add up to 0.9, not 1"},
        Complaint{"NoShares", population("{}"), "7:13: expected a map of names to shares in nats"},
        Complaint{"UnknownNatOfAPopulation", population("{linux: 0.5, linus: 0.5}"), "7:26: "},
        Complaint{"UnknownRegionOfAPopulation", population("{linux: 1}", "{US_iova: 1}"),
                  "8:17: there is no region 'US_iova'; did you mean 'US_iowa'?"},
        Complaint{"UnknownAccessOfAPopulation", population("{linux: 1}", "{US_iowa: 1}", "{DLS: 1}"),
                  "9:18: there is no access link 'DLS'"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Scenario, AliasesThatMultiplyAreRefused) {
  std::string text = "x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 10; ++i) {
    const auto before = "*x" + std::to_string(i - 1);
    text += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [";
    for (int copy = 0; copy < 10; ++copy) text += (copy ? "," : "") + before;
    text += "]\n";
  }
  EXPECT_THAT(complaint(text), HasSubstr("too many values"));
}

TEST(Scenario, DeepNestingIsRefused) {
  EXPECT_NE(complaint("a: " + std::string(100'000, '[')), "fine");
  EXPECT_THAT(complaint("a: " + std::string(30, '[') + std::string(30, ']')), HasSubstr("nested too deeply"));
}

TEST(Scenario, AnOversizedFileIsRefused) {
  EXPECT_THAT(complaint("# " + std::string(1 << 20, 'x')), HasSubstr("larger than 1 MiB"));
}

TEST(Scenario, AFileThatCannotBeReadIsNamed) {
  EXPECT_EQ(told(load_scenario("/nowhere/x.yaml", {}, data_directory())), "/nowhere/x.yaml: cannot be read");
  EXPECT_EQ(told(load_scenario("/tmp", {}, data_directory())), "/tmp: cannot be read");
}

TEST(Scenario, AFolderWithoutTablesIsNamed) {
  const TemporaryFile file(with(""));
  EXPECT_THAT(told(load_scenario(file.path(), {}, "/nowhere")), StartsWith("/nowhere/data/"));
}

TEST(PopulationFile, IsAsStrictAsAScenario) {
  namespace fs = std::filesystem;
  const auto folder = fs::temp_directory_path() / ("population-test-" + std::to_string(::getpid()));
  fs::create_directories(folder / "populations");
  fs::copy(fs::path(data_directory()) / "data", folder / "data");
  const auto complain = [&](const std::string& text) {
    std::ofstream(folder / "populations" / "p.yaml") << text;
    const TemporaryFile scenario("name: t\npeers: {a: {population: p}, b: {}}\n");
    return told(load_scenario(scenario.path(), {}, folder.string()));
  };
  const auto file = (folder / "populations" / "p.yaml").string();
  const std::string tail = "nats: {linux: 1}\nregions: {US_iowa: 1}\naccesses: {dsl: 1}\n";
  EXPECT_EQ(complain("name: p\n" + tail), "fine");
  EXPECT_EQ(complain("name: q\n" + tail), file + ":1:1: name is not that of the file, 'p'");
  EXPECT_EQ(complain("name: p\n" + tail + "tcp_unfrendly: 0\n"),
            file + ":5:1: unknown key 'tcp_unfrendly' in a population; did you mean 'tcp_unfriendly'?");
  EXPECT_EQ(complain("name: p\n" + tail + "name: p\n"),
            file + ":5:1: key 'name' is given twice (first on line 1)");
  EXPECT_EQ(complain("name: p\nnats: {linux: 1\n").substr(0, file.size() + 1), file + ":");
  EXPECT_EQ(complain("name: p\nnats: {linux: 1}\nregions: {US_iowa: 1}\n"),
            file + ":1:1: key 'accesses' is missing in a population");
  fs::remove_all(folder);
}

TEST(ScenarioAssignment, ReplacesAndAddsValuesInOrder) {
  const auto scenario = load(with("trials: 3"), {{"trials", "4"},
                                                 {"trials", "5"},
                                                 {"relays.asymmetry", "40 ms"},
                                                 {"peers.a.nat", "APDM/APDF/preserve,udp_timeout=30s"},
                                                 {"peers.b", "{nat: linux, region: JP_tokyo}"}});
  ASSERT_TRUE(scenario) << to_string(scenario.error());
  EXPECT_EQ(scenario->trials, 5U);
  EXPECT_EQ(scenario->relays.asymmetry, 40ms);
  EXPECT_EQ(scenario->a.kind.nat, "APDM/APDF/preserve,udp_timeout=30s");
  EXPECT_EQ(scenario->b.kind, (PeerKind{"linux", "JP_tokyo", "none"}));
}

TEST(ScenarioAssignment, ErrorsNameTheArgument) {
  const auto error = [](const Assignment& assignment) { return complaint(with("trials: 3"), {assignment}); };
  EXPECT_EQ(error({"trails", "4"}), "--set trails=4: unknown key 'trails'; did you mean 'trials'?");
  EXPECT_EQ(error({"peers.a.natt", "linux"}),
            "--set peers.a.natt=linux: unknown key 'natt' in peers.a; did you mean 'nat'?");
  EXPECT_EQ(error({"trials", "0", "--trials"}),
            "--trials trials=0: expected a whole number from 1 to 100000000, not '0'");
  EXPECT_THAT(error({"peers.a.nat", "EIM/XPDF"}), StartsWith("--set peers.a.nat=EIM/XPDF: character 5: "));
  EXPECT_THAT(error({"trials.x", "4"}), HasSubstr("no key 'x' under a value that is not a map"));
  EXPECT_THAT(error({"peers..nat", "4"}), HasSubstr("a key is words with dots between"));
  EXPECT_THAT(error({"trials", ""}), HasSubstr("not nothing"));
  EXPECT_THAT(error({"ip", "[4"}), StartsWith("--set ip=[4: "));
  EXPECT_THAT(error({"relays", "{count: 1, count: 2}"}), HasSubstr("key 'count' is given twice"));
}

TEST(ScenarioYaml, ReadsBackToTheSameValue) {
  for (const auto* name : {"flare-2022", "pair", "smoke"}) {
    const auto path = std::string(FLARESIM_SOURCE_DIR "/scenarios/") + name + ".yaml";
    const auto scenario = load_scenario(path,
                                        {{"time_limit", "1234567 us"},
                                         {"unreachable_pairs", "0.1"},
                                         {"description", "\"a: 'b' # c\\n\""},
                                         {"protocol",
                                          "{roles: legacy, quic_initial_rtt: 1500 us, "
                                          "accepted_socket_takes_punch_role: true, security: tls}"}},
                                        data_directory());
    ASSERT_TRUE(scenario) << to_string(scenario.error());
    const auto again = load(to_yaml(*scenario));
    ASSERT_TRUE(again) << to_string(again.error()) << to_yaml(*scenario);
    EXPECT_EQ(*again, *scenario) << to_yaml(*scenario);
  }
}

TEST(ShippedScenarios, AreValidAndNamedAsTheirFiles) {
  for (const auto& file : std::filesystem::directory_iterator(FLARESIM_SOURCE_DIR "/scenarios")) {
    const auto scenario = load_scenario(file.path().string(), {}, data_directory());
    ASSERT_TRUE(scenario) << to_string(scenario.error());
    EXPECT_EQ(scenario->name, file.path().stem());
  }
}

TEST(ShippedScenarios, Flare2022HasThePublishedShares) {
  const auto scenario =
      load_scenario(FLARESIM_SOURCE_DIR "/scenarios/flare-2022.yaml", {}, data_directory()).value();
  ASSERT_TRUE(scenario.a.population);
  EXPECT_EQ(scenario.a, scenario.b);
  EXPECT_EQ(scenario.a.population->nats,
            (std::vector<Population::Share>{
                {"EIM/EIF", 0.03}, {"EIM/ADF", 0.05}, {"EIM/APDF", 0.89}, {"APDM/APDF/random", 0.03}}));
  EXPECT_EQ(scenario.a.population->tcp_unfriendly, 0.035);
  EXPECT_EQ(scenario.unreachable_pairs, 0.01);
  const auto over = [](const char* transports) { return std::vector<Condition>{{"transports", transports}}; };
  EXPECT_EQ(scenario.expect,
            (std::vector<Expectation>{{"punch_rate", 0.82, 0.89, over("[tcp]")},
                                      {"punch_rate", 0.89, 0.95, over("[quic]")},
                                      {"punch_rate", 0.89, 0.96, over("[tcp, quic]")},
                                      {"punch_rate", 0.90, std::nullopt, over("[tcp, quic]")}}));
}

TEST(WorldData, HasTheTenRegionsAndNineAccessLinks) {
  const auto data = WorldData::load(data_directory());
  ASSERT_TRUE(data) << to_string(data.error());
  EXPECT_THAT(data->region_names(),
              testing::ElementsAre("US_iowa", "CA_toronto", "BR_saopaulo", "UK_london", "DE_frankfurt",
                                   "FI_hamina", "IN_mumbai", "SG_singapore", "JP_tokyo", "AU_melbourne"));
  EXPECT_THAT(data->access_names(),
              testing::UnorderedElementsAre("none", "fibre", "cable", "dsl", "wifi", "4g", "satellite-leo",
                                            "satellite-geo", "datacenter"));
  EXPECT_EQ(data->access("none"), net::LinkProfile{});
  EXPECT_EQ(data->access("4g").up.delay, 25ms);
}

}  // namespace
}  // namespace flaresim::world
