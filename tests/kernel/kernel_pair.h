#pragma once

#include <map>
#include <queue>

#include "sim/probe/lab.h"
#include "tests/kernel/kernel_lab.h"

namespace flaresim::kernel {

/// Two of the kernel's routers on one Internet, for `probe::stagger`: the layout is that of `probe::simulated_pair`. In
/// real time, but for a millisecond by which it may be ahead.
class KernelPair : public probe::Lab {
 public:
  /// `worst_delay` is told by how much the machine misses the schedule at worst.
  KernelPair(const std::string& rules, io::Duration one_way, std::chrono::milliseconds& worst_delay);
  ~KernelPair() override;

  const probe::Layout& layout() const override { return layout_; }
  void send(probe::Side side, io::BytesView packet) override;
  void run_for(io::Duration duration) override;
  std::vector<probe::Arrival> received(probe::Side side) override;
  io::TimePoint now() const override { return now_; }
  io::Duration longest_crossing() const override { return one_way_ + std::chrono::milliseconds(1); }

 private:
  struct Home;
  struct UnderWay {
    io::TimePoint due;
    std::size_t number;
    Home* to;  ///< null: the outside host
    Bytes packet;
    bool operator<(const UnderWay& other) const {
      return std::pair(due, number) > std::pair(other.due, other.number);
    }
  };

  void keep_up();
  void put(Home& home, Side side, const Bytes& packet);
  void route(const Bytes& packet);

  probe::Layout layout_;
  io::Duration one_way_;
  std::chrono::milliseconds& worst_delay_;
  std::vector<std::unique_ptr<Home>> homes_;
  std::priority_queue<UnderWay> under_way_;
  std::size_t sent_ = 0;
  std::map<probe::Side, std::vector<probe::Arrival>> arrivals_;
  std::chrono::steady_clock::time_point start_;
  io::TimePoint now_{};
  io::TimePoint waited_until_{};
};

}  // namespace flaresim::kernel
