// The gateway services on this machine's own sockets, for clients of other people. Forwards nothing: it only tells, a
// line each, which ports it would open and close. Ends with its standard input.
//   gateway_program ADDRESS nat-pmp|igd1|igd2|permanent
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "sim/gateway/services.h"
#include "sim/os/real_network.h"

namespace {

using namespace flaresim;

class Teller final : public gateway::Forwarder {
 public:
  io::Result<> open(gateway::Transport transport, std::uint16_t outside_port,
                    const io::Endpoint& inside) override {
    std::cout << "open " << word(transport) << ' ' << outside_port << ' ' << io::to_string(inside)
              << std::endl;
    return {};
  }
  void close(gateway::Transport transport, std::uint16_t outside_port) override {
    std::cout << "close " << word(transport) << ' ' << outside_port << std::endl;
  }
  io::IpAddress outside_address() const override { return boost::asio::ip::make_address("11.0.0.7"); }

 private:
  static const char* word(gateway::Transport transport) {
    return transport == gateway::Transport::udp ? "udp" : "tcp";
  }
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const std::string kind = arguments[2];
  gateway::ServiceProfile profile;
  profile.nat_pmp = kind == "nat-pmp";
  profile.igd = kind == "igd1" ? 1 : kind == "nat-pmp" ? 0 : 2;
  profile.permanent_only = kind == "permanent";

  os::RealScheduler scheduler;
  os::RealNetwork network(scheduler);
  Teller teller;
  gateway::PortMap map(scheduler, network.random("ports"), teller, profile);
  auto services = gateway::Services::start(network, boost::asio::ip::make_address(arguments[1]), map);
  if (!services) {
    std::cerr << services.error().message() << std::endl;
    return 1;
  }
  std::thread input([&] {
    while (std::cin.get() != EOF) {
    }
    scheduler.post([&] { scheduler.stop(); });
  });
  std::cout << "ready" << std::endl;
  scheduler.run();
  input.join();
  services->reset();
}
