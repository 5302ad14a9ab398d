#include "sim/world/trial.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <stdexcept>

#include "tests/bench/bare_tcp.h"
#include "tests/bench/measure.h"
#include "tests/bench/recording.h"

namespace flaresim::bench {
namespace {

const std::string source_dir = FLARESIM_SOURCE_DIR;

world::Scenario load(const std::string& name) {
  auto scenario = world::load_scenario(source_dir + "/scenarios/" + name, {}, source_dir + "/topologies");
  if (!scenario) throw std::runtime_error(world::to_string(scenario.error()));
  return *scenario;
}

const world::WorldData& world_data() {
  static const auto data = world::WorldData::load(source_dir + "/topologies");
  if (!data) throw std::runtime_error(world::to_string(data.error()));
  return *data;
}

double milliseconds(CpuTime time, int divisor = 1) { return 1e3 * time.count() / divisor; }

double count(const std::vector<SodiumCall>& calls, SodiumCall::What what) {
  return static_cast<double>(
      std::count_if(calls.begin(), calls.end(), [&](const SodiumCall& call) { return call.what == what; }));
}

void count_calls(benchmark::State& state, const std::vector<SodiumCall>& calls) {
  using What = SodiumCall::What;
  state.counters["x25519"] = count(calls, What::agree) + count(calls, What::public_key);
  state.counters["sign"] = count(calls, What::sign);
  state.counters["verify"] = count(calls, What::verify);
  state.counters["handshake_aead"] = count(calls, What::seal) + count(calls, What::open);
}

std::size_t payload_of(const Recording& recording) {
  std::size_t bytes = 0;
  for (const auto& connection : recording.connections)
    for (const auto& segment : connection.segments) bytes += segment.bytes;
  return bytes;
}

std::size_t segments_of(const Recording& recording) {
  std::size_t segments = 0;
  for (const auto& connection : recording.connections) segments += connection.segments.size();
  return segments;
}

/// A trial and its bare parts take turns, so that what else the machine does hits them alike.
void one_trial(benchmark::State& state, const Sizes& sizes) {
  const auto scenario = load("pair.yaml");
  const auto& data = world_data();
  const auto recording = record_trial(scenario, data, 0);
  SodiumReplay handshakes(recording.handshakes);
  SodiumReplay transport(recording.transport);
  const auto repeat = [&](auto&& call) {
    return milliseconds(cpu_of([&] {
                          for (int i = 0; i < sizes.trials_per_round; ++i) call();
                        }),
                        sizes.trials_per_round);
  };

  world::Trial trial;
  BareRun bare;
  std::vector<double> trial_ms, sodium_ms, transport_ms, bare_ms, ratio;
  for (auto _ : state) {
    trial_ms.push_back(repeat([&] { trial = run_trial(scenario, data, scenario.seed, 0, {}); }));
    sodium_ms.push_back(repeat([&] { handshakes.run(); }));
    transport_ms.push_back(repeat([&] { transport.run(); }));
    bare_ms.push_back(repeat([&] { bare = run_bare(recording, data); }));
    ratio.push_back(trial_ms.back() / (sodium_ms.back() + bare_ms.back()));
  }
  if (trial.outcome != world::Outcome::success || bare.bytes_written != payload_of(recording))
    throw std::logic_error("the trial or its replay did not go the whole way");

  state.counters["trial_ms"] = median(trial_ms);
  state.counters["bare_handshakes_ms"] = median(sodium_ms);
  state.counters["bare_tcp_ms"] = median(bare_ms);
  state.counters["over_bare"] = median(ratio);
  state.counters["transport_aead_ms"] = median(transport_ms);
  state.counters["events"] = static_cast<double>(trial.events);
  state.counters["packets"] = static_cast<double>(trial.packets);
  state.counters["handshakes"] = static_cast<double>(trial.handshakes);
  state.counters["segments"] = static_cast<double>(segments_of(recording));
  state.counters["payload_bytes"] = static_cast<double>(payload_of(recording));
  state.counters["bare_events"] = static_cast<double>(bare.events);
  state.counters["bare_packets"] = static_cast<double>(bare.packets);
  count_calls(state, recording.handshakes);
}

void population(benchmark::State& state, const Sizes& sizes) {
  const auto scenario = load("flare-2022.yaml");
  const auto& data = world_data();
  std::vector<double> rate;
  double handshakes = 0;
  for (auto _ : state) {
    handshakes = 0;
    const auto took = cpu_of([&] {
      for (std::uint64_t index = 0; index < sizes.population_trials; ++index) {
        const auto trial = run_trial(scenario, data, scenario.seed, index, {});
        if (trial.outcome == world::Outcome::unknown) throw std::logic_error(trial.error);
        handshakes += static_cast<double>(trial.handshakes);
      }
    });
    rate.push_back(static_cast<double>(sizes.population_trials) / took.count());
  }
  state.counters["trials/s"] = median(rate);
  state.counters["handshakes/trial"] = handshakes / static_cast<double>(sizes.population_trials);
}

}  // namespace

void register_trial(const Sizes& sizes) {
  benchmark::RegisterBenchmark("pair_trial", one_trial, sizes)
      ->Iterations(sizes.rounds)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("flare_2022", population, sizes)
      ->Iterations(1)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
