#include "sim/study/run.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <map>

#include "sim/study/worker.h"

namespace flaresim::study {
namespace {

/// How many rows may wait for a slower one before them.
constexpr std::uint64_t max_rows_ahead = 4096;
constexpr int poll_interval_ms = 100;

/// Trials of all cells, numbered through.
class Numbering {
 public:
  explicit Numbering(const Plan& plan) {
    for (const auto& cell : plan.cells) ends_.push_back(total() + cell.scenario.trials);
  }
  std::uint64_t total() const { return ends_.empty() ? 0 : ends_.back(); }
  std::size_t cell(std::uint64_t number) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(ends_, number) - ends_.begin());
  }
  std::uint64_t index(std::uint64_t number) const {
    const auto at = cell(number);
    return at == 0 ? number : number - ends_[at - 1];
  }

 private:
  std::vector<std::uint64_t> ends_;
};

class Run {
 public:
  Run(const Plan& plan, const TrialFunction& trial, const RunOptions& options,
      const std::function<io::Result<>(const Row&)>& sink)
      : plan_(plan), trial_(trial), options_(options), sink_(sink), numbering_(plan) {
    next_ = written_ = std::min(options.skip, numbering_.total());
  }

  io::Result<RunEnd> operator()() {
    const auto left = numbering_.total() - written_;
    const auto jobs = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max(options_.jobs, 1)), left);
    while (workers_.size() < jobs) {
      if (auto started = hire(); !started) return tl::unexpected(started.error());
    }
    while (written_ < numbering_.total()) {
      if (options_.interrupted()) return RunEnd::interrupted;
      give_jobs();
      wait();
      if (auto collected = collect(); !collected) return tl::unexpected(collected.error());
      if (auto written = write_rows(); !written) return tl::unexpected(written.error());
    }
    return RunEnd::complete;
  }

 private:
  io::Result<> hire() {
    auto worker = start_worker();
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
    return {};
  }

  io::Result<Worker> start_worker() {
    std::vector<int> siblings;
    for (const auto& worker : workers_) siblings.push_back(worker.socket());
    return Worker::start([this](std::uint64_t number) { return perform(number); }, siblings);
  }

  /// In the worker.
  world::Trial perform(std::uint64_t number) {
    const auto cell = numbering_.cell(number);
    const auto& scenario = plan_.cells[cell].scenario;
    world::TrialOptions options;
    options.captures = options_.captures;
    if (plan_.cells.size() > 1) options.captures.directory += fmt::format("/{}", cell);
    return trial_(scenario, scenario.seed, numbering_.index(number), options);
  }

  void give_jobs() {
    for (auto& worker : workers_) {
      if (worker.job() || next_ >= numbering_.total() || next_ >= written_ + max_rows_ahead) continue;
      worker.give(next_++);
    }
  }

  void wait() const {
    std::vector<pollfd> sockets;
    for (const auto& worker : workers_) sockets.push_back({worker.socket(), POLLIN, 0});
    ::poll(sockets.data(), sockets.size(), poll_interval_ms);
  }

  io::Result<> collect() {
    for (auto& worker : workers_) {
      const auto job = worker.job();
      auto answer = worker.poll();
      if (!answer) continue;
      const auto retired = answer->retired;
      if (job) finished_[*job] = row_of(*job, std::move(*answer));
      if (!retired) continue;
      auto successor = start_worker();
      if (!successor) return tl::unexpected(successor.error());
      worker = std::move(*successor);
    }
    return {};
  }

  /// The trial's own identity is filled in here, since a trial that went wrong may not know it.
  Row row_of(std::uint64_t number, Worker::Answer answer) const {
    Row row{.cell = numbering_.cell(number), .trial = {}};
    if (answer.trial) row.trial = std::move(*answer.trial);
    row.trial.index = numbering_.index(number);
    if (answer.trial && !answer.retired) return row;
    const auto& scenario = plan_.cells[row.cell].scenario;
    row.trial.outcome = world::Outcome::unknown;
    row.trial.cause = world::Cause::internal_error;
    row.trial.a = known_kind(scenario.a);
    row.trial.b = known_kind(scenario.b);
    if (!answer.death.empty()) row.trial.error = answer.death;
    return row;
  }

  static world::PeerKind known_kind(const world::PeerSpec& peer) {
    return peer.population ? world::PeerKind{.nat = "?", .region = "", .access = ""} : peer.kind;
  }

  io::Result<> write_rows() {
    for (auto row = finished_.find(written_); row != finished_.end(); row = finished_.find(written_)) {
      if (auto written = sink_(row->second); !written) return written;
      finished_.erase(row);
      ++written_;
    }
    return {};
  }

  const Plan& plan_;
  const TrialFunction& trial_;
  const RunOptions& options_;
  const std::function<io::Result<>(const Row&)>& sink_;
  Numbering numbering_;
  std::vector<Worker> workers_;
  std::map<std::uint64_t, Row> finished_;  ///< rows that wait for one before them
  std::uint64_t next_ = 0;                 ///< the first trial that nobody was given
  std::uint64_t written_ = 0;              ///< rows handed to the sink or skipped
};

}  // namespace

io::Result<RunEnd> run(const Plan& plan, const TrialFunction& trial, const RunOptions& options,
                       const std::function<io::Result<>(const Row&)>& sink) {
  return Run(plan, trial, options, sink)();
}

}  // namespace flaresim::study
