#pragma once

#include "tests/bench/recording.h"

namespace flaresim::bench {

struct BareRun {
  std::uint64_t events = 0;
  std::uint64_t packets = 0;        ///< through the core
  std::uint64_t bytes_written = 0;  ///< of payload
};

/// The recorded connections over bare hosts and the core, in a world of their own that is built and torn down
/// here: the same dials and the same writes at the same instants, up to the trial's last packet; no NAT, no
/// protocol.
BareRun run_bare(const Recording& recording, const world::WorldData& data);

}  // namespace flaresim::bench
