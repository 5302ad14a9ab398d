#pragma once

#include <string>

#include "sim/nat/nat.h"
#include "tests/kernel/lab.h"

namespace flaresim::kernel {

/// Our model as the router, in simulated time.
class ModelLab : public Lab {
 public:
  /// `behaviour` in the notation of `nat::parse_behaviour`, to which the timeouts of timeouts.h are added.
  ModelLab(const std::string& behaviour, std::uint64_t seed);

  std::vector<Emitted> send(Side from, const Bytes& packet) override;
  void wait(std::chrono::milliseconds time) override { now_ += time; }

 private:
  nat::Nat nat_;
  nat::Time now_{0};
};

}  // namespace flaresim::kernel
