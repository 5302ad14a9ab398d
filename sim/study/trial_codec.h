#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/world/trial.h"

namespace flaresim::study {

/// A trial without its timeline as CBOR (RFC 8949), to pass from a worker process to its parent.
std::vector<std::uint8_t> encode(const world::Trial& trial);
/// Nothing when the bytes are not what `encode` gives.
std::optional<world::Trial> decode_trial(std::span<const std::uint8_t> bytes);

}  // namespace flaresim::study
