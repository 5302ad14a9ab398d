#include "topologies/csv.h"

#include <charconv>
#include <cmath>

namespace flaresim::topologies {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// Cuts the part before the separator off the text; the whole text when there is none.
std::string_view take_until(std::string_view& text, char separator, bool& more) {
  const auto end = text.find(separator);
  more = end != std::string_view::npos;
  const auto part = text.substr(0, end);
  text = more ? text.substr(end + 1) : std::string_view{};
  return part;
}

}  // namespace

std::vector<std::vector<std::string_view>> csv_rows(std::string_view text) {
  std::vector<std::vector<std::string_view>> rows;
  for (bool more_lines = true; more_lines;) {
    auto line = trimmed(take_until(text, '\n', more_lines));
    if (line.empty() || line.front() == '#') continue;
    auto& row = rows.emplace_back();
    for (bool more_cells = true; more_cells;) row.push_back(trimmed(take_until(line, ',', more_cells)));
  }
  return rows;
}

std::optional<double> csv_number(std::string_view cell) {
  double number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  const bool whole = error == std::errc{} && end == cell.data() + cell.size();
  if (!whole || !std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

}  // namespace flaresim::topologies
