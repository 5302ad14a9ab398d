#include "sim/net/host.h"

#include <ns3/packet.h>

#include <memory>
#include <optional>
#include <utility>

#include "sim/net/ip_stack.h"
#include "sim/net/routing.h"
#include "sim/net/tcp_stream.h"
#include "sim/net/udp_socket.h"

namespace flaresim::net {

class Host::Stack {
 public:
  Stack(engine::Simulation& world, Interface first, io::Random own)
      : simulation(world), random(std::move(own)), routing(std::make_shared<RoutingTable>()) {
    nics_.push_back(std::make_unique<Nic>(*this));
    routing->add(std::move(first), *nics_.back());
    ip.emplace(routing);
    ip->tcp()->set_random(random.derive("tcp"));
    ip->udp()->set_random(random.derive("udp"));
    nics_.back()->join(ip->device(0));
  }
  ~Stack() {
    ip->tcp()->vanish_all();
    *routing = {};  // what ns-3 still has scheduled finds no way out
  }

  RoutingTable::Index add(Interface interface) {
    nics_.push_back(std::make_unique<Nic>(*this));
    const auto index = routing->add(std::move(interface), *nics_.back());
    nics_.back()->join(ip->add_device());
    return index;
  }
  Port& port(RoutingTable::Index index) { return *nics_.at(index); }

  /// Whether a socket can be bound to it.
  bool has(const io::IpAddress& address) const {
    if (!address.is_unspecified()) return routing->holder(address).has_value();
    for (RoutingTable::Index i = 0; i < routing->size(); ++i) {
      if (routing->address(i, address.is_v4())) return true;
    }
    return false;
  }

  engine::Simulation& simulation;
  io::Random random;
  std::shared_ptr<RoutingTable> routing;
  std::optional<IpStack> ip;
  Capture* tap = nullptr;
  std::function<void(const SynEvent&)> on_syn;

 private:
  /// The plug of one interface.
  class Nic final : public Port {
   public:
    explicit Nic(Stack& stack) : stack_(stack) {}
    ~Nic() override {
      if (device_) device_->set_transmit(nullptr);
    }
    void join(const ns3::Ptr<Device>& device) {
      device_ = device;
      device_->set_transmit([this](PacketPtr packet) {
        stack_.observe(*packet, true);
        send(std::move(packet));
      });
    }
    void deliver(PacketPtr packet) override {
      stack_.observe(*packet, false);
      auto& routing = *stack_.routing;
      if (routing.size() == 1) return device_->receive(packet);
      routing.answering = destination_of(*packet);
      device_->receive(packet);
      routing.answering.reset();
    }

   private:
    Stack& stack_;
    ns3::Ptr<Device> device_;
  };

  void observe(const ns3::Packet& packet, bool sent) {
    if (tap != nullptr) tap->record(packet);
    if (!on_syn) return;
    const auto summary = summarise(packet);
    if (summary.protocol != protocol_tcp || (summary.tcp_flags & tcp_syn) == 0) return;
    on_syn({.at = simulation.now(),
            .sent = sent,
            .ack = (summary.tcp_flags & tcp_ack) != 0,
            .local = sent ? summary.source : summary.destination,
            .remote = sent ? summary.destination : summary.source});
  }

  std::vector<std::unique_ptr<Nic>> nics_;
};

Host::Host(engine::Simulation& simulation, std::vector<io::IpAddress> addresses, io::Random random)
    : Host(simulation, Interface{.addresses = std::move(addresses)}, std::move(random)) {}
Host::Host(engine::Simulation& simulation, Interface first, io::Random random)
    : stack_(std::make_unique<Stack>(simulation, std::move(first), std::move(random))) {}
Host::~Host() = default;

RoutingTable::Index Host::add_interface(Interface interface) { return stack_->add(std::move(interface)); }
void Host::readdress(RoutingTable::Index interface, std::vector<io::IpAddress> addresses) {
  stack_->routing->readdress(interface, std::move(addresses));
  stack_->ip->readdress(interface);
}
void Host::set_gateway(RoutingTable::Index interface, std::optional<io::IpAddress> gateway) {
  stack_->routing->set_gateway(interface, std::move(gateway));
}
Port& Host::port(RoutingTable::Index interface) { return stack_->port(interface); }
std::size_t Host::interfaces() const { return stack_->routing->size(); }

io::Scheduler& Host::scheduler() { return stack_->simulation; }
io::Random Host::random(std::string_view purpose) { return stack_->random.derive(purpose); }
std::vector<io::IpAddress> Host::addresses() const { return stack_->routing->addresses(); }

std::optional<io::IpAddress> Host::default_gateway() const {
  static const io::IpAddress elsewhere = boost::asio::ip::make_address("1.1.1.1");
  const auto& routing = *stack_->routing;
  const auto index = routing.towards(elsewhere);
  return index ? routing[*index].gateway : std::nullopt;
}

io::Result<std::unique_ptr<io::Listener>> Host::listen(const io::Endpoint& local) {
  if (!stack_->has(local.address)) return io::fail(std::errc::address_not_available);
  return TcpListener::open(stack_->simulation, stack_->ip->tcp(), local);
}

io::Result<std::shared_ptr<io::StreamSocket>> Host::dial(const io::Endpoint& remote,
                                                         std::optional<std::uint16_t> local_port) {
  if (!stack_->routing->can_reach(remote.address)) return io::fail(std::errc::network_unreachable);
  auto socket = stack_->ip->tcp()->dial(*stack_->routing->source_for(remote.address), local_port, remote);
  if (!socket) return tl::unexpected(socket.error());
  return std::make_shared<TcpStream>(stack_->simulation, *std::move(socket));
}

io::Result<std::unique_ptr<io::DatagramSocket>> Host::bind(const io::Endpoint& local) {
  if (!stack_->has(local.address)) return io::fail(std::errc::address_not_available);
  return UdpSocket::open(stack_->simulation, stack_->ip->udp(), stack_->routing, local);
}

void Host::capture(Capture* capture) { stack_->tap = capture; }
void Host::on_syn(std::function<void(const SynEvent&)> observer) { stack_->on_syn = std::move(observer); }
std::size_t Host::tcp_connections() const { return stack_->ip->tcp()->connections(); }

}  // namespace flaresim::net
