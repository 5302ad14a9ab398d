#include "sim/world/trial.h"

#include <fmt/core.h>

#include <exception>
#include <fstream>

#include "protocols/relay/relay_error.h"
#include "sim/world/changes.h"
#include "sim/world/cold_start.h"
#include "sim/world/node_profile.h"
#include "sim/world/pair_world.h"
#include "sim/world/recorder.h"
#include "sim/world/story.h"
#include "sim/world/upgrade.h"

namespace flaresim::world {
namespace {

using multiformats::Multiaddr;

/// What A and B do when they know their relays, and each other, from the start.
class FixedRelays final : public Story {
 public:
  FixedRelays(PairWorld& world, Trial& trial)
      : world_(world), trial_(trial), upgrade_(world.simulation(), trial) {}

  void begin() override {
    upgrade_.watch(*world_.a().node, *world_.b().node, world_.began());
    io::spawn(world_.simulation().executor(), run());
  }

  bool over() const override { return over_; }

  void give_up() override {
    end(upgrade_.so_far(), Cause::time_limit);
    upgrade_.abandon();
    over_ = true;
  }

 private:
  io::Task<> run() {
    co_await tell();
    over_ = true;
  }

  io::Task<> tell() {
    auto& a = world_.a();
    auto& b = world_.b();
    // Peers have been up for a while before they meet.
    if (a.node->port_mapper()) co_await a.node->port_mapper()->settled();
    if (b.node->port_mapper()) co_await b.node->port_mapper()->settled();
    // One at a time: GCC 12 does not stop at the first of several co_await in one condition.
    if (!co_await connect_to_servers(b)) co_return;
    if (!co_await reserve(b)) co_return;
    if (!co_await connect_to_servers(a)) co_return;

    auto relayed = co_await dial_over_relay(a, b);
    if (!relayed) co_return;
    co_await upgrade_.finish();
  }

  void end(Outcome outcome, Cause cause) {
    if (over_) return;
    trial_.outcome = outcome;
    trial_.cause = cause;
  }

  /// Over each transport: what a server sees of us there is an address to punch with.
  io::Task<bool> connect_to_servers(Machine& peer) {
    for (auto& server : world_.servers()) {
      for (const auto transport : world_.transports()) {
        swarm::DialRequest request{.peer = server.node->id(),
                                   .addresses = world_.addresses_of(server, transport)};
        request.over = request.addresses.front().transport();
        const auto dial = co_await peer.node->swarm().dial(std::move(request));
        if (dial.connection) co_await peer.node->identify().wait_for(dial.connection);
      }
      if (!peer.node->swarm().connection_to(server.node->id())) {
        end(Outcome::no_connection, Cause::relay_unreachable);
        co_return false;
      }
    }
    co_return true;
  }

  io::Task<bool> reserve(Machine& peer) {
    for (std::size_t i = 0; i < world_.relays(); ++i) {
      auto& relay = world_.servers()[i];
      std::vector<Multiaddr> connected_already;
      const auto reservation =
          co_await peer.node->relay_client().reserve(relay.node->id(), std::move(connected_already));
      if (!reservation) {
        end(Outcome::no_connection, Cause::reservation_refused);
        co_return false;
      }
    }
    co_return true;
  }

  io::Task<bool> dial_over_relay(Machine& from, Machine& to) {
    const auto& relay = world_.relay();
    // Any address will do: both peers are connected to the relay.
    const auto address = world_.addresses_of(relay, world_.transports().front()).front();
    swarm::DialRequest request{
        .peer = to.node->id(),
        .addresses = {
            address.with_peer(relay.node->id()).encapsulate(Multiaddr::circuit()).with_peer(to.node->id())}};
    const auto dial = co_await from.node->swarm().dial(std::move(request));
    if (dial.connection) co_return true;
    const bool circuit_stood = !dial.failures.empty() && dial.failures.front().connected;
    end(Outcome::no_connection, circuit_stood ? Cause::relayed_upgrade_failed : Cause::circuit_refused);
    co_return false;
  }

  PairWorld& world_;
  Trial& trial_;
  Upgrade upgrade_;
  bool over_ = false;
};

std::unique_ptr<Story> story_of(const Scenario& scenario, PairWorld& world, Trial& trial, Story::Say say) {
  if (scenario.discovery == Discovery::cold_start)
    return make_cold_start(scenario, world, trial, std::move(say));
  return std::make_unique<FixedRelays>(world, trial);
}

void run_story(const Scenario& scenario, const WorldData& data, Geography& geography,
               const io::Random& random, const Draw& drawn, const TrialOptions& options, Trial& trial) {
  Recorder recorder(options, trial);
  PairWorld world(scenario, data, geography, drawn, random,
                  engine::SimulationOptions{options.captures.packets}, node_profile(scenario),
                  recorder.tap());
  recorder.attach(world);
  world.warm_up();
  const auto say = [&](const std::string& node, std::string_view what, std::string detail) {
    recorder.say(world, node, what, std::move(detail));
  };
  const auto story = story_of(scenario, world, trial, say);
  const Changes changes(world, scenario.events, random, say);
  story->begin();
  const auto deadline = world.began() + scenario.time_limit;
  if (!world.simulation().run_until([&] { return story->over(); }, deadline)) story->give_up();
  trial.events = world.simulation().events_executed();
  trial.packets = world.internet().counters().forwarded;
  world.for_each_machine(
      [&](Machine& machine) { trial.handshakes += machine.node->swarm().counters().handshakes; });
  story->look_back();
  recorder.finish();
  world.shut_down();
}

}  // namespace

Trial run_trial(const Scenario& scenario, const WorldData& data, std::uint64_t seed, std::uint64_t index,
                const TrialOptions& options) {
  Trial trial;
  trial.index = index;
  try {
    const auto random = io::Random(seed).derive(fmt::format("trial/{}", index));
    Geography geography(scenario, data);
    const auto drawn = draw(scenario, geography, random);
    trial.a = drawn.a;
    trial.b = drawn.b;
    trial.relay_region = drawn.relay_regions[drawn.relay];
    run_story(scenario, data, geography, random, drawn, options, trial);
  } catch (const std::exception& error) {
    trial.outcome = Outcome::unknown;
    trial.cause = Cause::internal_error;
    trial.error = error.what();
  }
  return trial;
}

}  // namespace flaresim::world
