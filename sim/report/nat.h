#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/world/nat_presets.h"

namespace flaresim::report {

/// The presets, one a line: name, grade, summary.
std::string nat_list(const world::NatCatalogue& catalogue);

/// A JSON array of `{name, group, grade, summary, inline, observed_on[], sources[{url, kind, says}]}`.
std::string nat_list_json(const world::NatCatalogue& catalogue);

/// A column of the presets' table.
struct NatColumn {
  std::string title;
  std::function<std::string(const world::NatPreset& preset)> cell;  ///< Markdown
};
/// What `topologies/nats/README.md` holds: a table of the presets under each heading, with `more` columns after its
/// own, and the sources of each preset below.
std::string nat_table(const world::NatCatalogue& catalogue, const std::vector<NatColumn>& more = {});

/// One NAT for people: what is known about it, and each axis with where its value comes from.
std::string nat_text(const world::NatDescription& nat);

/// `{name, summary, group, grade, observed_on[], sources[], inline, axes[{key, value, basis, meaning}]}`; without a
/// preset only the last two. `basis` is source, assumed, given or default.
std::string nat_json(const world::NatDescription& nat);

}  // namespace flaresim::report
