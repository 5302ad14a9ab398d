#include <chrono>
#include <nlohmann/json.hpp>

#include "sim/report/format.h"
#include "sim/report/report.h"
#include "sim/study/network_codec.h"

namespace flaresim::report {
namespace {

using Json = nlohmann::ordered_json;

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json rate(const study::Rate& rate) {
  return {{"value", number(rate.value)},
          {"low", number(rate.low)},
          {"high", number(rate.high)},
          {"numerator", rate.numerator},
          {"denominator", rate.denominator},
          {"interval", to_string(rate.interval)},
          {"worlds", rate.worlds}};
}

Json milliseconds(const std::optional<io::Duration>& duration) {
  return duration ? Json(std::chrono::duration<double, std::milli>(*duration).count()) : Json(nullptr);
}

Json phases(const study::CellSummary& cell) {
  auto document = Json::object();
  for (const auto phase : world::all_phases) {
    const auto& times = cell.phases[static_cast<std::size_t>(phase)];
    if (times.ended == 0) continue;
    document[std::string(to_string(phase))] = {
        {"ended", times.ended}, {"p50_ms", milliseconds(times.p50)}, {"p90_ms", milliseconds(times.p90)}};
  }
  return document;
}

void add_networks(Json& into, const study::CellSummary& cell) {
  for (const auto* name : {"true_closest_rate", "true_verdict_rate", "reserved_rate"}) {
    into[name] = rate(cell.rate(name));
  }
  into["planned_worlds"] = cell.planned;
  into["worlds"] = Json::array();
  for (const auto& world : cell.worlds) {
    into["worlds"].push_back(
        {{"world", world.number},
         {"error", world.error},
         {"report", world.report ? Json::parse(study::to_json(*world.report)) : Json(nullptr)}});
  }
}

Json outcomes(const study::Tally& tally) {
  auto counts = Json::object();
  for (const auto outcome : world::all_outcomes)
    counts[std::string(to_string(outcome))] = tally.count(outcome);
  return counts;
}

Json causes(const study::Tally& tally) {
  auto counts = Json::object();
  for (const auto cause : world::all_causes) {
    if (cause != world::Cause::none && tally.count(cause) > 0) {
      counts[std::string(to_string(cause))] = tally.count(cause);
    }
  }
  return counts;
}

Json transports(const study::Tally& tally) {
  auto counts = Json::object();
  for (const auto& [transport, count] : tally.transports()) counts[transport] = count;
  return counts;
}

void add_tally(Json& into, const study::Tally& tally) {
  into["trials"] = tally.trials();
  into["outcomes"] = outcomes(tally);
  into["causes"] = causes(tally);
  into["transports"] = transports(tally);
  into["punch_rate"] = rate(tally.punch_rate());
  into["direct_rate"] = rate(tally.direct_rate());
}

Json groups(const std::vector<study::Group>& groups) {
  auto list = Json::array();
  for (const auto& group : groups) {
    Json item{{"nat_a", group.nat_a}, {"nat_b", group.nat_b}};
    add_tally(item, group.tally);
    list.push_back(std::move(item));
  }
  return list;
}

Json expectations(const study::CellSummary& cell) {
  auto list = Json::array();
  for (const auto& verdict : cell.verdicts) {
    list.push_back({{"rate", verdict.expectation.rate},
                    {"at_least", number(verdict.expectation.at_least)},
                    {"at_most", number(verdict.expectation.at_most)},
                    {"met", verdict.met}});
  }
  return list;
}

Json cell_document(const study::Summary& summary, const study::CellSummary& cell) {
  Json document{{"scenario", summary.scenario}, {"seed", cell.seed}};
  auto values = Json::object();
  for (const auto& assignment : cell.at) values[assignment.key] = assignment.value;
  if (!values.empty()) document["set"] = std::move(values);
  add_tally(document, cell.tally);
  if (!cell.is_network) document["planned_trials"] = cell.planned;
  if (cell.is_network) add_networks(document, cell);
  document["phases"] = phases(cell);
  document["groups"] = groups(cell.groups);
  document["expectations"] = expectations(cell);
  return document;
}

/// The cells' groups added up: a pair of NATs may have been drawn in several cells.
std::vector<study::Group> all_groups(const study::Summary& summary) {
  std::map<std::pair<std::string, std::string>, study::Tally> tallies;
  for (const auto& cell : summary.cells) {
    for (const auto& group : cell.groups) tallies[{group.nat_a, group.nat_b}].add(group.tally);
  }
  std::vector<study::Group> groups;
  for (const auto& [pair, tally] : tallies) groups.push_back({pair.first, pair.second, tally});
  return groups;
}

Json sweep_document(const study::Summary& summary) {
  Json document{{"scenario", summary.scenario}, {"seed", summary.seed}};
  add_tally(document, summary.tally());
  std::uint64_t planned = 0;
  for (const auto& cell : summary.cells) planned += cell.planned;
  document[summary.has_networks() ? "planned_worlds" : "planned_trials"] = planned;
  document["groups"] = groups(all_groups(summary));
  document["expectations"] = Json::array();  // each belongs to a cell
  document["cells"] = Json::array();
  for (const auto& cell : summary.cells) document["cells"].push_back(cell_document(summary, cell));
  return document;
}

}  // namespace

std::string json(const study::Summary& summary) {
  auto document =
      summary.axes.empty() ? cell_document(summary, summary.cells.front()) : sweep_document(summary);
  document["notes"] = notes(summary);
  document["interrupted"] = summary.interrupted;
  document["expectations_met"] = summary.met();
  const auto& build = summary.build;
  document["build"] = {{"version", build.version},       {"ns3", build.ns3}, {"compiler", build.compiler},
                       {"build_type", build.build_type}, {"git", build.git}, {"id", build.id}};
  // Names come from the user's own text, which need not be UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace flaresim::report
