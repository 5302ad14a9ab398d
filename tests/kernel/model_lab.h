#pragma once

#include "sim/nat/nat.h"
#include "tests/kernel/lab.h"
#include "tests/kernel/rulesets.h"

namespace flaresim::kernel {

/// Our model as the router, in simulated time.
class ModelLab : public Lab {
 public:
  /// With the timeouts of timeouts.h.
  ModelLab(const Ruleset& ruleset, std::uint64_t seed);

  std::vector<Emitted> send(Side from, const Bytes& packet) override;
  void wait(std::chrono::milliseconds time) override { now_ += time; }

 private:
  nat::Nat nat_;
  nat::Time now_{0};
};

}  // namespace flaresim::kernel
