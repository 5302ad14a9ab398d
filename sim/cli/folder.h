#pragma once

#include <filesystem>
#include <string>

#include "sim/study/store.h"
#include "sim/study/summary.h"

namespace flaresim::cli {

/// Where a run leaves what it found: `scenario.yaml` (with all defaults), `manifest.json`, `trials.sqlite`,
/// `trials.csv`, `worlds.csv` and `looks.csv` of networks, `summary.json`, and `captures/` when packets are captured.
class Folder {
 public:
  /// With an empty `path`, a new folder `results/<scenario>-<UTC time>`.
  static tl::expected<Folder, study::StoreError> open(const std::string& path, const study::Plan& plan);

  const std::filesystem::path& path() const { return path_; }
  study::Store& store() { return store_; }
  io::Result<std::string> make_captures(std::size_t cells) const;

  io::Result<> begin(const study::Plan& plan, const std::string& command_line);
  /// Writes what follows from the rows.
  io::Result<> end(const study::Plan& plan, const study::Summary& summary, const std::string& command_line);

 private:
  Folder(std::filesystem::path path, study::Store store) : path_(std::move(path)), store_(std::move(store)) {}
  /// `each` hands all rows to what it is called with.
  template <class Row, class Each>
  io::Result<> write_csv(const char* name, const study::Plan& plan, Each each) const;
  io::Result<> write_manifest(const study::Plan& plan, const std::string& command_line,
                              const std::string& state, const std::string& ended) const;

  std::filesystem::path path_;
  study::Store store_;
  std::string started_;
  std::uint64_t done_before_ = 0;
};

}  // namespace flaresim::cli
