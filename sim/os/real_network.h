#pragma once

#include "protocols/io/network.h"
#include "sim/os/real_scheduler.h"

namespace flaresim::os {

/// The sockets of this machine.
///
/// 1. Listeners share their port with our own dials, and with nobody else.
/// 2. Segments leave at once (TCP_NODELAY), as small messages and timed answers need.
/// 3. Addresses are those of interfaces that are up, without IPv6 link-local ones, which mean nothing
/// elsewhere.
class RealNetwork final : public io::Network {
 public:
  explicit RealNetwork(RealScheduler& scheduler, io::Random random = io::Random::from_entropy());

  io::Scheduler& scheduler() override { return scheduler_; }
  io::Random random(std::string_view purpose) override { return random_.derive(purpose); }
  std::vector<io::IpAddress> addresses() const override;
  std::optional<io::IpAddress> default_gateway() const override;

  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& local) override;
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote,
                                                     std::optional<std::uint16_t> local_port) override;
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint& local) override;

 private:
  RealScheduler& scheduler_;
  io::Random random_;
};

}  // namespace flaresim::os
