#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "sim/report/format.h"
#include "sim/report/report.h"

namespace flaresim::report {
namespace {

constexpr std::size_t max_groups = 15;

/// Columns two blanks apart: the first `left` ones ranged left, the others right.
std::string layout(const Table& table, std::size_t left) {
  std::vector<std::size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : table) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += i < left ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("{:>{}}", row[i], widths[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string rate_line(const char* name, const study::Rate& rate, const char* meaning) {
  return fmt::format("{:<12} {:>7}  {:<14} {:<16} {}\n", name, percent(rate), interval(rate), fraction(rate),
                     meaning);
}

std::string rates(const study::Tally& tally) {
  const auto winners = tally.transports().empty() ? "" : fmt::format("{:<12} {}\n", "won by", won_by(tally));
  return rate_line("punch_rate", tally.punch_rate(), "SUCCESS / (SUCCESS + FAILED)") +
         rate_line("direct_rate", tally.direct_rate(), "(SUCCESS + CONNECTION_REVERSED) / all") + winners;
}

std::string verdicts(const study::Summary& summary) {
  std::string text;
  for (const auto& cell : summary.cells) {
    for (const auto& verdict : cell.verdicts) {
      const auto where = place(cell);
      text += fmt::format("{}: {}{}\n", verdict.met ? "met" : "MISSED", sentence(verdict),
                          where.empty() ? "" : " (" + where + ")");
    }
  }
  return text;
}

/// The pairs of NATs that were drawn most often.
std::string groups_of(const study::CellSummary& cell) {
  auto groups = cell.groups;
  std::ranges::stable_sort(groups, std::ranges::greater{},
                           [](const study::Group& group) { return group.tally.trials(); });
  if (groups.size() > max_groups) groups.resize(max_groups);
  auto text = layout(group_table(groups), 2);
  if (const auto more = cell.groups.size() - groups.size(); more > 0) {
    text += fmt::format("and {} more pairs of NATs, in the run's summary.json\n", more);
  }
  return text;
}

std::string counts(const study::Tally& tally) {
  auto text = layout(outcome_table(tally), 1);
  if (const auto causes = cause_table(tally); causes.size() > 1) text += "\n" + layout(causes, 1);
  return text;
}

/// What a cell has beside its trials' ends.
std::string details(const study::CellSummary& cell) {
  std::string text;
  if (const auto phases = phase_table(cell); phases.size() > 1) text += "\n" + layout(phases, 1);
  if (!cell.is_network) return text;
  text += "\n" + layout(network_rate_table(cell), 2);
  for (const auto& table : {funnel_table(cell), network_table(cell)}) {
    text += "\n" + layout(table, 1);
  }
  return text + "\n" + layout(verdict_table(cell), 2);
}

std::string cells_of(const study::Summary& summary) {
  auto text = layout(cell_table(summary), summary.axes.size());
  for (const auto& cell : summary.cells) {
    if (const auto more = details(cell); !more.empty()) text += fmt::format("\n{}:\n{}", place(cell), more);
  }
  return text;
}

}  // namespace

std::string text(const study::Summary& summary) {
  const auto all = summary.tally();
  auto text = fmt::format("{}: {}\n\n", summary.scenario, size_of(summary));
  if (summary.axes.empty()) {
    const auto& cell = summary.cells.front();
    text += rates(all);
    if (summary.has_networks()) text += about_intervals(all.direct_rate()) + "\n";
    text += "\n" + counts(all) + details(cell);
    if (cell.groups.size() > 1) text += "\n" + groups_of(cell);
  } else {
    text += cells_of(summary);
    if (summary.has_networks()) text += "\n" + about_intervals(all.direct_rate()) + "\n";
    text += "\nAll cells together:\n\n" + counts(all);
  }
  if (const auto judged = verdicts(summary); !judged.empty()) text += "\n" + judged;
  for (const auto& note : notes(summary)) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace flaresim::report
