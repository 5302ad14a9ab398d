#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "sim/world/changes.h"
#include "sim/world/pair_world.h"
#include "sim/world/trial.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using world::Outcome;

world::Scenario with_events(const std::string& events, const std::string& nat = "port-restricted") {
  return pair_scenario(nat, nat, {{"events", events}});
}

world::Trial run(const world::Scenario& scenario, std::uint64_t index = 0) {
  return world::run_trial(scenario, world_data(), /*seed=*/11, index, {.timeline = true, .captures = {}});
}

const world::Event* find(const world::Trial& trial, const std::string& node, const std::string& what) {
  const auto found = std::ranges::find_if(
      trial.timeline, [&](const auto& event) { return event.node == node && event.what == what; });
  return found == trial.timeline.end() ? nullptr : &*found;
}

std::string complaint(const std::string& events) {
  const auto scenario = world::load_scenario(source_dir + "/scenarios/pair.yaml", {{"events", events}},
                                             source_dir + "/topologies");
  return scenario ? "" : scenario.error().message;
}

TEST(Events, AreReadAndWrittenBack) {
  const auto scenario = with_events(
      "[{at: 1 s, gateway: a, do: reboot, off: 5 s}, {at: {between: [2 s, 3 s]}, gateway: b, do: flush}, "
      "{at: 4 s, gateway: a, do: switch, nat: symmetric}, {at: 5 s, peer: b, do: link-down}, "
      "{at: 6 s, gateway: b, do: change-address}]");
  ASSERT_EQ(scenario.events.size(), 5u);
  EXPECT_EQ(scenario.events[0].off, 5s);
  EXPECT_EQ(scenario.events[1].latest, 3s);
  EXPECT_EQ(scenario.events[2].nat, "symmetric");
  EXPECT_FALSE(scenario.events[3].at_gateway);
  const auto path = testing::TempDir() + "events.yaml";
  std::ofstream(path) << world::to_yaml(scenario);
  EXPECT_EQ(world::load_scenario(path, {}, source_dir + "/topologies").value(), scenario);
}

TEST(Events, MistakesAreNamed) {
  EXPECT_THAT(complaint("[{at: 1 s, gateway: c, do: flush}]"), HasSubstr("there is no gateway 'c'"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: rebot}]"), HasSubstr("did you mean 'reboot'"));
  EXPECT_THAT(complaint("[{at: 1 s, peer: a, do: flush}]"), HasSubstr("there is no event 'flush'"));
  EXPECT_THAT(complaint("[{at: 1 s, do: flush}]"), HasSubstr("expected gateway or peer"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: switch}]"), HasSubstr("'nat' is missing"));
  EXPECT_THAT(complaint("[{at: 1 s, gateway: a, do: flush, nat: linux}]"),
              HasSubstr("only switch has a nat"));
  EXPECT_THAT(complaint("[{at: {between: [3 s, 2 s]}, gateway: a, do: flush}]"), HasSubstr("from 3 s"));
  EXPECT_THAT(complaint("[{gateway: a, do: flush}]"), HasSubstr("'at' is missing"));
  EXPECT_THAT(complaint("{at: 1 s}"), HasSubstr("a list of events"));
}

/// A phone at home, with a carrier that it can go to, and two homes behind a carrier of theirs.
const std::string town =
    "{home-a: {nat: port-restricted, region: DE_frankfurt}, mobile: {nat: port-restricted, region: "
    "DE_frankfurt}, "
    "carrier: {nat: port-restricted, region: UK_london}, home-b: {nat: port-restricted, behind: carrier}}";

world::Scenario in_town(const std::string& events, std::vector<world::Assignment> more = {}) {
  std::vector<world::Assignment> all{
      {"gateways", town}, {"peers", "{a: {behind: home-a}, b: {behind: home-b}}"}, {"events", events}};
  all.insert(all.end(), more.begin(), more.end());
  return load("scenarios/pair.yaml", all);
}

