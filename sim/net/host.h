#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "protocols/io/network.h"
#include "sim/engine/simulation.h"
#include "sim/net/capture.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"
#include "sim/net/routing.h"

namespace flaresim::net {

/// A TCP SYN (or SYN|ACK) that a host sent or received.
struct SynEvent {
  io::TimePoint at;
  bool sent = false;
  bool ack = false;
  io::Endpoint local;
  io::Endpoint remote;
};

/// A simulated computer: ns-3's IP, UDP and TCP under the sockets that protocols see.
///
/// 1. It has an IPv4 address, an IPv6 address or both, and no loopback: an address of its own is unreachable
///    (`errc::network_unreachable`), as is a family that it does not have.
/// 2. TCP behaves as Linux does where hole punching can tell: see tcp_socket.h.
/// 3. Nothing is received and everything sent is lost until its port is plugged in, and while its link is down:
///    as with Linux, senders are not told. Network managers take an interface without a link out of the routes,
///    so new traffic takes another one where there is one.
/// 4. A host may have several interfaces; routing.h says which one a packet leaves by. A socket that is bound to
///    an address leaves by the interface that has it.
/// 5. An address that is taken away stays in the sockets that are bound to it. As with Linux, a UDP socket can
///    then not send (`errc::network_unreachable`), while a TCP connection says nothing and retransmits: it
///    recovers if the address comes back in time, and fails by its own timeouts otherwise.
/// 6. Destroying it takes it off the network without another packet. Its sockets are destroyed before it.
class Host final : public io::Network {
 public:
  /// At most one address a family. `random` is this host's own; its sequence numbers and ports derive from
  /// it.
  Host(engine::Simulation& simulation, std::vector<io::IpAddress> addresses, io::Random random);
  ~Host() override;

  /// Another interface; the first one has metric 0, a default route and an MTU of 1500 bytes. std::logic_error
  /// for two addresses of a family, or an MTU below 1280.
  RoutingTable::Index add_interface(Interface interface);
  /// The first interface, of another kind than the constructor makes it.
  Host(engine::Simulation& simulation, Interface first, io::Random random);
  /// Gives an interface other addresses: another network, or a new lease.
  void readdress(RoutingTable::Index interface, std::vector<io::IpAddress> addresses);
  /// What `default_gateway` says of an interface in another network; nothing: it is not known there.
  void set_gateway(RoutingTable::Index interface, std::optional<io::IpAddress> gateway);

  Port& port(RoutingTable::Index interface = 0);
  std::size_t interfaces() const;

  io::Scheduler& scheduler() override;
  bool is_simulated() const override { return true; }
  io::Random random(std::string_view purpose) override;
  std::vector<io::IpAddress> addresses() const override;
  /// That of the interface by which IPv4 leaves.
  std::optional<io::IpAddress> default_gateway() const override;
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& local) override;
  io::Result<std::shared_ptr<io::StreamSocket>> dial(const io::Endpoint& remote,
                                                     std::optional<std::uint16_t> local_port) override;
  io::Result<std::unique_ptr<io::DatagramSocket>> bind(const io::Endpoint& local) override;

  /// Records every packet this host sends or receives; null stops.
  void capture(Capture* capture);
  void on_syn(std::function<void(const SynEvent&)> observer);
  /// TCP connections that have state here, TIME_WAIT included.
  std::size_t tcp_connections() const;

 private:
  class Stack;
  std::unique_ptr<Stack> stack_;
};

}  // namespace flaresim::net
