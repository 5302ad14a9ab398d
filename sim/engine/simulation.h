#pragma once

#include <functional>
#include <memory>

#include "protocols/io/scheduler.h"

namespace flaresim::engine {

struct SimulationOptions {
  /// Packets carry valid IP, UDP, TCP and ICMP checksums. Needed where packets are captured, and off
  /// otherwise because they cost about a sixth of the packet rate. No outcome depends on it: simulated links
  /// do not corrupt.
  bool checksums = false;
};

/// The simulated world's time: the one event loop, which packets, timers and coroutines share.
///
/// 1. Time begins at `io::TimePoint{}` (zero) and only `run_*` moves it. The calendar begins at
///    2026-01-01T00:00:00Z, whatever the machine's clock says.
/// 2. Same construction, same calls: same events in the same order, in this process and in any other.
/// 3. At most one Simulation is alive in a process; a second one is a broken invariant (std::logic_error).
/// Once it
///    is destroyed the next one starts from nothing.
/// 4. What runs in it (hosts, routers, sockets) is destroyed before it, and nothing runs after that.
class Simulation final : public io::Scheduler {
 public:
  explicit Simulation(SimulationOptions options = {});
  ~Simulation() override;
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  io::Executor executor() override;
  io::TimePoint now() const override;
  io::CalendarTime calendar() const override;
  io::TimerId start_timer(io::TimePoint at, std::function<void()> on_expiry) override;
  void cancel_timer(io::TimerId id) override;
  std::size_t armed_timers() const override;

  /// Runs everything that is due up to and including `at`, and leaves the clock there.
  void run_until(io::TimePoint at);
  void run_for(io::Duration duration) { run_until(now() + duration); }
  /// Runs until `done()` holds, and says whether it does; gives up at `deadline`. The condition is looked at
  /// before the start and after each batch of posted work and each timer, which is where protocols change
  /// state.
  bool run_until(const std::function<bool()>& done, io::TimePoint deadline);

  /// Runs posted work until none is left, without moving the clock: the coroutines of everything that has
  /// been reset unwind. Called before the world is taken apart.
  void drain();

  bool checksums() const;
  /// Events of the loop so far; posted work counts as one event a batch.
  std::uint64_t events_executed() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace flaresim::engine
