#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace flaresim::topologies {

/// The lines of a text as cells between commas, without surrounding blanks. Empty lines and those that begin with #
/// are left out; there is no quoting.
std::vector<std::vector<std::string_view>> csv_rows(std::string_view text);

/// A finite number that is not negative, written in full.
std::optional<double> csv_number(std::string_view cell);

}  // namespace flaresim::topologies
