#include "sim/report/format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>

#include "sim/world/nat_presets.h"

namespace flaresim::report {
namespace {

std::string share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "-"
                    : fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void append_rates(std::vector<std::string>& row, const study::Tally& tally) {
  const auto punch = tally.punch_rate();
  const auto direct = tally.direct_rate();
  row.insert(row.end(), {std::to_string(tally.trials()), fraction(punch), percent(punch), interval(punch),
                         percent(direct), interval(direct), won_by(tally)});
}

const std::vector<std::string> rate_heading{"trials",      "punched", "punch_rate", "95 %",
                                            "direct_rate", "95 %",    "won by"};

/// `transports=[quic], ip=4`
std::string list(const std::vector<std::pair<std::string, std::string>>& values) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : values) parts.push_back(fmt::format("{}={}", key, value));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string percent(const study::Rate& rate) {
  return rate.value ? fmt::format("{:.1f} %", 100 * *rate.value) : "-";
}

std::string interval(const study::Rate& rate) {
  return rate.value ? fmt::format("[{:.1f}, {:.1f}]", 100 * *rate.low, 100 * *rate.high) : "-";
}

std::string fraction(const study::Rate& rate) {
  return fmt::format("{} of {}", rate.numerator, rate.denominator);
}

std::string bounds(const world::Expectation& expectation) {
  std::string text;
  if (expectation.at_least) text = fmt::format("at least {}", *expectation.at_least);
  if (expectation.at_most) {
    text += fmt::format("{}at most {}", text.empty() ? "" : " and ", *expectation.at_most);
  }
  return text;
}

std::string sentence(const study::Verdict& verdict) {
  if (!verdict.rate.value) {
    return fmt::format("{} has no value, so that nothing shows it to be {}", verdict.expectation.rate,
                       bounds(verdict.expectation));
  }
  return fmt::format("{} {} {} of {} is {}{}", verdict.expectation.rate, percent(verdict.rate),
                     interval(verdict.rate), verdict.rate.denominator, verdict.met ? "" : "not ",
                     bounds(verdict.expectation));
}

std::string about_intervals(const study::Rate& rate) {
  switch (rate.interval) {
    case study::Interval::wilson:
      return "Intervals: 95 %, Wilson, of independent trials.";
    case study::Interval::clustered:
      return fmt::format(
          "Intervals: 95 %, clustered by world ({} worlds; trials of one world are not independent).",
          rate.worlds);
    case study::Interval::within_world:
      return "Intervals: 95 %, Wilson, within the one world only; how much worlds differ needs several "
             "(--trials N).";
  }
  throw std::logic_error("interval");
}

std::string size_of(const study::Summary& summary) {
  const auto trials = summary.tally().trials();
  auto text = fmt::format("{} trials", trials);
  if (summary.has_networks()) {
    std::uint64_t worlds = 0;
    for (const auto& cell : summary.cells) worlds += cell.done;
    text = fmt::format("{} attempts in {} world{}", trials, worlds, worlds == 1 ? "" : "s");
  }
  return text + fmt::format(", seed {}{}", summary.seed, summary.interrupted ? ", interrupted" : "");
}

std::string place(const study::CellSummary& cell) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& assignment : cell.at) values.emplace_back(assignment.key, assignment.value);
  return list(values);
}

std::string short_nat(const std::string& nat) {
  auto behaviour = world::parse_nat(nat);
  if (!behaviour || behaviour->tcp.mapping != nat::Mapping::address_and_port_dependent ||
      behaviour->tcp.ports != nat::Ports::random) {
    return nat;
  }
  behaviour->tcp.mapping = behaviour->udp.mapping;
  behaviour->tcp.ports = behaviour->udp.ports;
  if (behaviour->tcp == world::parse_nat(nat)->tcp) return nat;
  auto text = to_string(*behaviour);
  constexpr std::string_view assumed = "/preserve";  // when nothing is said about ports
  if (text.ends_with(assumed)) text.resize(text.size() - assumed.size());
  return text + "+tcp-unfriendly";
}

std::string won_by(const study::Tally& tally) {
  auto winners = std::vector<std::pair<std::string, std::uint64_t>>(tally.transports().begin(),
                                                                    tally.transports().end());
  std::ranges::stable_sort(winners, std::ranges::greater{}, &std::pair<std::string, std::uint64_t>::second);
  std::vector<std::string> parts;
  for (const auto& [transport, count] : winners) {
    parts.push_back(fmt::format("{} {}", transport, share(count, tally.count(world::Outcome::success))));
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> notes(const study::Summary& summary) {
  std::vector<std::string> notes;
  for (const auto& [key, option] : summary.replaced) {
    notes.push_back(fmt::format("{} replaces the scenario's own sweep of {}", option, key));
  }
  for (const auto& expectation : summary.not_applicable) {
    std::vector<std::pair<std::string, std::string>> when;
    for (const auto& condition : expectation.when) when.emplace_back(condition.key, condition.value);
    notes.push_back(
        fmt::format("not applicable: {} {} when {}", expectation.rate, bounds(expectation), list(when)));
  }
  return notes;
}

Table outcome_table(const study::Tally& tally) {
  Table table{{"outcome", "trials", "share"}};
  for (const auto outcome : world::all_outcomes) {
    const auto count = tally.count(outcome);
    if (count == 0) continue;
    table.push_back({std::string(to_string(outcome)), std::to_string(count), share(count, tally.trials())});
  }
  return table;
}

Table cause_table(const study::Tally& tally) {
  Table table{{"cause", "trials", "share"}};
  for (const auto cause : world::all_causes) {
    const auto count = tally.count(cause);
    if (count == 0 || cause == world::Cause::none) continue;
    table.push_back({std::string(to_string(cause)), std::to_string(count), share(count, tally.trials())});
  }
  return table;
}

Table phase_table(const study::CellSummary& cell) {
  const auto seconds = [](const std::optional<io::Duration>& duration) {
    return duration ? fmt::format("{:.3f} s", std::chrono::duration<double>(*duration).count()) : "-";
  };
  Table table{{"phase", "ended", "of trials", "p50", "p90"}};
  for (const auto phase : world::all_phases) {
    const auto& times = cell.phases[static_cast<std::size_t>(phase)];
    if (times.ended == 0) continue;
    table.push_back({std::string(to_string(phase)), std::to_string(times.ended),
                     share(times.ended, cell.tally.trials()), seconds(times.p50), seconds(times.p90)});
  }
  return table;
}

Table cell_table(const study::Summary& summary) {
  Table table{summary.axes};
  table.front().insert(table.front().end(), rate_heading.begin(), rate_heading.end());
  for (const auto& cell : summary.cells) {
    std::vector<std::string> row;
    for (const auto& assignment : cell.at) row.push_back(assignment.value);
    append_rates(row, cell.tally);
    table.push_back(std::move(row));
  }
  return table;
}

Table group_table(const std::vector<study::Group>& groups) {
  Table table{{"nat a", "nat b"}};
  table.front().insert(table.front().end(), rate_heading.begin(), rate_heading.end());
  for (const auto& group : groups) {
    std::vector<std::string> row{short_nat(group.nat_a), short_nat(group.nat_b)};
    append_rates(row, group.tally);
    table.push_back(std::move(row));
  }
  return table;
}

}  // namespace flaresim::report
