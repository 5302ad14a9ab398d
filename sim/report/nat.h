#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/nat_presets.h"

namespace flaresim::report {

/// The presets, one a line: name, grade, summary.
std::string nat_list(const world::NatCatalogue& catalogue);

/// A JSON array of `{name, group, grade, summary, inline, observed_on[], sources[{url, kind, says}]}`.
std::string nat_list_json(const world::NatCatalogue& catalogue);

/// What stands in a cell; `why` says of each dash in it, in their order, why there is nothing to say.
struct NatCell {
  std::string text;
  std::vector<std::string> why;
};

/// A column that tells from elsewhere what one of the table's own says, and stands to the right of that.
struct NatColumn {
  std::string beside;  ///< title of the table's own column
  std::string title;
  std::function<NatCell(const world::NatPreset& preset)> cell;
};
/// The mark in a cell for what cannot be told.
inline constexpr std::string_view untold = "—";

/// A transport's mapping, filtering and ports in one cell; also for columns beside it, so that what agrees reads alike.
std::string nat_translation(std::string_view translate, std::string_view mapping, std::string_view filtering,
                            std::string_view ports);

/// What `topologies/nats/README.md` holds: a table of the presets under each heading, with `more` columns beside its
/// own; then why there are dashes; and the sources of each preset.
std::string nat_table(const world::NatCatalogue& catalogue, const std::vector<NatColumn>& more = {});

/// One NAT for people: what is known about it, and each axis with where its value comes from.
std::string nat_text(const world::NatDescription& nat);

/// `{name, summary, group, grade, observed_on[], sources[], inline, axes[{key, value, basis, meaning}]}`; without a
/// preset only the last two. `basis` is source, assumed, given or default.
std::string nat_json(const world::NatDescription& nat);

}  // namespace flaresim::report
