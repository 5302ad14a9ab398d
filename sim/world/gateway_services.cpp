#include "sim/world/gateway_services.h"

#include <stdexcept>
#include <vector>

#include "sim/gateway/port_map.h"
#include "sim/gateway/services.h"
#include "sim/net/host.h"
#include "sim/net/nat_address.h"

namespace flaresim::world {
namespace {

nat::Transport as_nat(gateway::Transport transport) {
  return transport == gateway::Transport::udp ? nat::Transport::udp : nat::Transport::tcp;
}

class NatForwarder final : public gateway::Forwarder {
 public:
  NatForwarder(engine::Simulation& simulation, net::NatBox& box) : simulation_(simulation), box_(box) {}

  io::Result<> open(gateway::Transport transport, std::uint16_t outside_port,
                    const io::Endpoint& inside) override {
    const nat::Forward forward{as_nat(transport), outside_port, {net::to_nat(inside.address), inside.port}};
    const auto error = box_.nat().open_forward(forward, simulation_.now().time_since_epoch());
    if (error) return tl::unexpected(error);
    return {};
  }
  /// What is not there, because the table was lost, need not be closed.
  void close(gateway::Transport transport, std::uint16_t outside_port) override {
    (void)box_.nat().close_forward(as_nat(transport), outside_port);
  }
  io::IpAddress outside_address() const override { return box_.outside_addresses().front(); }

 private:
  engine::Simulation& simulation_;
  net::NatBox& box_;
};

}  // namespace

struct GatewayServices::Parts {
  Parts(engine::Simulation& simulation, net::NatBox& box, const io::IpAddress& address,
        const gateway::ServiceProfile& profile, const io::Random& random)
      : host(simulation, std::vector<io::IpAddress>(1, address), random.derive("router")),
        forwarder(simulation, box),
        map(simulation, random.derive("port map"), forwarder, profile) {}

  net::Host host;
  NatForwarder forwarder;
  gateway::PortMap map;
  std::unique_ptr<gateway::Services> services;
};

GatewayServices::GatewayServices(engine::Simulation& simulation, net::NatBox& box,
                                 const io::IpAddress& address, const gateway::ServiceProfile& profile,
                                 const io::Random& random)
    : parts_(std::make_unique<Parts>(simulation, box, address, profile, random)) {
  if (!box.attach(parts_->host.port(), parts_->host.addresses(), {}))
    throw std::logic_error("the gateway's own address is taken");
  auto services = gateway::Services::start(parts_->host, address, parts_->map);
  if (!services) throw std::logic_error("gateway services: " + services.error().message());
  parts_->services = std::move(*services);
  box.on_loss([this](bool rebooted) {
    if (parts_->services) rebooted ? parts_->services->restart() : parts_->services->reopen();
  });
}

GatewayServices::~GatewayServices() = default;

void GatewayServices::stop() { parts_->services.reset(); }

}  // namespace flaresim::world
