#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/probe/probe.h"

namespace flaresim::probe {

/// What a prober must find, by `section.key`; no value where packets cannot tell. Axes that are not named here are not
/// judged.
using Expected = std::map<std::string, std::optional<Value>>;

/// The axes of a behaviour, as far as they show: worked out from what the words mean, not from what the box does.
Expected declared(const nat::Behaviour& behaviour, const Options& options);

/// Where a report says something else, a line each.
std::vector<std::string> differences(const Expected& expected, const Report& report);

}  // namespace flaresim::probe
