#include "sim/world/network.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <stdexcept>

#include "sim/world/world_data.h"
#include "tests/bench/measure.h"

namespace flaresim::bench {
namespace {

const std::string source_dir = FLARESIM_SOURCE_DIR;

world::Scenario load(std::uint64_t nodes, int minutes) {
  const auto scenario = world::load_scenario(
      source_dir + "/scenarios/network-10k.yaml",
      {{"network.nodes", std::to_string(nodes)}, {"network.duration", fmt::format("{} min", minutes)}},
      source_dir + "/topologies");
  if (!scenario) throw std::runtime_error(world::to_string(scenario.error()));
  return *scenario;
}

/// One world; what it costs a node and hour that the node is online.
void network(benchmark::State& state, std::uint64_t nodes, int minutes) {
  const auto scenario = load(nodes, minutes);
  const auto data = world::WorldData::load(source_dir + "/topologies").value();
  for (auto _ : state) {
    world::NetworkOptions options;
    options.on_look = [](io::Duration at, const world::NetworkReport& report,
                         const world::NetworkCost& cost) {
      fmt::print(stderr,
                 "{:5.1f} min simulated, {:6.1f} s: {:.2f} GB, {} connection ends, {} events, {} attempts\n",
                 std::chrono::duration<double>(at).count() / 60, cost.wall_s,
                 static_cast<double>(cost.resident_bytes) / 1e9, cost.connections, report.events,
                 report.funnel.attempts);
    };
    const auto [rows, report, cost] = world::run_network(scenario, data, 1, 0, options);
    state.counters["simulated_s"] = std::chrono::duration<double>(report.simulated).count();
    state.counters["wall_s"] = cost.wall_s;
    state.counters["events/node_hour"] = report.per_node_hour(report.events);
    state.counters["packets/node_hour"] = report.per_node_hour(report.packets);
    state.counters["handshakes/node_hour"] = report.per_node_hour(report.handshakes);
    state.counters["connections/node"] = report.connections.mean;
    state.counters["peak_resident_bytes/node"] =
        static_cast<double>(cost.peak_resident_bytes) / static_cast<double>(report.nodes);
    state.counters["probes_right"] = static_cast<double>(report.probes.right);
    state.counters["lookup_median_s"] = report.lookups.took_s.median;
    state.counters["lookup_hops"] = report.lookups.hops.mean;
  }
}

}  // namespace

void register_networks(const Sizes& sizes) {
  for (const auto& [nodes, minutes] : sizes.networks) {
    benchmark::RegisterBenchmark(fmt::format("network/{}", nodes).c_str(), network, nodes, minutes)
        ->Iterations(1)
        ->MeasureProcessCPUTime()
        ->Unit(benchmark::kSecond);
  }
}

}  // namespace flaresim::bench
