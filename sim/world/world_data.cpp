#include "sim/world/world_data.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace flaresim::world {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view header = "access,delay_ms,jitter_ms,loss,up_mbit_s,down_mbit_s,queue_kb";
constexpr std::size_t columns = 7;
constexpr double largest_number = 1e6;  // a quarter of an hour of delay, a terabit per second, a gigabyte

tl::expected<std::string, ScenarioError> read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.is_open() || file.bad())
    return tl::unexpected(ScenarioError{path.string(), 0, 0, "cannot be read"});
  return text.str();
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

std::optional<double> number_of(const std::string& cell) {
  double number = 0;
  const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  const auto whole = status == std::errc{} && end == cell.data() + cell.size();
  if (!whole || !(number >= 0 && number <= largest_number)) return std::nullopt;
  return number;
}

io::Duration milliseconds(double count) { return io::Duration(std::llround(count * 1e6)); }

tl::expected<std::pair<std::string, net::LinkProfile>, std::string> read_link(const std::string& line) {
  const auto cells = split(line);
  if (cells.size() != columns) return tl::unexpected(fmt::format("expected {} columns", columns));
  if (cells[0].empty()) return tl::unexpected(std::string("expected a name"));
  std::vector<double> numbers;
  for (std::size_t i = 1; i < columns; ++i) {
    const auto number = number_of(cells[i]);
    if (!number)
      return tl::unexpected(fmt::format("expected a number that is not negative, not '{}'", cells[i]));
    numbers.push_back(*number);
  }
  if (numbers[1] > numbers[0]) return tl::unexpected(std::string("the jitter is above the delay"));
  if (numbers[2] > 1) return tl::unexpected(std::string("the loss is above 1"));
  const auto direction = [&](double mbit_per_second) {
    return net::LinkDirection{
        .delay = milliseconds(numbers[0]),
        .jitter = milliseconds(numbers[1]),
        .bits_per_second = static_cast<std::uint64_t>(std::llround(mbit_per_second * 1e6)),
        .queue_bytes = static_cast<std::uint64_t>(std::llround(numbers[5] * 1e3)),
        .loss = numbers[2]};
  };
  return std::pair{cells[0], net::LinkProfile{.up = direction(numbers[3]), .down = direction(numbers[4])}};
}

/// `share/flaresim` of the tree that the program is installed in.
fs::path installed_folder() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path().parent_path() / "share" / "flaresim";
}

}  // namespace

tl::expected<std::vector<std::pair<std::string, net::LinkProfile>>, ScenarioError> access_table(
    std::string_view text, const std::string& file) {
  std::vector<std::pair<std::string, net::LinkProfile>> links;
  std::istringstream lines{std::string(text)};
  bool header_seen = false;
  int number = 0;
  const auto fail = [&](std::string message) {
    return tl::unexpected(ScenarioError{file, number, 1, std::move(message)});
  };
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (!std::exchange(header_seen, true)) {
      if (line != header) return fail(fmt::format("expected the header {}", header));
      continue;
    }
    auto link = read_link(line);
    if (!link) return fail(link.error());
    for (const auto& [name, profile] : links) {
      if (name == link->first) return fail(fmt::format("access link '{}' is given twice", name));
    }
    links.push_back(std::move(*link));
  }
  if (links.empty()) return fail("expected at least one access link");
  return links;
}

WorldData::WorldData(topologies::RegionGraph regions,
                     std::vector<std::pair<std::string, net::LinkProfile>> accesses)
    : regions_(std::move(regions)) {
  for (auto& [name, profile] : accesses) {
    access_names_.push_back(name);
    accesses_.emplace(name, profile);
  }
}

tl::expected<WorldData, ScenarioError> WorldData::load(const std::string& folder) {
  const auto regions_file = fs::path(folder) / "data" / "rtt10_ms.csv";
  const auto regions_text = read_text(regions_file);
  if (!regions_text) return tl::unexpected(regions_text.error());
  auto regions = topologies::RegionGraph::from_csv(*regions_text);
  if (!regions) return tl::unexpected(ScenarioError{regions_file.string(), 0, 0, regions.error().message()});

  const auto access_file = fs::path(folder) / "data" / "access.csv";
  const auto access_text = read_text(access_file);
  if (!access_text) return tl::unexpected(access_text.error());
  auto accesses = access_table(*access_text, access_file.string());
  if (!accesses) return tl::unexpected(accesses.error());
  return WorldData(std::move(*regions), std::move(*accesses));
}

std::string data_directory() {
  if (const auto* folder = std::getenv("FLARESIM_DATA"); folder && *folder) return folder;
  const auto installed = installed_folder();
  std::error_code ignored;
  if (!installed.empty() && fs::is_directory(installed / "populations", ignored)) return installed.string();
  return FLARESIM_DATA_DIR;
}

}  // namespace flaresim::world
