// Every topology that is shipped, under scenarios/pair.yaml, held against what its NATs alone make of it; and its
// picture.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <sstream>

#include "sim/world/topology.h"
#include "sim/world/trial.h"
#include "tests/sim/world/pair_scenario.h"
#include "tests/sim/world/predicate.h"

namespace flaresim::test {
namespace {

using world::Cause;
using world::Outcome;

constexpr auto independent = Axis::endpoint_independent;
constexpr auto dependent = Axis::address_and_port_dependent;

// What the NATs of these worlds do, as far as it matters here. The kernel's NAT keeps a port that nobody else inside
// holds, so that its mapping is as good as independent.
constexpr NatAxes cone{independent, dependent};
constexpr NatAxes open_carrier{independent, independent};
constexpr NatAxes symmetric{dependent, dependent};
constexpr NatAxes firewall{independent, Axis::address_dependent};

/// A world in the words of the predicate.
struct World {
  Layers a;  ///< NATs and firewalls of A that are not B's too
  Layers b;
  /// The outermost of those that both are behind, if there is one, and whether it sends packets to its own outside back
  /// in. What the relay sees of both is then an address of the same box.
  std::optional<NatAxes> shared{};
  bool hairpins = false;
  bool a_is_public = false;
  bool a_has_udp = true;
};

const std::map<std::string, World> worlds{
    // Arbitrary pooling: B meets A at another address than the one that the relay saw, which B's full cone lets in.
    {"address-pool", {{cone, symmetric}, {open_carrier}}},
    {"address-pool-paired", {{cone, open_carrier}, {cone}}},
    {"as-graph", {{cone}, {cone}}},
    {"cgn-hairpin", {{cone}, {cone}, open_carrier, true}},
    {"congested-backbone", {{cone}, {cone}}},
    {"datacentre-home", {{}, {cone}, {}, false, true}},
    {"ds-lite", {{open_carrier}, {cone}}},
    {"enterprise-home", {{symmetric}, {cone}}},
    {"home-home", {{cone}, {cone}}},
    {"hotel-home", {{cone}, {cone}, {}, false, false, false}},
    {"ipv6-only-dual-stack", {{firewall}, {cone}}},
    {"mobile-home", {{cone}, {cone}}},
    {"mobile-mobile", {{symmetric}, {cone}}},
    {"multihomed", {{cone}, {cone}}},
    {"nat64-464xlat", {{cone}, {cone}}},
    {"nat444-both-sides", {{cone, open_carrier}, {cone, open_carrier}}},
    {"nat444-one-side", {{cone, open_carrier}, {cone}}},
    {"nptv6", {{firewall}, {firewall}}},
    {"same-cgn", {{cone}, {cone}, cone, false}},
    {"same-lan", {{}, {}, cone, false}},
    {"same-lan-hairpin", {{}, {}, cone, true}},
    {"satellite", {{cone}, {cone}}},
    {"vpn-user", {{symmetric}, {cone}}},
};

Outcome predict(World world, world::Transport transport) {
  if (transport == world::Transport::quic && !world.a_has_udp) return Outcome::no_connection;
  if (world.a_is_public) return Outcome::connection_reversed;
  if (world.shared) {
    if (!world.hairpins) return Outcome::failed;
    world.a.push_back(*world.shared);
    world.b.push_back(*world.shared);
  }
  const auto punched = transport == world::Transport::quic
                           ? punched_over_quic(world.a, world.b)
                           : predict_tcp(world.a, world.b) == Verdict::punched;
  return punched ? Outcome::success : Outcome::failed;
}

const std::string data = source_dir + "/topologies";

class Worlds : public testing::TestWithParam<std::string> {};

TEST_P(Worlds, EqualThePredicateOverBothTransports) {
  for (const auto transport : {world::Transport::tcp, world::Transport::quic}) {
    const auto scenario = load("scenarios/pair.yaml",
                               {{"topology", GetParam()}, {"transports", std::string(to_string(transport))}});
    for (std::uint64_t index = 0; index < 3; ++index) {
      const auto trial = world::run_trial(scenario, world_data(), /*seed=*/7, index, {});
      EXPECT_EQ(trial.outcome, predict(worlds.at(GetParam()), transport))
          << to_string(transport) << ": " << to_string(trial.outcome) << " because " << to_string(trial.cause)
          << " " << trial.error;
    }
  }
}

TEST_P(Worlds, HaveTheirPictureBesideThem) {
  const auto topology = world::load_topology(GetParam(), data);
  ASSERT_TRUE(topology) << to_string(topology.error());
  std::ifstream file(data + "/worlds/" + GetParam() + ".svg");
  std::ostringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), topologies::to_svg(diagram_of(*topology)))
      << "write it anew: flaresim topology show " << GetParam() << " --svg > topologies/worlds/" << GetParam()
      << ".svg";
}

