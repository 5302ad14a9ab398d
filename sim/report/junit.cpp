#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/report/format.h"
#include "sim/report/report.h"

namespace flaresim::report {
namespace {

/// XML 1.0 §2.2 and §2.4; control characters have no place in a document, not even escaped.
std::string escaped(std::string_view raw) {
  std::string text;
  for (const char c : raw) {
    switch (c) {
      case '&':
        text += "&amp;";
        break;
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      case '"':
        text += "&quot;";
        break;
      case '\n':
      case '\t':
        text += c;
        break;
      default:
        text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return text;
}

std::string reasons(const study::Tally& tally) {
  std::string text;
  const auto causes = cause_table(tally);
  for (std::size_t i = 1; i < causes.size(); ++i) {
    text += fmt::format("{}: {} ({})\n", causes[i][0], causes[i][1], causes[i][2]);
  }
  return text;
}

/// What became of a network, a line a figure.
std::string network_lines(const study::CellSummary& cell) {
  if (!cell.is_network) return "";
  auto text = about_intervals(cell.tally.direct_rate()) + "\n";
  for (const auto& table :
       {network_rate_table(cell), funnel_table(cell), network_table(cell), verdict_table(cell)}) {
    for (const auto& row : table) text += fmt::format("{}\n", fmt::join(row, "  "));
  }
  return text;
}

std::string test_case(const study::Summary& summary, const study::CellSummary& cell, const std::string& what,
                      const std::string& inside) {
  const auto where = place(cell);
  return fmt::format("    <testcase classname=\"{}\" name=\"{}\">\n{}    </testcase>\n",
                     escaped(summary.scenario),
                     escaped(where.empty() ? what : fmt::format("{}: {}", where, what)), inside);
}

std::string trials_case(const study::Summary& summary, const study::CellSummary& cell) {
  const auto punch = cell.tally.punch_rate();
  const auto direct = cell.tally.direct_rate();
  std::string inside;
  const auto* what = cell.is_network ? "worlds" : "trials";
  if (const auto errors = cell.errors(); errors > 0) {
    inside += fmt::format("      <error message=\"{} of {} {} went wrong\">{}</error>\n", errors, cell.done,
                          what, escaped(summary.rerun));
  } else if (cell.done < cell.planned) {
    inside += fmt::format("      <error message=\"interrupted after {} of {} {}\">{}</error>\n", cell.done,
                          cell.planned, what, escaped(summary.rerun));
  }
  inside +=
      fmt::format("      <system-out>punch_rate {} {} of {}\ndirect_rate {} {} of {}\n{}{}</system-out>\n",
                  percent(punch), interval(punch), punch.denominator, percent(direct), interval(direct),
                  direct.denominator, escaped(reasons(cell.tally)), escaped(network_lines(cell)));
  return test_case(summary, cell, what, inside);
}

std::string verdict_case(const study::Summary& summary, const study::CellSummary& cell,
                         const study::Verdict& verdict) {
  const auto what = fmt::format("{} {}", verdict.expectation.rate, bounds(verdict.expectation));
  if (verdict.met) return test_case(summary, cell, what, "");
  return test_case(
      summary, cell, what,
      fmt::format("      <failure message=\"{}\">{}rerun: {}</failure>\n", escaped(sentence(verdict)),
                  escaped(reasons(cell.tally)), escaped(summary.rerun)));
}

}  // namespace

std::string junit(const study::Summary& summary) {
  std::string cases;
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  for (const auto& cell : summary.cells) {
    cases += trials_case(summary, cell);
    if (cell.errors() > 0 || cell.done < cell.planned) ++errors;
    for (const auto& verdict : cell.verdicts) {
      cases += verdict_case(summary, cell, verdict);
      if (!verdict.met) ++failures;
    }
    tests += 1 + cell.verdicts.size();
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites>\n"
      "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n"
      "    <properties>\n"
      "      <property name=\"seed\" value=\"{}\"/>\n"
      "      <property name=\"build\" value=\"{}\"/>\n"
      "    </properties>\n"
      "{}"
      "  </testsuite>\n"
      "</testsuites>\n",
      escaped(summary.scenario), tests, failures, errors, summary.seed,
      escaped(fmt::format("{} {}", summary.build.version, summary.build.git)), cases);
}

}  // namespace flaresim::report