std::string complaint_in_town(const std::string& events, std::vector<world::Assignment> more = {}) {
  try {
    in_town(events, std::move(more));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(Events, OfGatewaysAndMovesAreReadAndWrittenBack) {
  const auto scenario = in_town(
      "[{at: 1 s, gateway: carrier, do: change-address}, {at: 2 s, peer: a, do: move, to: mobile, access: "
      "4g}, "
      "{at: 3 s, peer: b, do: link-down, interface: home-b}, {at: 4 s, peer: b, do: move, to: a, interface: "
      "1}]");
  ASSERT_EQ(scenario.events.size(), 4u);
  EXPECT_EQ(scenario.events[0].target, "carrier");
  EXPECT_EQ(scenario.events[1].to, "mobile");
  EXPECT_EQ(scenario.events[1].access, "4g");
  EXPECT_EQ(scenario.events[2].interface, 0u);
  EXPECT_EQ(scenario.events[3].interface, 0u);
  const auto path = testing::TempDir() + "town.yaml";
  std::ofstream(path) << world::to_yaml(scenario);
  EXPECT_EQ(world::load_scenario(path, {}, source_dir + "/topologies").value(), scenario);
}

TEST(Events, MistakesAboutPlacesAreNamedWithTheirPosition) {
  const std::string move = "{at: 1 s, peer: a, do: move, to: mobile}";
  EXPECT_THAT(
      complaint_in_town("[" + move + ", {at: 1 s, gateway: carier, do: flush}]"),
      HasSubstr(
          "--set events=[{at: 1 s, peer: a, do: move, to: mobile}, {at: 1 s, gateway: carier, do: flush}]: "
          "character 63: there is no gateway 'carier'; did you mean 'carrier'?"));
  EXPECT_THAT(complaint_in_town("[{at: 1 s, peer: a, do: move, to: mobil}]"),
              HasSubstr("did you mean 'mobile'?"));
  EXPECT_THAT(complaint_in_town("[]"), HasSubstr("nothing is behind gateway 'mobile'"));
  const auto with_move = [&](const std::string& more) {
    return complaint_in_town("[" + move + ", " + more + "]");
  };
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: move}"), HasSubstr("key 'to' is missing"));
  EXPECT_THAT(with_move("{at: 1 s, gateway: carrier, do: move, to: mobile}"),
              HasSubstr("there is no event 'move'"));
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: link-up, to: mobile}"),
              HasSubstr("only move has a gateway to go to"));
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: link-up, access: 4g}"),
              HasSubstr("only move has an access link"));
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: move, to: mobile, access: 4gg}"),
              HasSubstr("did you mean '4g'?"));
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: link-up, interface: 2}"),
              HasSubstr("a whole number from 1 to 1"));
  EXPECT_THAT(with_move("{at: 1 s, peer: a, do: link-up, interface: mobile}"),
              HasSubstr("there is no interface 'mobile'"));
  EXPECT_THAT(with_move("{at: 1 s, gateway: carrier, do: flush, interface: 1}"),
              HasSubstr("only a peer has interfaces"));
  EXPECT_THAT(with_move("{at: 1 s, gateway: carrier, do: switch, nat: open}"),
              HasSubstr("differ in whether they translate"));
}

TEST(Events, WhatAGatewayWithoutATableCannotDoIsRefused) {
  const auto in = [](const std::string& topology, const std::string& event) {
    const auto scenario = world::load_scenario(
        source_dir + "/scenarios/pair.yaml",
        {{"topology", topology}, {"events", "[{at: 1 s, " + event + "}]"}}, source_dir + "/topologies");
    return scenario ? "" : scenario.error().message;
  };
  EXPECT_THAT(in("nptv6", "gateway: office, do: flush"), HasSubstr("keeps no table"));
  EXPECT_EQ(in("nptv6", "gateway: a, do: change-address"), "");  // the firewall's
  EXPECT_EQ(in("nptv6", "gateway: office, do: link-down"), "");
  EXPECT_THAT(in("nat64-464xlat", "peer: a, do: move, to: b"), HasSubstr("is a clat"));
  EXPECT_THAT(
      complaint_in_town("[{at: 1 s, peer: a, do: move, to: mobile}, {at: 1 s, gateway: a, do: flush}]",
                        {{"gateways.mobile", "{kind: nptv6, region: DE_frankfurt}"}}),
      HasSubstr("no gateway from 'mobile' to the Internet keeps a table"));
}

TEST(Events, HappenAtTheirTimeAndAreToldOf) {
  const auto trial = run(with_events("[{at: 250 ms, gateway: a, do: reboot, off: 2 s}]"));
  const auto* const reboot = find(trial, "nat-a", "event.reboot");
  ASSERT_NE(reboot, nullptr);
  EXPECT_EQ(reboot->at, 250ms);
  EXPECT_EQ(reboot->detail, "off for 2 s");
}

