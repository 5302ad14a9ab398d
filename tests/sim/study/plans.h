#pragma once

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

/// A trial with something in every field, derived from its index.
inline world::Trial full_trial(std::uint64_t seed, std::uint64_t index) {
  world::Trial trial;
  trial.index = index;
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

}  // namespace flaresim::study
