#include <fmt/format.h>

#include "sim/report/format.h"
#include "sim/report/report.h"

namespace flaresim::report {
namespace {

constexpr std::size_t max_bytes = 60'000;
/// Kept for what follows a table that had to be cut.
constexpr std::size_t reserve_bytes = 6'000;
constexpr std::size_t max_missed = 20;

std::string escaped(const std::string& cell) {
  std::string text;
  for (const char c : cell) {
    if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text;
}

std::string line(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const auto& cell : cells) text += " " + escaped(cell) + " |";
  return text + "\n";
}

/// As many rows as fit into `room` bytes.
std::string layout(const Table& table, std::size_t left, std::size_t room) {
  auto text = line(table.front()) + "|";
  for (std::size_t i = 0; i < table.front().size(); ++i) text += i < left ? " --- |" : " ---: |";
  text += "\n";
  for (std::size_t i = 1; i < table.size(); ++i) {
    const auto row = line(table[i]);
    if (text.size() + row.size() > room) {
      return text + fmt::format("\n{} more rows are in the run's summary.json.\n", table.size() - i);
    }
    text += row;
  }
  return text;
}

std::string rates(const study::Tally& tally) {
  const auto punch = tally.punch_rate();
  const auto direct = tally.direct_rate();
  auto text = layout({{"rate", "value", "95 %", "of"},
                      {"punch_rate", percent(punch), interval(punch), fraction(punch)},
                      {"direct_rate", percent(direct), interval(direct), fraction(direct)}},
                     1, max_bytes);
  if (!tally.transports().empty()) text += fmt::format("\nWon by {}.\n", escaped(won_by(tally)));
  return text;
}

std::string verdicts(const study::Summary& summary) {
  std::string text;
  std::size_t missed = 0;
  std::size_t met = 0;
  for (const auto& cell : summary.cells) {
    for (const auto& verdict : cell.verdicts) {
      if (verdict.met) {
        ++met;
      } else if (++missed <= max_missed) {
        const auto where = place(cell);
        text += fmt::format("- **missed**: {}{}\n", escaped(sentence(verdict)),
                            where.empty() ? "" : escaped(" (" + where + ")"));
      }
    }
  }
  if (missed > max_missed) text += fmt::format("- and {} more\n", missed - max_missed);
  if (met + missed > 0) text = fmt::format("Expectations: {} met, {} missed.\n\n", met, missed) + text;
  for (const auto& note : notes(summary)) text += fmt::format("- note: {}\n", escaped(note));
  return text;
}

/// What a cell has beside its trials' ends.
std::string details(const study::CellSummary& cell) {
  std::string text;
  if (const auto phases = phase_table(cell); phases.size() > 1) text += "\n" + layout(phases, 1, max_bytes);
  if (!cell.is_network) return text;
  text += "\n" + layout(network_rate_table(cell), 2, max_bytes);
  for (const auto& table : {funnel_table(cell), network_table(cell)}) {
    text += "\n" + layout(table, 1, max_bytes);
  }
  return text + "\n" + layout(verdict_table(cell), 2, max_bytes);
}

/// The details of the cells that fit into `room` bytes.
std::string cell_details(const study::Summary& summary, std::size_t room) {
  std::string text;
  for (const auto& cell : summary.cells) {
    const auto more = details(cell);
    if (more.empty()) continue;
    const auto part = fmt::format("\n### {}\n{}", escaped(place(cell)), more);
    if (text.size() + part.size() > room) return text + "\nMore cells are in the run's summary.json.\n";
    text += part;
  }
  return text;
}

std::size_t room_after(const std::string& text) {
  const auto used = text.size() + reserve_bytes;
  return used < max_bytes ? max_bytes - used : 0;
}

}  // namespace

std::string markdown(const study::Summary& summary) {
  const auto all = summary.tally();
  auto text = fmt::format("## {}\n\n{}.\n\n", escaped(summary.scenario), size_of(summary));
  if (summary.axes.empty()) text += rates(all) + "\n";
  if (summary.has_networks()) text += about_intervals(all.direct_rate()) + "\n\n";
  text += verdicts(summary) + "\n" + layout(outcome_table(all), 1, max_bytes);
  if (const auto causes = cause_table(all); causes.size() > 1) text += "\n" + layout(causes, 1, max_bytes);
  if (!summary.axes.empty()) {
    text += "\n" + layout(cell_table(summary), summary.axes.size(), room_after(text));
    text += cell_details(summary, room_after(text));
  } else {
    const auto& cell = summary.cells.front();
    if (const auto more = details(cell); more.size() < room_after(text)) text += more;
    if (cell.groups.size() > 1) text += "\n" + layout(group_table(cell.groups), 2, room_after(text));
  }
  if (summary.rerun.size() < reserve_bytes / 2) text += fmt::format("\n```\n{}\n```\n", summary.rerun);
  return text;
}

}  // namespace flaresim::report
