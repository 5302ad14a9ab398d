#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/net/link.h"
#include "sim/world/scenario.h"
#include "topologies/access_links.h"
#include "topologies/region_graph.h"

namespace flaresim::world {

/// What every trial of a run needs from disk, read once: the region graph and the access link table.
class WorldData {
 public:
  /// Reads `folder/data/rtt10_ms.csv` and `folder/data/access.csv`; see topologies/.
  static tl::expected<WorldData, ScenarioError> load(const std::string& folder);

  const topologies::RegionGraph& regions() const { return regions_; }
  /// `name` must be among `access_names`.
  const net::LinkProfile& access(const std::string& name) const { return accesses_.at(name); }

  const std::vector<std::string>& region_names() const { return regions_.names(); }
  const std::vector<std::string>& access_names() const { return access_names_; }

 private:
  WorldData(topologies::RegionGraph regions, const std::vector<topologies::AccessLink>& links);

  topologies::RegionGraph regions_;
  std::vector<std::string> access_names_;  ///< in the order of the table
  std::map<std::string, net::LinkProfile> accesses_;
};

/// The folder of the data that comes with the program: the environment's FLARESIM_DATA, else `share/flaresim`
/// beside the program's own `bin` when it is installed, else the source tree it was built from.
std::string data_directory();

}  // namespace flaresim::world