TEST(Events, RandomTimesDifferByTrialAndNotByRun) {
  const auto scenario = with_events("[{at: {between: [1 ms, 300 ms]}, gateway: a, do: flush}]");
  const auto at = [&](std::uint64_t index) {
    const auto trial = run(scenario, index);
    const auto* const event = find(trial, "nat-a", "event.flush");
    return event ? event->at : -1ns;
  };
  EXPECT_EQ(at(0), at(0));
  EXPECT_NE(at(0), at(1));
  EXPECT_GE(at(1), 1ms);
  EXPECT_LE(at(1), 300ms);
}

TEST(Events, AnotherNatDecidesFromThenOn) {
  EXPECT_EQ(run(with_events("[]")).outcome, Outcome::success);
  const auto trial =
      run(with_events("[{at: 0 s, gateway: a, do: switch, nat: symmetric}, {at: 0 s, gateway: b, do: switch, "
                      "nat: symmetric}]"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, world::Cause::silence);
}

TEST(Events, ASwitchInTheMiddleOfAPunchLetsItSucceed) {
  const std::vector<world::Assignment> quic{{"transports", "[quic]"}};
  auto strict = quic;
  strict.push_back({"peers.a.nat", "symmetric"});
  strict.push_back({"events", "[{at: 3 s, gateway: b, do: switch, nat: full-cone}]"});
  const auto trial = run(load("scenarios/pair.yaml", strict));
  EXPECT_EQ(trial.outcome, Outcome::success) << trial.error;
  ASSERT_TRUE(trial.direct_after && trial.relayed_after);
  EXPECT_GT(*trial.relayed_after + *trial.direct_after, 3s);
  strict.back() = {"events", "[]"};
  EXPECT_EQ(run(load("scenarios/pair.yaml", strict)).outcome, Outcome::failed);
}

TEST(Events, ADrawnFirewallIsNotSwitchedToANat) {
  const auto scenario =
      load("scenarios/pair.yaml",
           {{"peers.a",
             "{population: {name: p, nats: {open: 1}, regions: {DE_frankfurt: 1}, accesses: {none: 1}}}"},
            {"events", "[{at: 1 ms, gateway: a, do: switch, nat: symmetric}]"}});
  const auto trial = run(scenario);
  EXPECT_EQ(trial.outcome, Outcome::connection_reversed) << trial.error;
  const auto* const event = find(trial, "nat-a", "event.switch");
  ASSERT_NE(event, nullptr);
  EXPECT_THAT(event->detail, HasSubstr("not to symmetric"));
}

TEST(Events, ARebootEndsWhenItsTimeOffIsOver) {
  // TCP tries again 1 s, 3 s and 7 s after the first time (RFC 6298).
  const auto trial = run(with_events("[{at: 0 s, gateway: b, do: reboot, off: 2 s}]"));
  EXPECT_EQ(trial.outcome, Outcome::success) << trial.error;
  ASSERT_TRUE(trial.relayed_after);
  EXPECT_GT(*trial.relayed_after, 3s);
  EXPECT_LT(*trial.relayed_after, 4s);
}

TEST(Events, APunchIntoARebootingGatewayFailsInTheExchangeOfTheNextAttempt) {
  // The gateway of B goes down in the very instant in which B dials, and with it the way over the relay.
  const auto usual = run(with_events("[]"));
  const auto* const dial = find(usual, "B", "dcutr.dial");
  ASSERT_NE(dial, nullptr);
  const auto trial = run(with_events("[{at: " + std::to_string(dial->at.count()) +
                                     " ns, gateway: b, do: reboot, off: 10 min}]"));
  EXPECT_EQ(trial.outcome, Outcome::failed);
  EXPECT_EQ(trial.cause, world::Cause::protocol_error);
  const auto* const lost = find(trial, "nat-b", "nat.drop");
  ASSERT_NE(lost, nullptr);
  EXPECT_THAT(lost->detail, HasSubstr("restarting"));
}

TEST(Events, APeerWithoutALinkReachesNoRelay) {
  const auto trial = run(with_events("[{at: 0 s, peer: b, do: link-down}]"));
  EXPECT_EQ(trial.outcome, Outcome::no_connection);
  EXPECT_EQ(trial.cause, world::Cause::relay_unreachable);
}

TEST(Events, ANewLeaseIsUsedByWhatComesLater) {
  for (const char* nat : {"port-restricted", "open"}) {
    const auto trial = run(with_events("[{at: 0 s, gateway: a, do: change-address}]", nat));
    const auto* const event = find(trial, "nat-a", "event.change-address");
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->detail, "84.16.40.8");
    EXPECT_TRUE(trial.outcome == Outcome::success || trial.outcome == Outcome::connection_reversed)
        << to_string(trial.outcome);
  }
}

