// The port-mapping client on this machine's own sockets, for gateways of other people.
//   portmap_program nat-pmp|pcp|igd
// Keeps TCP port 4001 mapped, tells each change as `PROTOCOL OUTSIDE` (`-` for none), and removes the mapping when its
// standard input ends.
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "protocols/portmap/port_mapper.h"
#include "sim/os/real_network.h"

namespace {

using namespace flaresim;

io::Task<> release(portmap::PortMapper& mapper) { (void)co_await mapper.release(); }

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::string protocol = arguments[1];
  portmap::PortMapProfile profile;
  profile.nat_pmp = protocol == "nat-pmp";
  profile.pcp = protocol == "pcp";
  profile.igd = protocol == "igd";
  profile.outside_port = portmap::OutsidePort::same;

  os::RealScheduler scheduler;
  os::RealNetwork network(scheduler);
  portmap::PortMapper mapper(network, profile);
  mapper.on_change([&] {
    const auto ports = mapper.mapped();
    std::cout << mapper.gateway() << ' ' << (ports.empty() ? "-" : io::to_string(ports[0].outside))
              << std::endl;
  });
  mapper.want(portmap::Transport::tcp, 4001);
  std::thread input([&] {
    while (std::cin.get() != EOF) {
    }
    scheduler.post([&] {
      io::spawn(scheduler.executor(), release(mapper));
      scheduler.start_timer(scheduler.now() + std::chrono::seconds(1), [&] { scheduler.stop(); });
    });
  });
  scheduler.run();
  input.join();
}
