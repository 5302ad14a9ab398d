#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/world/network.h"
#include "sim/world/trial.h"

namespace flaresim::study {

/// What a job came to in a worker process. A trial is one row; the world of a network is a row for each attempt of a
/// pair, and a report.
struct JobResult {
  std::vector<world::Trial> trials{};
  std::optional<world::NetworkReport> report{};
  std::string failure{};  ///< what the job threw; there is nothing else then
};

/// Without timelines, as CBOR (RFC 8949), to pass from a worker process to its parent.
std::vector<std::uint8_t> encode(const JobResult& result);
/// Nothing when the bytes are not what `encode` gives.
std::optional<JobResult> decode(std::span<const std::uint8_t> bytes);

}  // namespace flaresim::study
