#pragma once

#include "protocols/io/random.h"
#include "sim/cli/program.h"

namespace flaresim::cli {

/// While it lives, GnuTLS takes all its randomness in this process from a stream of ours, so that the keys of TLS
/// over TCP and of QUIC can be computed by whoever knows the seed. For simulated networks only: what runs on a real
/// one must never see this.
///
/// 1. At most one lives at a time, in a process without other threads that use GnuTLS.
/// 2. Before and after it, GnuTLS's randomness is its own.
/// 3. It works in a program only, whose symbols come before those of its libraries, and not in a library that
///    another program loads, such as the Python module. Where GnuTLS does not ask us, making one throws
///    std::runtime_error.
class PredictableKeys {
 public:
  explicit PredictableKeys(io::Random random);
  ~PredictableKeys();
  PredictableKeys(const PredictableKeys&) = delete;
  PredictableKeys& operator=(const PredictableKeys&) = delete;

 private:
  io::Random random_;
};

/// The same trials, each with keys that follow from its seed and index alone.
WorldTrial with_predictable_keys(WorldTrial trial);

}  // namespace flaresim::cli
