#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/net/link.h"
#include "sim/world/scenario.h"
#include "topologies/region_graph.h"

namespace flaresim::world {

/// What every trial of a run needs from disk, read once: the region graph and the access link table.
class WorldData {
 public:
  /// Reads `folder/data/rtt10_ms.csv` and `folder/data/access.csv`; see `access_table` for the latter.
  static tl::expected<WorldData, ScenarioError> load(const std::string& folder);

  const topologies::RegionGraph& regions() const { return regions_; }
  /// `name` must be among `access_names`.
  const net::LinkProfile& access(const std::string& name) const { return accesses_.at(name); }

  const std::vector<std::string>& region_names() const { return regions_.names(); }
  const std::vector<std::string>& access_names() const { return access_names_; }

 private:
  WorldData(topologies::RegionGraph regions, std::vector<std::pair<std::string, net::LinkProfile>> accesses);

  topologies::RegionGraph regions_;
  std::vector<std::string> access_names_;  ///< in the order of the table
  std::map<std::string, net::LinkProfile> accesses_;
};

/// Reads access links from CSV: the header `access,delay_ms,jitter_ms,loss,up_mbit_s,down_mbit_s,queue_kb`,
/// then a row a link. Delay (one way), jitter (half width, at most the delay), loss (in [0, 1]) and queue (kB
/// = 1000 bytes) hold for each direction; a rate or queue of 0 is unlimited. Lines that begin with # are
/// comments.
tl::expected<std::vector<std::pair<std::string, net::LinkProfile>>, ScenarioError> access_table(
    std::string_view text, const std::string& file);

/// The folder of the data that comes with the program: the environment's FLARESIM_DATA, else `share/flaresim`
/// beside the program's own `bin` when it is installed, else the source tree it was built from.
std::string data_directory();

}  // namespace flaresim::world
