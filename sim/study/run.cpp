#include "sim/study/run.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "sim/study/worker.h"

namespace flaresim::study {
namespace {

/// How many results may wait for a slower one before them.
constexpr std::uint64_t max_ahead = 4096;
constexpr int poll_interval_ms = 100;

/// Trials and worlds of all cells, numbered through.
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
  Run(const Plan& plan, const Work& work, const RunOptions& options, const Sink& sink)
      : plan_(plan), work_(work), options_(options), sink_(sink), numbering_(plan) {
    next_ = written_ = std::min(options.skip, numbering_.total());
  }

  io::Result<RunEnd> operator()() {
    const auto left = numbering_.total() - written_;
    const auto jobs = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max(options_.jobs, 1)), left);
    while (workers_.size() < jobs) {
      if (auto started = hire(); !started) return tl::unexpected(started.error());
    }
    while (written_ < numbering_.total()) {
      options_.under_way(under_way());
      if (options_.interrupted()) return RunEnd::interrupted;
      give_jobs();
      wait();
      if (auto collected = collect(); !collected) return tl::unexpected(collected.error());
      if (auto written = write(); !written) return tl::unexpected(written.error());
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
    return Worker::start(
        [this](std::uint64_t number, const Worker::Progress& progress) { return perform(number, progress); },
        siblings);
  }

  /// In the worker.
  JobResult perform(std::uint64_t number, const Worker::Progress& progress) {
    const auto cell = numbering_.cell(number);
    const auto& scenario = plan_.cells[cell].scenario;
    if (scenario.network) {
      world::NetworkOptions options;
      options.on_look = [&](io::Duration at, const world::NetworkReport& so_far, const world::NetworkCost&) {
        progress(std::chrono::duration<double>(at) / scenario.network->duration, so_far);
      };
      auto result = work_.network(scenario, scenario.seed, numbering_.index(number), options);
      return {.trials = std::move(result.rows), .report = std::move(result.report)};
    }
    world::TrialOptions options;
    options.captures = options_.captures;
    if (plan_.cells.size() > 1) options.captures.directory += fmt::format("/{}", cell);
    return {.trials = {work_.trial(scenario, scenario.seed, numbering_.index(number), options)}};
  }

  double under_way() const {
    double done = 0;
    for (const auto& worker : workers_) done += worker.share();
    return done;
  }

  void give_jobs() {
    for (auto& worker : workers_) {
      if (worker.job() || next_ >= numbering_.total() || next_ >= written_ + max_ahead) continue;
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
      for (auto& report : worker.take_looks()) {
        if (auto written = sink_.look(world_of(*job, std::move(report))); !written) return written;
      }
      if (!answer) continue;
      const auto retired = answer->retired;
      if (job) finished_[*job] = std::move(answer->result);
      if (!retired) continue;
      auto successor = start_worker();
      if (!successor) return tl::unexpected(successor.error());
      worker = std::move(*successor);
    }
    return {};
  }

  io::Result<> write(std::uint64_t number, const JobResult& result) {
    const auto cell = numbering_.cell(number);
    if (!plan_.cells[cell].scenario.network) return sink_.row(row_of(number, result));
    for (const auto& trial : result.trials) {
      if (auto written = sink_.row({cell, trial}); !written) return written;
    }
    return sink_.world(world_of(number, result.report, result.failure));
  }

  World world_of(std::uint64_t number, std::optional<world::NetworkReport> report,
                 std::string error = {}) const {
    return {numbering_.cell(number), numbering_.index(number), std::move(error), std::move(report)};
  }

  /// The trial's own identity is filled in here, since a trial that went wrong may not know it.
  Row row_of(std::uint64_t number, const JobResult& result) const {
    Row row{.cell = numbering_.cell(number), .trial = {}};
    if (!result.trials.empty()) row.trial = result.trials.front();
    row.trial.index = row.trial.world = numbering_.index(number);
    if (result.failure.empty()) return row;
    const auto& scenario = plan_.cells[row.cell].scenario;
    row.trial.cause = world::Cause::internal_error;
    row.trial.error = result.failure;
    row.trial.a = known_kind(scenario.a);
    row.trial.b = known_kind(scenario.b);
    return row;
  }

  static world::PeerKind known_kind(const world::PeerSpec& peer) {
    return peer.population ? world::PeerKind{.nat = "?", .region = "", .access = ""} : peer.kind;
  }

  io::Result<> write() {
    for (auto next = finished_.find(written_); next != finished_.end(); next = finished_.find(written_)) {
      if (auto written = write(next->first, next->second); !written) return written;
      finished_.erase(next);
      ++written_;
    }
    return {};
  }

  const Plan& plan_;
  const Work& work_;
  const RunOptions& options_;
  const Sink& sink_;
  Numbering numbering_;
  std::vector<Worker> workers_;
  std::map<std::uint64_t, JobResult> finished_;  ///< results that wait for one before them
  std::uint64_t next_ = 0;                       ///< the first number that nobody was given
  std::uint64_t written_ = 0;                    ///< results handed to the sink or skipped
};

}  // namespace

io::Result<RunEnd> run(const Plan& plan, const Work& work, const RunOptions& options, const Sink& sink) {
  return Run(plan, work, options, sink)();
}

}  // namespace flaresim::study
