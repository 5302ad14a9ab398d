#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/engine/simulation.h"
#include "sim/nat/translation.h"
#include "sim/net/capture.h"
#include "sim/net/link.h"
#include "sim/net/nat_box.h"
#include "sim/net/port.h"

namespace flaresim::net {

/// A router that rewrites headers and keeps no table: the customer side of 464XLAT (`nat::Clat`), NPTv6
/// (`nat::Npt66`), the home's end of DS-Lite (`nat::SoftwireB4`).
///
/// 1. As NatBox: inside ports reach each other directly, its outside is a port like any other, and it outlives
///    the run. Boxes chain: a firewall inside of an NPTv6 router, a NAT inside of a CLAT.
/// 2. A packet that passes loses one hop; one that has none left is lost.
/// 3. On a phone that has IPv6 only, the CLAT is a box of its own between the host's interface, which has
///    192.0.0.4 and the phone's IPv6 address and an MTU 28 bytes below the line's (as Android's), and the
///    network, over a link without delay.
class StatelessBox {
 public:
  StatelessBox(engine::Simulation& simulation, std::unique_ptr<nat::HeaderTranslation> translation,
               const io::Random& random);
  ~StatelessBox();

  Port& outside();
  /// As NatBox's.
  io::Result<> attach(Port& port, const std::vector<io::IpAddress>& addresses, const LinkProfile& lan);
  io::Result<> readdress(const Port& port, const std::vector<io::IpAddress>& addresses);

  void on_verdict(std::function<void(const NatEvent&)> observer);
  void capture_inside(Capture* capture);
  void capture_outside(Capture* capture);

 private:
  class Box;
  std::unique_ptr<Box> box_;
};

}  // namespace flaresim::net
