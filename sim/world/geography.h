#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/world/scenario.h"
#include "sim/world/world_data.h"

namespace flaresim::world {

/// The places of one scenario and the delays between them: the measured regions, or the vertices of its core.
class Geography {
 public:
  /// Both outlive it.
  Geography(const Scenario& scenario, const WorldData& data);

  const std::vector<std::string>& names() const { return names_; }
  std::size_t find(const std::string& name) const;
  /// Where peers and servers live when nobody says where.
  const std::vector<std::string>& drawable() const { return drawable_; }

  /// One way, without access links and without waiting.
  io::Duration delay(std::size_t from, std::size_t to);
  /// The links of the core along the way; without a core there are none.
  const std::vector<topologies::CoreGraph::Hop>& way(std::size_t from, std::size_t to);
  const topologies::CoreGraph* core() const { return core_; }

 private:
  const topologies::RegionGraph& regions_;
  const topologies::CoreGraph* core_ = nullptr;
  std::vector<std::string> names_;
  std::vector<std::string> drawable_;
  std::map<std::size_t, std::vector<std::vector<topologies::CoreGraph::Hop>>> ways_;  ///< by where they begin
};

}  // namespace flaresim::world
