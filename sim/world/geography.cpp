#include "sim/world/geography.h"

#include <algorithm>

namespace flaresim::world {

Geography::Geography(const Scenario& scenario, const WorldData& data) : regions_(data.regions()) {
  if (!scenario.core) {
    names_ = drawable_ = regions_.names();
    return;
  }
  core_ = scenario.core->graph.get();
  for (const auto& vertex : core_->vertices()) names_.push_back(vertex.name);
  for (const auto site : core_->sites()) drawable_.push_back(names_[site]);
}

std::size_t Geography::find(const std::string& name) const {
  return static_cast<std::size_t>(std::ranges::find(names_, name) - names_.begin());
}

io::Duration Geography::delay(std::size_t from, std::size_t to) {
  return core_ ? core_->delay_of(way(from, to)) : regions_.round_trip(from, to) / 2;
}

const std::vector<topologies::CoreGraph::Hop>& Geography::way(std::size_t from, std::size_t to) {
  static const std::vector<topologies::CoreGraph::Hop> none;
  if (!core_) return none;
  const auto known = ways_.find(from);
  return (known == ways_.end() ? ways_.emplace(from, core_->ways_from(from)).first : known)->second[to];
}

}  // namespace flaresim::world
