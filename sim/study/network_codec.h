#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/world/network.h"

namespace flaresim::study {

/// A network's report as JSON (RFC 8259): the names of `visit_fields`, of which those of a spread are objects (`count`,
/// `mean`, `median`, `p90`, `max`), `verdicts` a list, `refused` an object by status code, and `kill` null when nobody
/// was. Numbers come back as they were, to the last bit.
std::string to_json(const world::NetworkReport& report);
/// Nothing when the text is not what `to_json` gives.
std::optional<world::NetworkReport> parse_report(std::string_view text);

/// The numbers alone, in columns: `lookup_took_s_median` is what is the median of `lookup_took_s` there.
using Number = std::variant<std::uint64_t, double>;
std::vector<std::pair<std::string, Number>> columns_of(const world::NetworkReport& report);

}  // namespace flaresim::study
