#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tests/kernel/lab.h"

namespace flaresim::kernel {

/// The Linux kernel as the router, in real time: a network namespace with two TUN devices, `inside` and `outside`.
///
/// 1. The namespace has no name: it ends with the lab, also when the process is killed.
/// 2. A packet that is written to a TUN device is routed, filtered and answered before the write returns.
class KernelLab : public Lab {
 public:
  /// The router has no address of its own inside: it speaks there, too, with its first outside ones.
  struct Addresses {
    std::vector<std::string> networks;  ///< inside
    std::vector<std::string> outside;   ///< of the router; IPv4 first
  };

  /// `rules` is what `nft -f` reads. Throws std::runtime_error when the rules are wrong.
  explicit KernelLab(const std::string& rules, const Addresses& addresses = usual_addresses());
  ~KernelLab() override;

  /// Why there can be no kernel lab here; nothing when there can.
  static std::optional<std::string> missing();
  /// Those of addresses.h.
  static Addresses usual_addresses();

  std::vector<Emitted> send(Side from, const Bytes& packet) override;
  /// Waits are laid end to end on one schedule from the first packet on, so that what packets take does not add up.
  void wait(std::chrono::milliseconds time) override;
  /// By how much the machine missed the schedule at worst.
  std::chrono::milliseconds worst_delay() const { return worst_delay_; }

 private:
  class Device;

  void build(const std::string& rules, const Addresses& addresses);

  std::unique_ptr<Device> inside_;
  std::unique_ptr<Device> outside_;
  std::optional<std::chrono::steady_clock::time_point> schedule_;
  std::chrono::milliseconds worst_delay_{0};
};

/// Also on a busy machine, where that is allowed. By how much it was late.
std::chrono::nanoseconds sleep_punctually_until(std::chrono::steady_clock::time_point time);

}  // namespace flaresim::kernel