TEST(Events, AnyGatewayOfTheTreeMayGetAnotherAddress) {
  const std::string move = "{at: 170 s, peer: a, do: move, to: mobile}";
  const std::vector<std::pair<std::string, std::string>> leases{
      {"home-b", "100.64.3.11"}, {"carrier", "84.16.42.8"}, {"home-a", "84.16.40.8"}, {"b", "100.64.3.11"}};
  for (const auto& [gateway, address] : leases) {
    const auto trial =
        run(in_town("[{at: 0 s, gateway: " + gateway + ", do: change-address}, " + move + "]"));
    EXPECT_EQ(trial.outcome, Outcome::success) << gateway << ' ' << trial.error;
    const auto* const event = find(trial, gateway == "b" ? "home-b" : gateway, "event.change-address");
    ASSERT_NE(event, nullptr) << gateway;
    EXPECT_EQ(event->detail, address);
  }
}

TEST(Events, APrefixFollowsItsLeaseThroughEveryGateway) {
  const auto trial =
      run(in_town("[{at: 0 s, gateway: carrier, do: change-address}, "
                  "{at: 0 s, gateway: home-b, do: change-address}, "
                  "{at: 170 s, peer: a, do: move, to: mobile}]",
                  {{"ip", "[6]"}}));
  EXPECT_EQ(trial.outcome, Outcome::success) << trial.error;
  const auto* const event = find(trial, "home-b", "event.change-address");
  ASSERT_NE(event, nullptr);
  EXPECT_THAT(event->detail, HasSubstr("2a02:8071:41:2::10"));
}

TEST(Events, APunchAfterAMoveLeavesFromTheNewNetwork) {
  // At home no punch succeeds; A is on the train before it has talked to anybody.
  const std::vector<world::Assignment> strict{{"gateways.home-a.nat", "symmetric"}};
  const std::string later = "[{at: 170 s, peer: a, do: move, to: mobile}]";
  EXPECT_EQ(run(in_town(later, strict)).outcome, Outcome::failed);
  const auto trial = run(in_town("[{at: 1 ms, peer: a, do: move, to: mobile}]", strict));
  EXPECT_EQ(trial.outcome, Outcome::success) << trial.error;
  const auto* const event = find(trial, "A", "event.move");
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->at, 1ms);
  EXPECT_EQ(event->detail, "to mobile: 192.168.2.10");
}

TEST(Events, APeerMayVisitTheOtherAndComeHomeAgain) {
  const auto visit =
      run(in_town("[{at: 0 s, peer: a, do: move, to: b}, {at: 1 ms, peer: a, do: move, to: mobile}, "
                  "{at: 2 ms, peer: a, do: move, to: a}]"));
  EXPECT_EQ(visit.outcome, Outcome::success) << visit.error;
  EXPECT_EQ(find(visit, "A", "event.move")->detail, "to home-b: 192.168.4.11");
}

TEST(Events, AMoveHasTheAccessLinkOfTheNewPlace) {
  const auto near = run(in_town("[{at: 0 s, peer: a, do: move, to: mobile}]"));
  const auto far = run(in_town("[{at: 0 s, peer: a, do: move, to: mobile, access: satellite-geo}]"));
  ASSERT_TRUE(near.direct_rtt && far.direct_rtt) << far.error;
  EXPECT_GT(*far.direct_rtt, *near.direct_rtt + 300ms);
}

/// A connection between A and B over one transport, while events happen. It is dialled without the help of a relay, from
/// behind a NAT to a public address.
struct Visit {
  enum class From { a, b };

