#include "sim/cli/folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/report/report.h"
#include "sim/study/build_info.h"

namespace flaresim::cli {
namespace {

namespace fs = std::filesystem;

std::string utc(const char* format) {
  return fmt::format(fmt::runtime(format), fmt::gmtime(std::time(nullptr)));
}
std::string now() { return utc("{:%Y-%m-%dT%H:%M:%SZ}"); }

/// A name that is not taken yet: two runs may start within one second.
fs::path new_folder(const std::string& scenario) {
  const auto first = fs::path("results") / (scenario + utc("-{:%Y%m%dT%H%M%SZ}"));
  auto path = first;
  for (int number = 2; fs::exists(path); ++number) path = fmt::format("{}-{}", first.string(), number);
  return path;
}

io::Result<> finish(std::ofstream& file) {
  file.close();
  if (file) return {};
  return tl::unexpected(std::error_code(errno ? errno : EIO, std::generic_category()));
}

/// Under another name first, so that the file is never half of what it should be.
template <class Write>
io::Result<> write_file(const fs::path& path, Write write) {
  const fs::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  write(file);
  if (auto written = finish(file); !written) return written;
  std::error_code error;
  fs::rename(part, path, error);
  if (error) return tl::unexpected(error);
  return {};
}

}  // namespace

tl::expected<Folder, study::StoreError> Folder::open(const std::string& path, const study::Plan& plan) {
  const auto folder = path.empty() ? new_folder(plan.base.name) : fs::path(path);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return tl::unexpected(study::StoreError{study::StoreError::Kind::failed,
                                            fmt::format("{}: {}", folder.string(), error.message())});
  }
  auto store = study::Store::open((folder / "trials.sqlite").string(), plan);
  if (!store) return tl::unexpected(store.error());
  return Folder(folder, std::move(*store));
}

io::Result<std::string> Folder::make_captures(std::size_t cells) const {
  const auto captures = path_ / "captures";
  std::error_code error;
  fs::create_directories(captures, error);
  for (std::size_t i = 0; cells > 1 && i < cells && !error; ++i) {
    fs::create_directories(captures / std::to_string(i), error);
  }
  if (error) return tl::unexpected(error);
  return captures.string();
}

io::Result<> Folder::begin(const study::Plan& plan, const std::string& command_line) {
  started_ = now();
  done_before_ = store_.done();
  auto written =
      write_file(path_ / "scenario.yaml", [&](std::ostream& file) { file << world::to_yaml(plan.base); });
  return written ? write_manifest(plan, command_line, "running", "") : written;
}

template <class Row, class Each>
io::Result<> Folder::write_csv(const char* name, const study::Plan& plan, Each each) const {
  io::Result<> read;
  const auto written = write_file(path_ / name, [&](std::ostream& file) {
    file << report::csv_header(report::fields(plan, Row()));
    read = each([&](const Row& row) { file << report::csv_row(report::fields(plan, row)); });
  });
  return read ? written : read;
}

io::Result<> Folder::end(const study::Plan& plan, const study::Summary& summary,
                         const std::string& command_line) {
  auto written = write_csv<study::Row>("trials.csv", plan, [&](auto write) { return store_.each(write); });
  if (written && plan.has_networks()) {
    written =
        write_csv<study::World>("worlds.csv", plan, [&](auto write) { return store_.each_world(write); });
  }
  if (written && plan.has_networks()) {
    written = write_csv<study::World>("looks.csv", plan, [&](auto write) { return store_.each_look(write); });
  }
  if (!written) return written;
  written = write_file(path_ / "summary.json", [&](std::ostream& file) { file << report::json(summary); });
  if (!written) return written;
  return write_manifest(plan, command_line, summary.interrupted ? "interrupted" : "complete", now());
}

io::Result<> Folder::write_manifest(const study::Plan& plan, const std::string& command_line,
                                    const std::string& state, const std::string& ended) const {
  const auto& build = study::build_info();
  nlohmann::ordered_json manifest{
      {"scenario", plan.base.name},
      {"seed", plan.base.seed},
      {"trials", plan.trials()},
      {"cells", plan.cells.size()},
      {"sweep", plan.axes},
      {"command_line", command_line},
      {"state", state},
      {"started", started_},
      {"ended", ended.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(ended)},
      {"trials_before", done_before_},
      {"fingerprint", study::fingerprint(plan)},
      {"version", build.version},
      {"ns3", build.ns3},
      {"compiler", build.compiler},
      {"build_type", build.build_type},
      {"git", build.git},
      {"build_id", build.id}};
  const auto text = manifest.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return write_file(path_ / "manifest.json", [&](std::ostream& file) { file << text << "\n"; });
}

}  // namespace flaresim::cli
