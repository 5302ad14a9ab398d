#pragma once

#include <optional>

#include "protocols/dcutr/hole_puncher.h"
#include "protocols/io/signal.h"
#include "protocols/io/task.h"
#include "protocols/node/node.h"
#include "sim/world/trial.h"

namespace flaresim::world {

/// The end of every trial: two peers that are connected over a relay, and what their upgrade comes to. B acts, since it
/// was dialled. Writes outcome, cause and measurements into the trial's row.
class Upgrade {
 public:
  /// How long both ends of a direct connection may differ in seeing it.
  static constexpr io::Duration settle_limit = std::chrono::seconds(5);

  Upgrade(io::Scheduler& scheduler, Trial& trial)
      : scheduler_(scheduler), trial_(trial), progress_(scheduler) {}
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  /// Both peers have booted. To be called before they connect; the row's times count from `began`.
  void watch(node::Node& a, node::Node& b, io::TimePoint began);
  /// A peer is leaving, or the time is up: what is under way ends, nobody touches the peers any more, and the trial's
  /// row stays as it is.
  void abandon() {
    abandoned_ = true;
    progress_.notify_all();
  }
  /// Takes down when the relayed connection came about, waits for B's report, and concludes.
  io::Task<> finish();
  /// What the trial has come to if its time is up now.
  Outcome so_far() const;
  /// Whether B has sent SYNC to A.
  bool exchanged() const { return exchanged_; }
  /// There is a direct connection without an upgrade: `connection_reversed` if it carries data both ways.
  io::Task<> finish_direct();

 private:
  bool concludes(const dcutr::PunchReport& report) const;
  io::Task<> conclude(dcutr::PunchReport report, io::Duration reported_at);
  io::Task<bool> carries_data();
  void end(Outcome outcome, Cause cause);

  io::Duration since_began() const { return scheduler_.now() - began_; }

  io::Scheduler& scheduler_;
  node::Node* a_ = nullptr;
  node::Node* b_ = nullptr;
  io::TimePoint began_{};
  Trial& trial_;
  io::Signal progress_;
  std::optional<dcutr::PunchReport> report_;
  bool exchanged_ = false;
  bool abandoned_ = false;
};

}  // namespace flaresim::world
