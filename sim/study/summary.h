#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/study/build_info.h"
#include "sim/study/plan.h"
#include "sim/study/run.h"
#include "sim/study/statistics.h"

namespace flaresim::study {

/// How long the trials of a cell were in a phase, of those in which it ended.
struct PhaseTimes {
  std::uint64_t ended = 0;
  std::optional<io::Duration> p50;
  std::optional<io::Duration> p90;
};

/// What the trials of one cell say.
struct CellSummary {
  std::vector<world::Assignment> at;
  std::uint64_t seed = 0;
  bool is_network = false;
  std::uint64_t planned = 0;  ///< trials, or worlds of a network, that were asked for
  std::uint64_t done = 0;     ///< of them; fewer after an interruption
  Tally tally;
  std::array<PhaseTimes, world::all_phases.size()> phases{};  ///< in the order of `world::Phase`
  std::vector<World> worlds;                                  ///< of a network
  std::vector<Group> groups;                                  ///< sorted by the NATs' names
  std::vector<Verdict> verdicts;

  /// Trials that ended UNKNOWN, and worlds that went wrong.
  std::uint64_t errors() const;
  /// The rate that an expectation names: `punch_rate`, `direct_rate`, and of networks `true_closest_rate` (lookups of
  /// random keys that found each of the k closest servers that can be dialled), `true_verdict_rate` (nodes that know
  /// whether they can be dialled, at the last look) and `reserved_rate` (nodes that think themselves private and hold a
  /// reservation, at the last look). What a cell does not have has no value.
  Rate rate(std::string_view name) const;
};

/// A trial, or a world of a network, that went wrong itself.
struct TrialError {
  std::size_t cell = 0;
  std::uint64_t index = 0;  ///< number of the world of a network
  std::string error;
};

/// What people read: everything that the rows of a run come down to.
struct Summary {
  std::string scenario;
  std::string description;
  std::uint64_t seed = 0;
  std::vector<std::string> axes;  ///< of the sweep; empty without one
  std::vector<CellSummary> cells;
  std::vector<ReplacedAxis> replaced;
  std::vector<world::Expectation> not_applicable;
  bool interrupted = false;
  std::optional<TrialError> first_error;
  BuildInfo build;
  std::string rerun;  ///< the command line that gives the same rows

  /// Of all cells together.
  Tally tally() const;
  bool met() const;  ///< every expectation of every cell
  std::uint64_t errors() const;
  bool has_networks() const;
};

/// Gathers rows into a summary.
class Summarizer {
 public:
  explicit Summarizer(const Plan& plan);
  void add(const Row& row);
  void add(const World& world);
  Summary finish() const;

 private:
  using Pair = std::pair<std::string, std::string>;

  const Plan& plan_;
  Summary summary_;
  std::vector<std::map<Pair, Tally>> groups_;                                            ///< by cell
  std::vector<std::array<std::vector<io::Duration>, world::all_phases.size()>> phases_;  ///< by cell
};

}  // namespace flaresim::study
