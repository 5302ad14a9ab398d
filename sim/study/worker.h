#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "protocols/io/result.h"
#include "sim/study/result_codec.h"

namespace flaresim::study {

/// A child process that answers job numbers with results.
///
/// 1. At most one job is under way.
/// 2. The child lives until this is destroyed, or until it dies of a job.
class Worker {
 public:
  /// In the child: how much of the job is done, from 0 to 1, and what it has come to so far. To be called seldom.
  using Progress = std::function<void(double share, const world::NetworkReport& so_far)>;
  using Job = std::function<JobResult(std::uint64_t number, const Progress& progress)>;

  /// Forks. `siblings` are the sockets of other workers, which the child must not keep open.
  static io::Result<Worker> start(const Job& job, const std::vector<int>& siblings);

  Worker(Worker&& other) noexcept;
  Worker& operator=(Worker&& other) noexcept;
  ~Worker();

  int socket() const { return socket_; }
  std::optional<std::uint64_t> job() const { return job_; }
  void give(std::uint64_t job);
  /// What is done of the job under way, as far as the child has told; 0 without one.
  double share() const { return share_; }
  /// What the child has told of the job since the last call, or of the one that `poll` has just answered.
  std::vector<world::NetworkReport> take_looks() { return std::exchange(looks_, {}); }

  struct Answer {
    JobResult result{};    ///< its `failure` says too what ended a child without a result
    bool retired = false;  ///< the child can take no more jobs
  };
  /// Takes what has arrived; nothing while the answer is incomplete.
  std::optional<Answer> poll();

 private:
  Worker(pid_t pid, int socket) : pid_(pid), socket_(socket) {}
  bool take_message(std::optional<Answer>& answer);
  bool take_look(std::span<const std::uint8_t> body);
  static Answer failed(std::string why);
  std::string wait_for_death();

  pid_t pid_ = -1;
  int socket_ = -1;
  std::optional<std::uint64_t> job_;
  double share_ = 0;
  std::vector<world::NetworkReport> looks_;
  std::vector<std::uint8_t> inbox_;
};

}  // namespace flaresim::study
