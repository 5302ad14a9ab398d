#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace flaresim::nat::test {

/// A number from 0 to one below the bound, which is not 0.
using Dice = std::function<std::uint32_t(std::uint32_t)>;

/// A valid behaviour in the notation: a mapping, a filter, a port assignment and some settings, of all the keys, prefixes and
/// values that `notation_keys` tells of. Numbers and durations are small, so that limits and timeouts are met.
std::string random_behaviour(const Dice& dice);

}  // namespace flaresim::nat::test
