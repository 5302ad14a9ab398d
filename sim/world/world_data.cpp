#include "sim/world/world_data.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "topologies/access_links.h"

namespace flaresim::world {
namespace {

namespace fs = std::filesystem;

tl::expected<std::string, ScenarioError> read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.is_open() || file.bad())
    return tl::unexpected(ScenarioError{path.string(), 0, 0, "cannot be read"});
  return text.str();
}

net::LinkProfile profile_of(const topologies::AccessLink& link) {
  const auto direction = [&](std::uint64_t bits_per_second) {
    return net::LinkDirection{.delay = link.delay,
                              .jitter = link.jitter,
                              .bits_per_second = bits_per_second,
                              .queue_bytes = link.queue_bytes(bits_per_second),
                              .loss = link.loss};
  };
  return {.up = direction(link.up_bits_per_second), .down = direction(link.down_bits_per_second)};
}

/// `share/flaresim` of the tree that the program is installed in.
fs::path installed_folder() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path().parent_path() / "share" / "flaresim";
}

}  // namespace

WorldData::WorldData(topologies::RegionGraph regions, const std::vector<topologies::AccessLink>& links)
    : regions_(std::move(regions)) {
  for (const auto& link : links) {
    access_names_.push_back(link.kind);
    accesses_.emplace(link.kind, profile_of(link));
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
  const auto links = topologies::read_access_links(*access_text);
  if (!links) return tl::unexpected(ScenarioError{access_file.string(), 0, 0, links.error().message()});
  return WorldData(std::move(*regions), *links);
}

std::string data_directory() {
  if (const auto* folder = std::getenv("FLARESIM_DATA"); folder && *folder) return folder;
  const auto installed = installed_folder();
  std::error_code ignored;
  if (!installed.empty() && fs::is_directory(installed / "populations", ignored)) return installed.string();
  return FLARESIM_DATA_DIR;
}

}  // namespace flaresim::world
