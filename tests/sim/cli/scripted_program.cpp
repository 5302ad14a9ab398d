#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "sim/cli/program.h"

/// The program over trials that are no simulation: letter `index` of the scenario's description, which is repeated as
/// needed, says how the trial ends.
namespace {

using namespace flaresim;
using namespace std::chrono_literals;

world::Trial scripted(const world::Scenario& scenario, const world::WorldData&, std::uint64_t seed,
                      std::uint64_t index, const world::TrialOptions& options) {
  world::Trial trial;
  trial.index = index;
  trial.a = scenario.a.kind;
  trial.b = scenario.b.kind;
  trial.events = seed * 1000 + index;
  switch (scenario.description.at(index % scenario.description.size())) {
    case 'S':
      trial.outcome = world::Outcome::success;
      trial.transport = "tcp";
      trial.attempts = 1;
      trial.relayed_after = 123'456'789ns;
      break;
    case 'F':
      trial.outcome = world::Outcome::failed;
      trial.cause = world::Cause::silence;
      trial.attempts = 3;
      break;
    case 'R':
      trial.outcome = world::Outcome::connection_reversed;
      break;
    case 'N':
      trial.outcome = world::Outcome::no_stream;
      break;
    case 'U':
      trial.error = "a <bad> \"day\"";
      break;
    case 'K':
      std::raise(SIGKILL);
      break;
    case 'T':
      throw std::logic_error("a broken invariant");
    case 'W':
      std::this_thread::sleep_for(1h);
      break;
    case 'M':  // takes a while, differently from trial to trial
      std::this_thread::sleep_for(std::chrono::milliseconds(index * 7 % 5));
      trial.outcome = world::Outcome::success;
      break;
    default:
      break;
  }
  if (options.timeline) {
    trial.timeline = {{1'500us, "A", "dial", "192.0.2.1:4001"},
                      {20ms, "nat-b", "nat.drop", "no filter lets it in"}};
  }
  return trial;
}

/// World `number` has the attempts that the letters say, and ends as letter `number` does, after a look at its half.
world::NetworkResult scripted_network(const world::Scenario& scenario, const world::WorldData& data,
                                      std::uint64_t seed, std::uint64_t number,
                                      const world::NetworkOptions& options) {
  const auto attempts = scenario.network->pairs ? scenario.network->pairs->attempts : 0;
  world::NetworkResult result;
  result.report.world = number;
  result.report.nodes = scenario.network->nodes;
  result.report.simulated = scenario.network->duration / 2;
  if (options.on_look) options.on_look(result.report.simulated, result.report, {});
  scripted(scenario, data, seed, number, {});
  for (std::uint64_t i = 0; i < attempts; ++i) {
    auto& row =
        result.rows.emplace_back(scripted(scenario, data, seed, number + i, {.timeline = options.timeline}));
    row.index = number * attempts + i;
    row.world = number;
  }
  result.report.simulated = scenario.network->duration;
  result.report.probes.count = 10;
  result.report.probes.right = 9;
  result.report.lookups.took_s = {4, 0.6, 0.5, 0.9, 1.5};
  return result;
}

}  // namespace

int main(int argc, char** argv) { return cli::run_program(argc, argv, scripted, scripted_network); }
