#include "sim/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

namespace flaresim::study {
namespace {

constexpr std::size_t max_cells = 100'000;

/// Cuts at a separator that stands outside of brackets and quotes.
std::vector<std::string> cut(const std::string& text, char separator) {
  std::vector<std::string> pieces(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == separator && depth == 0) {
      pieces.emplace_back();
      continue;
    }
    pieces.back() += c;
  }
  return pieces;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// `word=…`
bool is_option(const std::string& piece) {
  const auto equals = piece.find('=');
  if (equals == std::string::npos || equals == 0) return false;
  return std::all_of(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(equals),
                     [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

/// An axis, and the word for where it was written.
struct Source {
  Axis axis;
  std::string_view option;
};

world::ScenarioError sweep_error(const Source& source, std::string message) {
  return {.file = fmt::format("{} {}", source.option, source.axis.key),
          .line = 0,
          .column = 0,
          .message = std::move(message)};
}

/// Whether giving one key a value gives the other one a value too, or changes whether it has one.
bool touches(const std::string& changed, const std::string& key) {
  if (changed == "topology" && world::topology_gives(key)) return true;
  return (changed + ".").starts_with(key + ".") || (key + ".").starts_with(changed + ".");
}

/// Makes the cells of one scenario file.
class Planner {
 public:
  Planner(world::ScenarioFile file, std::vector<world::Assignment> assignments, std::vector<Axis> axes)
      : file_(std::move(file)), assignments_(std::move(assignments)), axes_(std::move(axes)) {}

  tl::expected<Plan, world::ScenarioError> operator()() {
    for (auto& axis : axes_) axis.values = file_.values_of(axis);
    auto base = sweeps_topologies() ? file_.read_without_topology(assignments_) : file_.read(assignments_);
    if (!base) return tl::unexpected(base.error());
    plan_.base = std::move(*base);
    for (auto& axis : plan_.base.sweep) axis.values = file_.values_of(axis);
    if (auto error = merge_axes()) return tl::unexpected(*error);
    if (auto error = make_cells()) return tl::unexpected(*error);
    if (auto error = place_expectations()) return tl::unexpected(*error);
    return std::move(plan_);
  }

 private:
  using Error = std::optional<world::ScenarioError>;

  /// On the command line, or in the file unless an assignment replaces that.
  bool sweeps_topologies() const {
    const std::string key = "topology";
    if (std::ranges::find(axes_, key, &Axis::key) != axes_.end()) return true;
    const auto set = std::ranges::find(assignments_, key, &world::Assignment::key) != assignments_.end();
    return !set && file_.gives("sweep.topology", assignments_).value_or(false);
  }

  /// How the command line gave a key another value; empty when it did not.
  std::string replacing_option(const std::string& key) const {
    const auto set = std::ranges::find(assignments_, key, &world::Assignment::key);
    if (set != assignments_.end()) return set->option;
    return std::ranges::find(axes_, key, &Axis::key) == axes_.end() ? "" : "--sweep";
  }

  Error merge_axes() {
    for (const auto& axis : plan_.base.sweep) {
      const auto option = replacing_option(axis.key);
      if (!option.empty()) plan_.replaced.push_back({axis.key, option});
      if (option.empty()) sources_.push_back({axis, world::own_sweep});
      if (option == "--sweep") sources_.push_back({{axis.key, {}}, "--sweep"});  // keeps its place
    }
    for (const auto& axis : axes_) {
      auto known =
          std::ranges::find(sources_, axis.key, [](const Source& source) { return source.axis.key; });
      if (known == sources_.end()) known = sources_.insert(known, {{axis.key, {}}, "--sweep"});
      known->axis.values.insert(known->axis.values.end(), axis.values.begin(), axis.values.end());
    }
    return check_axes();
  }

  Error check_axes() const {
    std::size_t cells = 1;
    for (const auto& source : sources_) {
      auto sorted = source.axis.values;
      std::ranges::sort(sorted);
      if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
        return sweep_error(source, fmt::format("value '{}' is given twice", *twice));
      }
      if (sorted.empty() || sorted.front().empty()) return sweep_error(source, "a value is empty");
      if (touches(source.axis.key, "sweep") || touches(source.axis.key, "expect")) {
        return sweep_error(source, "has no part in a trial, so that it cannot be used here");
      }
      cells *= sorted.size();
      if (cells > max_cells) {
        return sweep_error(source, fmt::format("the sweep has more than {} cells", max_cells));
      }
    }
    return std::nullopt;
  }

  /// The values of cell `number`, counting with the last axis as the lowest digit.
  std::vector<world::Assignment> values_at(std::size_t number) const {
    std::vector<world::Assignment> at(sources_.size());
    for (std::size_t i = sources_.size(); i-- > 0;) {
      const auto& [axis, option] = sources_[i];
      at[i] = {axis.key, axis.values[number % axis.values.size()], std::string(option)};
      number /= axis.values.size();
    }
    return at;
  }

  Error make_cells() {
    plan_.base.sweep.clear();
    std::size_t count = 1;
    for (const auto& source : sources_) {
      plan_.axes.push_back(source.axis.key);
      plan_.base.sweep.push_back(source.axis);
      count *= source.axis.values.size();
    }
    for (std::size_t number = 0; number < count; ++number) {
      auto at = values_at(number);
      auto scenario = file_.read(all_with(at));
      if (!scenario) return scenario.error();
      scenario->sweep.clear();
      plan_.cells.push_back({std::move(at), std::move(*scenario)});
    }
    return std::nullopt;
  }

  std::vector<world::Assignment> all_with(const std::vector<world::Assignment>& more) const {
    auto all = assignments_;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// Leaves each cell the expectations that are of it.
  Error place_expectations() {
    std::vector<world::Expectation> placed;
    for (auto& cell : plan_.cells) {
      const auto expectations = std::exchange(cell.scenario.expect, {});
      for (const auto& expectation : expectations) {
        const auto holds = hold(expectation.when, cell);
        if (!holds) return holds.error();
        if (!*holds) continue;
        cell.scenario.expect.push_back(expectation);
        cell.scenario.expect.back().when.clear();
        if (std::ranges::find(placed, expectation) == placed.end()) placed.push_back(expectation);
      }
    }
    return account_for(placed);
  }

  /// Every expectation is of some cell, or the command line is why it is not.
  Error account_for(const std::vector<world::Expectation>& placed) {
    for (const auto& expectation : plan_.base.expect) {
      if (std::ranges::find(placed, expectation) != placed.end()) continue;
      if (std::ranges::any_of(expectation.when, [&](const auto& each) { return is_replaced(each.key); })) {
        plan_.not_applicable.push_back(expectation);
        continue;
      }
      return complaint(expectation.when.front(), "no cell meets these conditions");
    }
    std::erase_if(plan_.base.expect, [&](const auto& expectation) {
      return std::ranges::find(plan_.not_applicable, expectation) != plan_.not_applicable.end();
    });
    return std::nullopt;
  }

  bool is_replaced(const std::string& key) const {
    const auto changes = [&](const std::string& changed) {
      return touches(changed, key) || touches(changed, "sweep");
    };
    return std::ranges::any_of(assignments_, changes, &world::Assignment::key) ||
           std::ranges::any_of(axes_, changes, &Axis::key);
  }

  tl::expected<bool, world::ScenarioError> hold(const std::vector<world::Condition>& conditions,
                                                const Cell& cell) {
    for (const auto& condition : conditions) {
      const auto holds = hold(condition, cell);
      if (!holds || !*holds) return holds;
    }
    return true;
  }

  /// Reads the scenario no more often than the key has values, unless another axis has a part in them.
  tl::expected<bool, world::ScenarioError> hold(const world::Condition& condition, const Cell& cell) {
    const auto at = std::ranges::find(cell.at, condition.key, &world::Assignment::key);
    const auto involved = std::ranges::count_if(
        cell.at, [&](const auto& assignment) { return touches(assignment.key, condition.key); });
    if (involved > (at == cell.at.end() ? 0 : 1)) return compare(condition, cell);
    const std::array known{condition.key, condition.value, at == cell.at.end() ? std::string() : at->value};
    if (const auto found = held_.find(known); found != held_.end()) return found->second;
    const auto holds = compare(condition, cell);
    if (holds) held_[known] = *holds;
    return holds;
  }

  tl::expected<bool, world::ScenarioError> compare(const world::Condition& condition,
                                                   const Cell& cell) const {
    auto all = all_with(cell.at);
    const auto given = file_.gives(condition.key, all);
    if (!given) return tl::unexpected(given.error());
    if (!*given && is_replaced(condition.key)) return false;
    if (!*given) {
      return tl::unexpected(
          complaint(condition, fmt::format("'{}' is neither swept nor set in the scenario", condition.key)));
    }
    all.push_back(own(condition));
    auto same = file_.read(all);
    if (!same) return tl::unexpected(same.error());
    same->sweep.clear();
    same->expect = cell.scenario.expect;
    return *same == cell.scenario;
  }

  static world::Assignment own(const world::Condition& condition) {
    return {condition.key, condition.value, std::string(world::own_condition)};
  }

  world::ScenarioError complaint(const world::Condition& condition, std::string message) const {
    return file_.complain(own(condition), assignments_, std::move(message));
  }

  world::ScenarioFile file_;
  std::vector<world::Assignment> assignments_;
  std::vector<Axis> axes_;  ///< of the command line
  std::vector<Source> sources_;
  std::map<std::array<std::string, 3>, bool> held_;  ///< by a condition and the cell's value of its key
  Plan plan_;
};

}  // namespace

std::uint64_t Plan::trials() const {
  return std::accumulate(cells.begin(), cells.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Cell& cell) { return sum + cell.scenario.trials; });
}

bool Plan::has_networks() const {
  return std::ranges::any_of(cells, [](const Cell& cell) { return cell.scenario.network.has_value(); });
}

std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values;
  const auto by_semicolon = cut(text, ';');
  const auto with_semicolons = by_semicolon.size() > 1;
  for (const auto& piece : with_semicolons ? by_semicolon : cut(text, ',')) {
    if (!with_semicolons && !values.empty() && is_option(trimmed(piece))) {
      values.back() += "," + trimmed(piece);
    } else {
      values.push_back(trimmed(piece));
    }
  }
  return values;
}

tl::expected<Plan, world::ScenarioError> make_plan(const std::string& path,
                                                   const std::vector<world::Assignment>& assignments,
                                                   const std::vector<Axis>& axes, const std::string& data) {
  auto file = world::ScenarioFile::open(path, data);
  if (!file) return tl::unexpected(file.error());
  return Planner(std::move(*file), assignments, axes)();
}

}  // namespace flaresim::study
