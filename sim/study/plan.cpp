#include "sim/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>

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

world::ScenarioError sweep_error(const Axis& axis, std::string message) {
  return {.file = fmt::format("--sweep {}", axis.key), .line = 0, .column = 0, .message = std::move(message)};
}

tl::expected<std::vector<Axis>, world::ScenarioError> merged(const std::vector<Axis>& axes) {
  std::vector<Axis> result;
  std::size_t cells = 1;
  for (const auto& axis : axes) {
    auto known = std::ranges::find(result, axis.key, &Axis::key);
    if (known == result.end()) known = result.insert(result.end(), {axis.key, {}});
    known->values.insert(known->values.end(), axis.values.begin(), axis.values.end());
  }
  for (const auto& axis : result) {
    auto sorted = axis.values;
    std::ranges::sort(sorted);
    if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
      return tl::unexpected(sweep_error(axis, fmt::format("value '{}' is given twice", *twice)));
    }
    if (sorted.empty() || sorted.front().empty())
      return tl::unexpected(sweep_error(axis, "a value is empty"));
    cells *= sorted.size();
    if (cells > max_cells) {
      return tl::unexpected(sweep_error(axis, fmt::format("the sweep has more than {} cells", max_cells)));
    }
  }
  return result;
}

/// The values of cell `number`, counting with the last axis as the lowest digit.
std::vector<world::Assignment> values_at(const std::vector<Axis>& axes, std::size_t number) {
  std::vector<world::Assignment> at(axes.size());
  for (std::size_t i = axes.size(); i-- > 0;) {
    at[i] = {axes[i].key, axes[i].values[number % axes[i].values.size()], "--sweep"};
    number /= axes[i].values.size();
  }
  return at;
}

}  // namespace

std::uint64_t Plan::trials() const {
  return std::accumulate(cells.begin(), cells.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Cell& cell) { return sum + cell.scenario.trials; });
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
  auto base = world::load_scenario(path, assignments, data);
  if (!base) return tl::unexpected(base.error());
  const auto swept = merged(axes);
  if (!swept) return tl::unexpected(swept.error());

  Plan plan{.base = std::move(*base), .axes = {}, .cells = {}};
  std::size_t count = 1;
  for (const auto& axis : *swept) {
    plan.axes.push_back(axis.key);
    count *= axis.values.size();
  }
  for (std::size_t number = 0; number < count; ++number) {
    auto at = values_at(*swept, number);
    auto all = assignments;
    all.insert(all.end(), at.begin(), at.end());
    auto scenario = world::load_scenario(path, all, data);
    if (!scenario) return tl::unexpected(scenario.error());
    plan.cells.push_back({std::move(at), std::move(*scenario)});
  }
  return plan;
}

}  // namespace flaresim::study
