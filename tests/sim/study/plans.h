#pragma once

#include "sim/study/result_codec.h"
#include "sim/study/run.h"

namespace flaresim::study {

/// A plan with cells of the given numbers of trials, made without files.
inline Plan plan_of(const std::vector<std::uint64_t>& trials) {
  Plan plan;
  plan.base.name = "test";
  plan.base.seed = 5;
  plan.axes = {"cell"};
  for (std::size_t i = 0; i < trials.size(); ++i) {
    Cell cell{.at = {{"cell", std::to_string(i)}}, .scenario = plan.base};
    cell.scenario.trials = trials[i];
    plan.cells.push_back(std::move(cell));
  }
  return plan;
}

/// The same, of networks.
inline Plan networks_of(const std::vector<std::uint64_t>& worlds) {
  auto plan = plan_of(worlds);
  for (auto& cell : plan.cells) {
    cell.scenario.network.emplace().pairs.emplace().attempts = 3;
  }
  return plan;
}

/// All that a row has.
inline std::vector<std::uint8_t> bytes_of(const world::Trial& trial) {
  return encode(JobResult{.trials = {trial}});
}

/// A trial with something in every field, derived from its index.
inline world::Trial full_trial(std::uint64_t seed, std::uint64_t index) {
  world::Trial trial;
  trial.index = trial.world = index;
  trial.outcome = world::all_outcomes[index % world::all_outcomes.size()];
  trial.cause = world::all_causes[index % world::all_causes.size()];
  trial.error = "it's \"odd\", \xC3\xA9\n;";
  trial.a = {"EIM/APDF,udp_timeout=30s", "DE_frankfurt", "cable"};
  trial.b = {"linux", "", "none"};
  trial.relay_region = "JP_tokyo";
  trial.transport = "tcp";
  trial.attempts = 3;
  trial.relayed_after = std::chrono::nanoseconds(123'456'789'012'345 + static_cast<std::int64_t>(index));
  trial.direct_after = std::chrono::nanoseconds(1);
  trial.relayed_rtt = std::nullopt;
  trial.direct_rtt = std::chrono::nanoseconds(0);
  trial.dialability_a = {"private", "public"};
  trial.dialability_b = {"public", "public"};
  trial.phases = {std::chrono::seconds(15), std::chrono::nanoseconds(1), std::nullopt, std::chrono::hours(1),
                  std::nullopt};
  trial.events = 1'000'000'000'000 + seed;
  trial.packets = 2;
  trial.handshakes = 8;
  return trial;
}

/// A world with something else in every field.
inline world::NetworkResult full_network(std::uint64_t seed, std::uint64_t number) {
  world::NetworkResult result;
  for (std::uint64_t attempt = 0; attempt < 3; ++attempt) {
    auto& row = result.rows.emplace_back(full_trial(seed, number * 3 + attempt));
    row.world = number;
  }
  double next = 0.1 + static_cast<double>(number);
  const auto spread = [&] {
    const auto first = next += 1.0 / 3;
    return world::Spread{static_cast<std::uint64_t>(first), first, first + 0.1, first * 1e9, first * 1e-9};
  };
  auto& report = result.report;
  report.world = number;
  report.nodes = 1'000 + seed;
  report.public_nodes = 321;
  report.simulated = std::chrono::minutes(90) + std::chrono::nanoseconds(1);
  report.node_hours = 1234.56789;
  report.starts = 17;
  report.leaves = 18;
  report.lookups = {spread(), spread(), spread(), 1'000'000'000'000, 19};
  report.probes = {200, 199, spread(), spread()};
  report.verdicts = {{"", true, 320, 319, 1, 0, spread()},
                     {"EIM/APDF,udp_timeout=30s", false, 9, 2, 3, 4, spread()}};
  report.false_public = 2;
  report.false_private = 1;
  report.tables = {20, 21, 22, 23, 24, spread()};
  report.relays = {31, spread(), spread(), 32, 33, 34, 35, {{200, 36}, {201, 37}}, 38, 50, 5};
  report.funnel = {41, 42, 43, 44, 45, 46, 47, 48};
  if (number % 2 == 1) report.kill = {{51, 52, 53, 54}};
  report.connections = spread();
  report.events = 61;
  report.packets = 62;
  report.handshakes = 63;
  report.left_behind = 64;
  return result;
}

}  // namespace flaresim::study
