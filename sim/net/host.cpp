#include "sim/net/host.h"

#include <ns3/packet.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "sim/net/ip_stack.h"
#include "sim/net/tcp_stream.h"
#include "sim/net/udp_socket.h"

namespace flaresim::net {

class Host::Stack final : public Port {
 public:
  Stack(engine::Simulation& world, const std::vector<io::IpAddress>& addresses, io::Random own)
      : simulation(world), random(std::move(own)) {
    for (const auto& address : addresses) {
      const bool second = address.is_v4() ? v4.has_value() : v6.has_value();
      if (second) throw std::logic_error("a host has at most one address a family");
      address.is_v4() ? void(v4 = address.to_v4()) : void(v6 = address.to_v6());
    }
    ip = make_ip_stack(v4, v6);
    ip.tcp->set_random(random.derive("tcp"));
    ip.device->set_transmit([this](PacketPtr packet) { transmit(std::move(packet)); });
  }
  ~Stack() override {
    ip.tcp->vanish_all();
    ip.device->set_transmit(nullptr);
  }

  void deliver(PacketPtr packet) override {
    observe(*packet, false);
    ip.device->receive(packet);
  }

  /// Our address of the family of that one.
  std::optional<io::IpAddress> own(const io::IpAddress& like) const {
    if (like.is_v4()) return v4 ? std::optional<io::IpAddress>(*v4) : std::nullopt;
    return v6 ? std::optional<io::IpAddress>(*v6) : std::nullopt;
  }
  /// What a socket that is bound to `wanted` is bound to.
  std::optional<io::IpAddress> interface(const io::IpAddress& wanted) const {
    const auto address = own(wanted);
    return wanted.is_unspecified() || address == wanted ? address : std::nullopt;
  }
  /// ns-3 would deliver to itself inside of sending, without end.
  bool can_reach(const io::IpAddress& address) const {
    const auto from = own(address);
    return from && *from != address && !address.is_loopback() && !address.is_unspecified() &&
           !address.is_multicast() && address != broadcast;
  }

  engine::Simulation& simulation;
  io::Random random;
  std::optional<boost::asio::ip::address_v4> v4;
  std::optional<boost::asio::ip::address_v6> v6;
  IpStack ip;
  Capture* tap = nullptr;
  std::function<void(const SynEvent&)> on_syn;

 private:
  inline static const io::IpAddress broadcast = boost::asio::ip::address_v4::broadcast();

  void transmit(PacketPtr packet) {
    observe(*packet, true);
    send(std::move(packet));
  }

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
};

Host::Host(engine::Simulation& simulation, std::vector<io::IpAddress> addresses, io::Random random)
    : stack_(std::make_unique<Stack>(simulation, addresses, std::move(random))) {}
Host::~Host() = default;

Port& Host::port() { return *stack_; }
io::Scheduler& Host::scheduler() { return stack_->simulation; }
io::Random Host::random(std::string_view purpose) { return stack_->random.derive(purpose); }

std::vector<io::IpAddress> Host::addresses() const {
  std::vector<io::IpAddress> all;
  if (stack_->v4) all.emplace_back(*stack_->v4);
  if (stack_->v6) all.emplace_back(*stack_->v6);
  return all;
}

io::Result<std::unique_ptr<io::Listener>> Host::listen(const io::Endpoint& local) {
  if (!stack_->interface(local.address)) return io::fail(std::errc::address_not_available);
  return TcpListener::open(stack_->simulation, stack_->ip.tcp, local);
}

io::Result<std::shared_ptr<io::StreamSocket>> Host::dial(const io::Endpoint& remote,
                                                         std::optional<std::uint16_t> local_port) {
  if (!stack_->can_reach(remote.address)) return io::fail(std::errc::network_unreachable);
  auto socket = stack_->ip.tcp->dial(*stack_->own(remote.address), local_port, remote);
  if (!socket) return tl::unexpected(socket.error());
  return std::make_shared<TcpStream>(stack_->simulation, *std::move(socket));
}

io::Result<std::unique_ptr<io::DatagramSocket>> Host::bind(const io::Endpoint& local) {
  const auto interface = stack_->interface(local.address);
  if (!interface) return io::fail(std::errc::address_not_available);
  return UdpSocket::open(stack_->simulation, stack_->ip.node, local, *interface,
                         [stack = stack_.get()](const io::IpAddress& to) { return stack->can_reach(to); });
}

void Host::capture(Capture* capture) { stack_->tap = capture; }
void Host::on_syn(std::function<void(const SynEvent&)> observer) { stack_->on_syn = std::move(observer); }
std::size_t Host::tcp_connections() const { return stack_->ip.tcp->connections(); }

}  // namespace flaresim::net
