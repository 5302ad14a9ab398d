#include "sim/study/summary.h"

#include <algorithm>

namespace flaresim::study {

Tally Summary::tally() const {
  Tally all;
  for (const auto& cell : cells) all.add(cell.tally);
  return all;
}

bool Summary::met() const {
  return std::ranges::all_of(
      cells, [](const CellSummary& cell) { return std::ranges::all_of(cell.verdicts, &Verdict::met); });
}

Summarizer::Summarizer(const Plan& plan) : plan_(plan), groups_(plan.cells.size()) {
  summary_.scenario = plan.base.name;
  summary_.description = plan.base.description;
  summary_.seed = plan.base.seed;
  summary_.axes = plan.axes;
  summary_.replaced = plan.replaced;
  summary_.not_applicable = plan.not_applicable;
  summary_.build = build_info();
  for (const auto& cell : plan.cells) {
    summary_.cells.push_back({.at = cell.at,
                              .seed = cell.scenario.seed,
                              .planned = cell.scenario.trials,
                              .tally = {},
                              .groups = {},
                              .verdicts = {}});
  }
}

void Summarizer::add(const Row& row) {
  const auto& trial = row.trial;
  summary_.cells[row.cell].tally.add(trial);
  groups_[row.cell][{trial.a.nat, trial.b.nat}].add(trial);
  if (trial.outcome == world::Outcome::unknown && !summary_.first_error) {
    summary_.first_error = TrialError{row.cell, trial.index, trial.error};
  }
}

Summary Summarizer::finish() const {
  auto summary = summary_;
  for (std::size_t i = 0; i < summary.cells.size(); ++i) {
    auto& cell = summary.cells[i];
    for (const auto& [pair, tally] : groups_[i]) cell.groups.push_back({pair.first, pair.second, tally});
    for (const auto& expectation : plan_.cells[i].scenario.expect) {
      cell.verdicts.push_back(judge(expectation, cell.tally));
    }
  }
  return summary;
}

}  // namespace flaresim::study
