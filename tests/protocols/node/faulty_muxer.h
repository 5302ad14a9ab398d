#pragma once

#include <functional>
#include <memory>

#include "protocols/io/random.h"
#include "protocols/io/scheduler.h"
#include "protocols/muxer/muxed_connection.h"

namespace flaresim::support {

/// How often a write to a stream is spoilt, each a probability.
struct FaultProfile {
  double dropped = 0;
  double duplicated = 0;
  double truncated = 0;
  double delayed = 0;
  io::Duration longest_delay{};
};

/// Spoils what protocols write to their streams. A write is a message, or a part of one.
class Faults {
 public:
  Faults(io::Scheduler& scheduler, FaultProfile profile, std::uint64_t seed)
      : scheduler_(scheduler), profile_(profile), random_(seed) {}

  /// For `SwarmProfile::muxer_tap`.
  muxer::MuxedConnectionPtr tap(muxer::MuxedConnectionPtr muxed);
  /// What comes through as it was from now on.
  void end() { profile_ = {}; }
  std::uint64_t spoilt() const { return spoilt_; }

  io::Task<io::Result<>> write(io::StreamPtr stream, io::BytesView bytes);

 private:
  bool strikes(double probability);

  io::Scheduler& scheduler_;
  FaultProfile profile_;
  io::Random random_;
  std::uint64_t spoilt_ = 0;
};

}  // namespace flaresim::support
