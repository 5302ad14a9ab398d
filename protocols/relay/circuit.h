#pragma once

#include <cstdint>
#include <system_error>

#include "protocols/io/stream.h"
#include "protocols/relay/relay_profile.h"

namespace flaresim::relay {

/// How a circuit ended.
struct CircuitEnd {
  std::error_code
      why;  ///< zero when both ends closed; `Error::data_limit`, `Error::duration_limit`, or a stream's
  std::uint64_t bytes = 0;  ///< carried, both directions
};

/// Joins two streams until both directions have ended: what one remote sends, the other receives.
///
/// 1. A half-close passes through. A reset, or a failure, of one stream resets the other.
/// 2. Exactly `limit.bytes` pass in each direction; what comes then is `profile.at_data_limit`.
/// 3. Exactly `limit.duration` after the start, both streams are reset.
io::Task<CircuitEnd> run_circuit(io::Scheduler& scheduler, io::StreamPtr source, io::StreamPtr target,
                                 RelayServiceProfile profile);

}  // namespace flaresim::relay
