#include "sim/study/summary.h"

#include <algorithm>

namespace flaresim::study {

namespace {

Count true_closest(const world::NetworkReport& report) { return {report.probes.right, report.probes.count}; }

Count true_verdicts(const world::NetworkReport& report) {
  Count count;
  for (const auto& kind : report.verdicts) {
    count.numerator += kind.dialable ? kind.says_public : kind.says_private;
    count.denominator += kind.nodes;
  }
  return count;
}

Count reserved(const world::NetworkReport& report) {
  const auto& relays = report.relays;
  return {relays.private_nodes - relays.without_reservation, relays.private_nodes};
}

}  // namespace

std::uint64_t CellSummary::errors() const {
  return tally.count(world::Outcome::unknown) +
         static_cast<std::uint64_t>(
             std::ranges::count_if(worlds, [](const World& world) { return !world.report; }));
}

Rate CellSummary::rate(std::string_view name) const {
  if (name == "punch_rate") return tally.punch_rate();
  if (name == "direct_rate") return tally.direct_rate();
  const auto of_world = name == "true_closest_rate"   ? true_closest
                        : name == "true_verdict_rate" ? true_verdicts
                                                      : reserved;
  std::vector<Count> counts;
  for (const auto& world : worlds) {
    if (world.report) counts.push_back(of_world(*world.report));
  }
  return clustered(counts);
}

Tally Summary::tally() const {
  Tally all;
  for (const auto& cell : cells) all.add(cell.tally);
  return all;
}

bool Summary::met() const {
  return std::ranges::all_of(
      cells, [](const CellSummary& cell) { return std::ranges::all_of(cell.verdicts, &Verdict::met); });
}

std::uint64_t Summary::errors() const {
  std::uint64_t errors = 0;
  for (const auto& cell : cells) errors += cell.errors();
  return errors;
}

bool Summary::has_networks() const { return std::ranges::any_of(cells, &CellSummary::is_network); }

Summarizer::Summarizer(const Plan& plan)
    : plan_(plan), groups_(plan.cells.size()), phases_(plan.cells.size()) {
  summary_.scenario = plan.base.name;
  summary_.description = plan.base.description;
  summary_.seed = plan.base.seed;
  summary_.axes = plan.axes;
  summary_.replaced = plan.replaced;
  summary_.not_applicable = plan.not_applicable;
  summary_.build = build_info();
  for (const auto& cell : plan.cells) {
    auto& into = summary_.cells.emplace_back();
    into.at = cell.at;
    into.seed = cell.scenario.seed;
    into.is_network = cell.scenario.network.has_value();
    into.planned = cell.scenario.trials;
  }
}

void Summarizer::add(const Row& row) {
  const auto& trial = row.trial;
  auto& cell = summary_.cells[row.cell];
  auto& group = groups_[row.cell][{trial.a.nat, trial.b.nat}];
  for (std::size_t i = 0; i < trial.phases.size(); ++i) {
    if (trial.phases[i]) phases_[row.cell][i].push_back(*trial.phases[i]);
  }
  if (cell.is_network) {
    cell.tally.add_shared(trial);
    group.add_shared(trial);
    return;
  }
  ++cell.done;
  cell.tally.add(trial);
  group.add(trial);
  if (trial.outcome == world::Outcome::unknown && !summary_.first_error) {
    summary_.first_error = TrialError{row.cell, trial.index, trial.error};
  }
}

void Summarizer::add(const World& world) {
  auto& cell = summary_.cells[world.cell];
  ++cell.done;
  cell.worlds.push_back(world);
  if (!world.report && !summary_.first_error) {
    summary_.first_error = TrialError{world.cell, world.number, world.error};
  }
}

Summary Summarizer::finish() const {
  auto summary = summary_;
  for (std::size_t i = 0; i < summary.cells.size(); ++i) {
    auto& cell = summary.cells[i];
    for (const auto& [pair, tally] : groups_[i]) cell.groups.push_back({pair.first, pair.second, tally});
    for (std::size_t phase = 0; phase < cell.phases.size(); ++phase) {
      const auto& times = phases_[i][phase];
      cell.phases[phase] = {times.size(), quantile(times, 0.5), quantile(times, 0.9)};
    }
    for (const auto& expectation : plan_.cells[i].scenario.expect) {
      cell.verdicts.push_back(judge(expectation, cell.rate(expectation.rate)));
    }
  }
  return summary;
}

}  // namespace flaresim::study
