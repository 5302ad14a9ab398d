#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "sim/study/statistics.h"

namespace flaresim::cli {

/// How far a run is, on stderr: a bar on a terminal, else lines at growing intervals.
class Progress {
 public:
  enum class Style { quiet, lines, bar, coloured_bar };
  /// `bar` when stderr is a terminal; colours unless NO_COLOR is set (no-color.org).
  static Style style_of_terminal();

  /// `done` of `total` are known already; `unit` is what they are, such as `trials`.
  Progress(Style style, std::string unit, std::uint64_t total, std::uint64_t done);

  /// Another one is done.
  void advance() { ++done_; }
  /// How much is done of those that are under way, in units.
  void set_under_way(double done) { under_way_ = done; }
  /// One more row, for the rates.
  void add(const world::Trial& trial) { tally_.add(trial); }
  /// Draws when it is time to.
  void tick();
  /// Draws the last state, and leaves the line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string state() const;
  void draw();

  Style style_;
  std::string unit_;
  std::uint64_t total_;
  std::uint64_t done_;
  std::uint64_t done_before_;
  double under_way_ = 0;
  study::Tally tally_;  ///< of this session
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_;
  Clock::duration interval_;
};

}  // namespace flaresim::cli
