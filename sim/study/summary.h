#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/study/build_info.h"
#include "sim/study/plan.h"
#include "sim/study/run.h"
#include "sim/study/statistics.h"

namespace flaresim::study {

/// What the trials of one cell say.
struct CellSummary {
  std::vector<world::Assignment> at;
  std::uint64_t seed = 0;
  std::uint64_t planned = 0;  ///< trials asked for; the tally has fewer after an interruption
  Tally tally;
  std::vector<Group> groups;  ///< sorted by the NATs' names
  std::vector<Verdict> verdicts;
};

/// A trial that went wrong itself.
struct TrialError {
  std::size_t cell = 0;
  std::uint64_t index = 0;
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
};

/// Gathers rows into a summary.
class Summarizer {
 public:
  explicit Summarizer(const Plan& plan);
  void add(const Row& row);
  Summary finish() const;

 private:
  using Pair = std::pair<std::string, std::string>;

  const Plan& plan_;
  Summary summary_;
  std::vector<std::map<Pair, Tally>> groups_;  ///< by cell
};

}  // namespace flaresim::study
