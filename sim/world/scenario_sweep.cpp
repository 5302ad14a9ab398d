#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/world/scenario_reader.h"

namespace flaresim::world {
namespace {

/// The first two are of all scenarios, the others of networks.
const std::vector<std::string_view> rate_names{"punch_rate", "direct_rate", "true_closest_rate",
                                               "true_verdict_rate", "reserved_rate"};

/// The bounds of the rates among the keys of one map.
void read_rates(Reader& reader, const Keys& rates, const std::vector<Condition>& when,
                std::vector<Expectation>& into) {
  for (const auto rate : rate_names) {
    const auto* bounds = rates.find(rate);
    if (!bounds) continue;
    Keys keys(reader, *bounds, fmt::format("expect.{}", rate), {"at_least", "at_most"});
    Expectation expectation{.rate = std::string(rate), .at_least = {}, .at_most = {}, .when = when};
    if (const auto* bound = keys.find("at_least")) expectation.at_least = reader.rate(*bound);
    if (const auto* bound = keys.find("at_most")) expectation.at_most = reader.rate(*bound);
    if (!expectation.at_least && !expectation.at_most) {
      reader.fail(bounds->place, "expected at_least, at_most, or both");
    }
    if (expectation.at_least.value_or(0) > expectation.at_most.value_or(1)) {
      reader.fail(bounds->place, "at_least is above at_most, so that no rate can meet both");
    }
    into.push_back(std::move(expectation));
  }
}

/// A key that says something about trials. Nothing is to be learnt from sweeping what is expected of them.
void check_key(Reader& reader, const MapEntry& entry) {
  const auto word = entry.key.substr(0, entry.key.find('.'));
  if (word == "sweep" || word == "expect") {
    reader.fail(entry.place,
                fmt::format("'{}' has no part in a trial, so that it cannot be used here", word));
  }
}

std::vector<Condition> read_conditions(Reader& reader, const Value& value) {
  std::vector<Condition> conditions;
  if (value.kind != Value::Kind::map || value.entries.empty()) {
    reader.fail(value.place, "expected a map of keys to the values that they must have");
  }
  for (const auto& entry : value.entries) {
    check_key(reader, entry);
    if (entry.value.kind == Value::Kind::null) reader.fail(entry.place, "a value is empty");
    conditions.push_back({entry.key, flow_text(entry.value)});
  }
  return conditions;
}

void read_expectation(Reader& reader, const Value& item, std::vector<Expectation>& into) {
  auto valid = rate_names;
  valid.emplace_back("when");
  const Keys keys(reader, item, "an entry of expect", valid);
  const auto before = into.size();
  const auto* when = keys.find("when");
  read_rates(reader, keys, when ? read_conditions(reader, *when) : std::vector<Condition>{}, into);
  if (into.size() == before)
    reader.fail(item.place, fmt::format("expected at least one of: {}", fmt::join(rate_names, ", ")));
}

}  // namespace

std::vector<Expectation> read_expectations(Reader& reader, const Value& value) {
  std::vector<Expectation> expectations;
  if (value.kind == Value::Kind::list) {
    for (const auto& item : value.items) read_expectation(reader, item, expectations);
  } else {
    read_rates(reader, Keys(reader, value, "expect", rate_names), {}, expectations);
  }
  return expectations;
}

std::vector<Axis> read_sweep(Reader& reader, const Value& value) {
  std::vector<Axis> axes;
  if (value.kind != Value::Kind::map) {
    reader.fail(value.place, "expected a map of keys to the values that they take");
  }
  for (const auto& entry : value.entries) {
    check_key(reader, entry);
    Axis axis{entry.key, {}};
    for (const auto& item : axis_values(entry.value)) {
      const auto text = flow_text(item);
      if (item.kind == Value::Kind::null) reader.fail(item.place, "a value is empty");
      if (std::ranges::find(axis.values, text) != axis.values.end()) {
        reader.fail(item.place, fmt::format("value '{}' is given twice", text));
      }
      axis.values.push_back(text);
    }
    if (axis.values.empty()) reader.fail(entry.value.place, "expected at least one value");
    axes.push_back(std::move(axis));
  }
  return axes;
}

}  // namespace flaresim::world
