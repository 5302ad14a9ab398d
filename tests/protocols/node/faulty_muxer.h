#pragma once

#include <functional>
#include <memory>

#include "protocols/io/random.h"
#include "protocols/io/scheduler.h"
#include "protocols/muxer/muxed_connection.h"
#include "tests/protocols/support/fault_profile.h"

namespace flaresim::support {

/// Spoils what protocols write to their streams, of which it lives as long as any. A write is a message, or a part of
/// one. A stream that is reset, or whose connection has closed, is not spoilt any more: so only one write can still be
/// late once everything is shut down.
class Faults : public std::enable_shared_from_this<Faults> {
 public:
  Faults(io::Scheduler& scheduler, FaultProfile profile, std::uint64_t seed)
      : scheduler_(scheduler), profile_(profile), random_(seed) {}

  /// For `SwarmProfile::muxer_tap`.
  muxer::MuxedConnectionPtr tap(muxer::MuxedConnectionPtr muxed);
  /// From now on.
  void set_profile(const FaultProfile& profile) { profile_ = profile; }
  std::uint64_t spoilt() const { return spoilt_; }
  /// Streams that somebody still holds.
  std::size_t streams() const { return streams_; }

 private:
  class Stream;
  class Muxer;

  io::Task<io::Result<>> write(io::StreamPtr stream, io::BytesView bytes);
  bool strikes(double probability);

  io::Scheduler& scheduler_;
  FaultProfile profile_;
  io::Random random_;
  std::uint64_t spoilt_ = 0;
  std::size_t streams_ = 0;
};

}  // namespace flaresim::support