struct Rectangle {
  double left, top, right, bottom;
  bool overlaps(const Rectangle& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

TEST_P(Worlds, HavePicturesInWhichNothingOverlaps) {
  const auto svg = topologies::to_svg(diagram_of(world::load_topology(GetParam(), data).value()));
  // Boxes of nodes and of labels have a height; the ground has a white one without a y.
  const std::regex pattern(R"re(<rect x="([-0-9.]+)" y="([-0-9.]+)" width="([0-9.]+)" height="([0-9.]+)")re");
  std::vector<Rectangle> boxes;
  for (std::sregex_iterator at(svg.begin(), svg.end(), pattern), end; at != end; ++at) {
    const auto x = std::stod((*at)[1]), y = std::stod((*at)[2]);
    boxes.push_back({x, y, x + std::stod((*at)[3]), y + std::stod((*at)[4])});
  }
  EXPECT_GE(boxes.size(), 4u);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(boxes[i].overlaps(boxes[j])) << i << " and " << j;
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& world) {
  auto name = world.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Shipped, Worlds, testing::ValuesIn(world::topology_names(data)), test_name);

TEST(NamedWorlds, AreAllPredicted) {
  std::vector<std::string> names;
  for (const auto& [name, world] : worlds) names.push_back(name);
  EXPECT_EQ(names, world::topology_names(data));
}

TEST(NamedWorlds, TellWhichOfTheirNatsDroppedAPacket) {
  const auto scenario = load("scenarios/pair.yaml", {{"topology", "same-cgn"}});
  const auto trial = world::run_trial(scenario, world_data(), 7, 0, {.timeline = true, .captures = {}});
  const auto dropped_by = [&](const std::string& box) {
    return std::ranges::any_of(trial.timeline, [&](const auto& event) {
      return event.node == box && event.what == "nat.drop" && event.detail.starts_with("hairpin: ");
    });
  };
  EXPECT_TRUE(dropped_by("cgn"));
  EXPECT_FALSE(dropped_by("home-a"));
  EXPECT_EQ(trial.a.nat, "fritzbox behind starlink");
}

TEST(NamedWorlds, MultihomedHostsHoldTheirPunchOnTheInterfaceThatTheRelaySaw) {
  const auto scenario = load("scenarios/pair.yaml", {{"topology", "multihomed"}, {"transports", "quic"}});
  const auto trial = world::run_trial(scenario, world_data(), 7, 0, {});
  EXPECT_EQ(trial.outcome, Outcome::success);
  EXPECT_EQ(trial.a.nat, "fritzbox or cgn-cellular-symmetric");
  EXPECT_EQ(trial.a.access, "cable or 4g");
}

TEST(NamedWorlds, TheTunnelOfAVpnHasTheWayToItsExitInIt) {
  // Frankfurt to Toronto and back is 97 ms, Toronto to the relay in Frankfurt once more; without the tunnel it would
  // be none of the two. B is in London.
  const auto far =
      world::run_trial(load("scenarios/pair.yaml", {{"topology", "vpn-user"}}), world_data(), 7, 0, {});
  const auto near = world::run_trial(
      load("scenarios/pair.yaml", {{"topology", "vpn-user"}, {"gateways.vpn-exit.region", "DE_frankfurt"}}),
      world_data(), 7, 0, {});
  ASSERT_TRUE(far.relayed_rtt && near.relayed_rtt);
  const std::chrono::duration<double, std::milli> more = *far.relayed_rtt - *near.relayed_rtt;
  EXPECT_NEAR(more.count(), 97 + 96, 15);  // the access links' jitter
}

}  // namespace
}  // namespace flaresim::test
