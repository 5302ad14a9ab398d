#pragma once

#include <memory>

#include "protocols/io/random.h"
#include "sim/engine/simulation.h"
#include "sim/gateway/service_profile.h"
#include "sim/net/nat_box.h"

namespace flaresim::world {

/// The port-mapping services of one gateway: a host on its LAN that opens the gateway's ports.
///
/// 1. A reboot of the gateway ends every lease; other losses of its table leave them.
/// 2. It goes before the gateway.
class GatewayServices {
 public:
  /// `address` is the gateway's own in its LAN.
  GatewayServices(engine::Simulation& simulation, net::NatBox& box, const io::IpAddress& address,
                  const gateway::ServiceProfile& profile, const io::Random& random);
  ~GatewayServices();
  GatewayServices(const GatewayServices&) = delete;
  GatewayServices& operator=(const GatewayServices&) = delete;

  /// Ends the services; what they were at ends as soon as the scheduler runs.
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace flaresim::world