  Visit(const std::string& transport, const std::string& events, From from = From::a)
      : scenario(in_town(events, {{"transports", transport},
                                  {from == From::a ? "gateways.home-b.nat" : "gateways.home-a.nat", "open"},
                                  {"gateways.carrier.nat", from == From::a ? "open" : "port-restricted"}})),
        geography(scenario, world_data()),
        world(scenario, world_data(), geography, world::draw(scenario, geography, random), random),
        changes(world, scenario.events, random,
                [this](const std::string& node, std::string_view what, const std::string& detail) {
                  story += node + " " + std::string(what) + " " + detail + "\n";
                }) {
    world.a().node->swarm().set_trace([this](std::string_view what, const std::string& detail) {
      story += "A " + std::string(what) + " " + detail + "\n";
    });
    const bool from_a = from == From::a;
    io::spawn(world.simulation().executor(),
              dial(this, from_a ? &world.a() : &world.b(), from_a ? &world.b() : &world.a()));
  }
  static io::Task<> dial(Visit* visit, world::Machine* from, world::Machine* to) {
    swarm::DialRequest request{
        .peer = to->node->id(),
        .addresses = visit->world.addresses_of(*to, visit->world.transports().front())};
    const auto result = co_await from->node->swarm().dial(std::move(request));
    visit->connected = result.connection != nullptr;
  }
  static io::Task<> ping(Visit* visit) {
    const auto connection = visit->world.b().node->swarm().connection_to(visit->world.a().node->id());
    if (!connection) co_return;
    const auto rtt = co_await visit->world.b().node->ping().ping(connection);
    visit->answered = rtt.has_value();
  }
  /// Whether B hears from A over the connection that stands.
  bool alive() {
    answered = false;
    io::spawn(world.simulation().executor(), ping(this));
    world.simulation().run_for(10s);
    return answered;
  }

  io::Random random{3};
  world::Scenario scenario;
  world::Geography geography;
  std::string story;
  bool connected = false;
  bool answered = false;
  world::PairWorld world;
  world::Changes changes;
};

constexpr const char* train = "[{at: 5 s, peer: a, do: move, to: mobile}]";

TEST(Events, AQuicConnectionFollowsItsHostToAnotherNetwork) {
  Visit visit("[quic]", train);
  visit.world.simulation().run_for(4s);
  ASSERT_TRUE(visit.connected);
  EXPECT_TRUE(visit.alive());
  visit.world.simulation().run_for(60s);
  EXPECT_TRUE(visit.alive());
  EXPECT_THAT(visit.story, HasSubstr("A event.move to mobile"));
}

TEST(Events, AQuicConnectionIsForgottenWhenTheOtherSidesFilterKeepsTheNewAddressOut) {
  Visit visit("[quic]", train, Visit::From::b);
  visit.world.simulation().run_for(4s);
  ASSERT_TRUE(visit.connected);
  EXPECT_TRUE(visit.alive());
  visit.world.simulation().run_for(60s);  // twice its idle timeout
  EXPECT_FALSE(visit.alive());
  EXPECT_TRUE(visit.world.a().node->swarm().connections().empty()) << visit.story;
  EXPECT_THAT(visit.story, HasSubstr("A disconnected"));
}

TEST(Events, ATcpConnectionDiesWithTheNetworkOfItsHost) {
  Visit visit("[tcp]", train);
  visit.world.simulation().run_for(4s);
  ASSERT_TRUE(visit.connected);
  EXPECT_TRUE(visit.alive());
  visit.world.simulation().run_for(120s);
  EXPECT_FALSE(visit.alive());
  EXPECT_TRUE(visit.world.a().node->swarm().connections().empty()) << visit.story;
}

TEST(Events, ALinkOfOneInterfaceLeavesTheOthersUp) {
  const std::vector<world::Assignment> two{{"peers", "{a: {behind: [home-a, mobile]}, b: {behind: home-b}}"}};
  const auto with = [&](const std::string& interface) {
    return run(in_town("[{at: 0 s, peer: a, do: link-down" + interface + "}]", two));
  };
  EXPECT_EQ(with(", interface: home-a").outcome, Outcome::success);
  EXPECT_EQ(with(", interface: 2").outcome, Outcome::success);
  const auto neither = with("");
  EXPECT_EQ(neither.outcome, Outcome::no_connection);
  EXPECT_EQ(neither.cause, world::Cause::relay_unreachable);
}

}  // namespace
}  // namespace flaresim::test
