#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/report/format.h"
#include "sim/report/report.h"

namespace flaresim::report {
namespace {

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
  return rate_line("punch_rate", tally.punch_rate(), "SUCCESS / (SUCCESS + FAILED)") +
         rate_line("direct_rate", tally.direct_rate(), "(SUCCESS + CONNECTION_REVERSED) / all");
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

}  // namespace

std::string text(const study::Summary& summary) {
  const auto all = summary.tally();
  auto text = fmt::format("{}: {} trials, seed {}{}\n\n", summary.scenario, all.trials(), summary.seed,
                          summary.interrupted ? ", interrupted" : "");
  text += rates(all) + "\n" + layout(outcome_table(all), 1);
  if (const auto causes = cause_table(all); causes.size() > 1) text += "\n" + layout(causes, 1);
  if (!summary.axes.empty()) {
    text += "\n" + layout(cell_table(summary), summary.axes.size());
  } else if (const auto& groups = summary.cells.front().groups; groups.size() > 1) {
    text += "\n" + layout(group_table(groups), 2);
  }
  if (const auto judged = verdicts(summary); !judged.empty()) text += "\n" + judged;
  return text;
}

}  // namespace flaresim::report
