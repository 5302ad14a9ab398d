#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sim/world/trial.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {

/// scenarios/pair.yaml from a cold start: twelve public nodes all over the world, three of them known.
inline std::vector<world::Assignment> from_a_cold_start(std::vector<world::Assignment> more = {}) {
  std::vector<world::Assignment> all{
      {"discovery", "cold-start"}, {"relays", "{count: 12, access: none}"}, {"time_limit", "5 min"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline world::Scenario cold_start(const std::string& nat_a, const std::string& nat_b,
                                  std::vector<world::Assignment> more = {}) {
  return pair_scenario(nat_a, nat_b, from_a_cold_start(std::move(more)));
}

inline bool is_direct(const world::Trial& trial) {
  return trial.outcome == world::Outcome::success || trial.outcome == world::Outcome::connection_reversed;
}

inline std::vector<world::Event> events_of(const world::Trial& trial, const std::string& node,
                                           const std::string& what) {
  std::vector<world::Event> events;
  std::ranges::copy_if(trial.timeline, std::back_inserter(events),
                       [&](const auto& event) { return event.node == node && event.what == what; });
  return events;
}

/// The timeline, for the message of a failed expectation.
inline std::string told(const world::Trial& trial) {
  auto text = std::string(to_string(trial.outcome)) + " because " + std::string(to_string(trial.cause)) +
              " " + trial.error + "; A " + trial.dialability_a.verdict + "/" + trial.dialability_a.truth +
              ", B " + trial.dialability_b.verdict + "/" + trial.dialability_b.truth + "\n";
  for (const auto& event : trial.timeline) {
    if (event.node != "A" && event.node != "B") continue;
    text += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(event.at).count()) + " ms " +
            event.node + " " + event.what + " " + event.detail + "\n";
  }
  return text;
}

}  // namespace flaresim::test
