#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <tuple>

#include "sim/world/pair_world.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

/// Throws when it has been asked so many times.
struct Fuse {
  int left;
  bool blown = false;
  void burn() {
    if (--left == 0) {
      blown = true;
      throw std::runtime_error("in the middle");
    }
  }
};

io::Task<> meet(world::PairWorld& in) {
  for (const auto transport : in.transports()) {
    swarm::DialRequest request{
        in.relay().node->id(), in.addresses_of(in.relay(), transport), false, std::nullopt, {}};
    co_await in.b().node->swarm().dial(std::move(request));
  }
  const auto transport = in.transports().back();
  co_await in.b().node->relay_client().reserve(in.relay().node->id(), in.addresses_of(in.relay(), transport));
  const auto relay = in.addresses_of(in.relay(), transport).front().with_peer(in.relay().node->id());
  swarm::DialRequest request{
      in.b().node->id(), {relay.encapsulate(multiformats::Multiaddr::circuit())}, false, std::nullopt, {}};
  co_await in.a().node->swarm().dial(std::move(request));
}

enum class Where { packets, keys, qlog };

/// Runs a world until the fuse blows, and takes it down. False: it never did.
bool blow(Where where, int after, const world::Scenario& scenario, world::Geography& geography) {
  const io::Random random(5);
  Fuse fuse{after};
  const auto tap = [&](const std::string&, swarm::SwarmProfile& profile) {
    if (where == Where::keys) profile.tls.key_log = [&](std::string_view) { fuse.burn(); };
    if (where == Where::qlog)
      profile.quic.open_qlog = [&](std::string_view) -> quic::QlogSink {
        fuse.burn();
        return [](std::string_view) {};
      };
  };
  const auto drawn = world::draw(scenario, geography, random);
  world::PairWorld world(scenario, world_data(), geography, drawn, random, {}, {}, tap);
  if (where == Where::packets)
    for (auto& gateway : world.gateways())
      gateway.box->on_verdict([&](const net::NatEvent&) { fuse.burn(); });
  io::spawn(world.simulation().executor(), meet(world));
  try {
    world.simulation().run_for(std::chrono::seconds(20));
  } catch (const std::runtime_error&) {
  }
  return fuse.blown;
}

class ATornWorld : public testing::TestWithParam<std::tuple<Where, const char*>> {};
INSTANTIATE_TEST_SUITE_P(PairWorld, ATornWorld,
                         testing::Combine(testing::Values(Where::packets, Where::keys, Where::qlog),
                                          testing::Values("[tcp]", "[quic]", "[tcp, quic]")));

TEST_P(ATornWorld, ComesDownAtOnce) {
  const auto [where, transports] = GetParam();
  const auto scenario = pair_scenario("port-restricted", "port-restricted", {{"transports", transports}});
  world::Geography geography(scenario, world_data());
  int worlds = 0;
  ::alarm(60);  // a world that spins ends this program
  while (worlds < 150 && blow(where, worlds + 1, scenario, geography)) ++worlds;
  ::alarm(0);
  const bool has_no_such_thing = where != Where::packets && transports == std::string("[tcp]");
  EXPECT_GE(worlds, has_no_such_thing ? 0 : 2);
}

}  // namespace
}  // namespace flaresim::test
