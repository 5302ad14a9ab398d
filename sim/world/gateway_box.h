#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/net/nat_box.h"
#include "sim/net/stateless_box.h"
#include "sim/world/address_plan.h"

namespace flaresim::world {

/// A box on a peer's way to the Internet, of any kind: see `GatewayKind`.
class GatewayBox {
 public:
  /// `random` names its streams. `aftr` is the other end of a DS-Lite home's tunnel, and null for other kinds.
  GatewayBox(engine::Simulation& simulation, GatewayKind kind, const nat::Behaviour& behaviour,
             const AddressPlan::Gateway& addresses, const AddressPlan::Gateway* aftr,
             const io::Random& random);

  net::Port& outside();
  /// Null for kinds that keep no table.
  net::NatBox* nat() { return nat_.get(); }
  io::Result<> attach(net::Port& port, const std::vector<io::IpAddress>& addresses,
                      const net::LinkProfile& link);
  io::Result<> readdress(const net::Port& port, const std::vector<io::IpAddress>& addresses);
  void on_verdict(std::function<void(const net::NatEvent&)> observer);
  void capture_inside(net::Capture* capture);
  void capture_outside(net::Capture* capture);

 private:
  std::unique_ptr<net::NatBox> nat_;
  std::unique_ptr<net::StatelessBox> stateless_;  ///< one of the two is null
};

}  // namespace flaresim::world
