#include "topologies/access_links.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "topologies/csv.h"

namespace flaresim::topologies {
namespace {

constexpr std::array<std::string_view, 8> columns = {"kind",          "delay_ms",        "jitter_ms",
                                                     "up_mbit_per_s", "down_mbit_per_s", "queue_ms",
                                                     "loss_percent",  "source"};
constexpr double max_milliseconds = 60'000;
constexpr double max_megabits = 1'000'000;

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "access links"; }
  std::string message(int value) const override {
    switch (static_cast<AccessError>(value)) {
      case AccessError::bad_header:
        return "the first line does not name the columns";
      case AccessError::cell_count:
        return "a row has more or fewer cells than the header";
      case AccessError::bad_number:
        return "a cell is not a number in its range";
      case AccessError::jitter_too_wide:
        return "a jitter is larger than its delay";
      case AccessError::duplicate_kind:
        return "a kind appears twice";
    }
    return "unknown";
  }
};

io::Duration milliseconds(double number) {
  return std::chrono::round<io::Duration>(std::chrono::duration<double, std::milli>(number));
}
std::uint64_t megabits(double number) { return static_cast<std::uint64_t>(std::llround(number * 1e6)); }

/// The six numbers of a row, within their bounds.
std::optional<std::array<double, 6>> numbers_of(const std::vector<std::string_view>& row) {
  constexpr std::array<double, 6> bounds = {max_milliseconds, max_milliseconds, max_megabits,
                                            max_megabits,     max_milliseconds, 100};
  std::array<double, 6> numbers;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto number = csv_number(row[i + 1]);
    if (!number || *number > bounds[i]) return std::nullopt;
    numbers[i] = *number;
  }
  return numbers;
}

}  // namespace

std::error_code make_error_code(AccessError error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

std::uint64_t AccessLink::queue_bytes(std::uint64_t bits_per_second) const {
  const std::chrono::duration<double> seconds = queue;
  return static_cast<std::uint64_t>(std::llround(seconds.count() * static_cast<double>(bits_per_second) / 8));
}

io::Result<std::vector<AccessLink>> read_access_links(std::string_view csv) {
  const auto rows = csv_rows(csv);
  if (rows.empty() || !std::equal(rows[0].begin(), rows[0].end(), columns.begin(), columns.end())) {
    return io::fail(AccessError::bad_header);
  }
  std::vector<AccessLink> links;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row.size() != columns.size()) return io::fail(AccessError::cell_count);
    const auto numbers = numbers_of(row);
    if (!numbers) return io::fail(AccessError::bad_number);
    const auto [delay_ms, jitter_ms, up, down, queue_ms, loss_percent] = *numbers;
    if (jitter_ms > delay_ms) return io::fail(AccessError::jitter_too_wide);
    const bool known =
        std::any_of(links.begin(), links.end(), [&](const auto& link) { return link.kind == row[0]; });
    if (known) return io::fail(AccessError::duplicate_kind);
    links.push_back({.kind = std::string(row[0]),
                     .delay = milliseconds(delay_ms),
                     .jitter = milliseconds(jitter_ms),
                     .up_bits_per_second = megabits(up),
                     .down_bits_per_second = megabits(down),
                     .queue = milliseconds(queue_ms),
                     .loss = loss_percent / 100,
                     .source = std::string(row[7])});
  }
  return links;
}

}  // namespace flaresim::topologies
