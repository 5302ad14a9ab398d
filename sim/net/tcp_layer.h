#pragma once

#include <ns3/tcp-l4-protocol.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include "protocols/io/network.h"
#include "sim/net/routing.h"
#include "sim/net/tcp_socket.h"

namespace flaresim::net {

/// What listens on a port.
class TcpAcceptor {
 public:
  virtual ~TcpAcceptor() = default;
  virtual bool has_room() const = 0;
  virtual void accepted(const ns3::Ptr<TcpSocket>& connection) = 0;
};

/// A host's TCP connections, found in constant time by their 4-tuple; ns-3's own layer looks through a list.
///
/// 1. Any number of connections and one listener share a port (SO_REUSEPORT), as long as 4-tuples differ.
/// 2. What fits no connection and no listener is answered with a RST (RFC 9293 §3.10.7.1), a RST with
/// nothing.
/// 3. A dial or a new SYN takes over the 4-tuple of a connection in TIME_WAIT.
class TcpLayer final : public ns3::TcpL4Protocol {
 public:
  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  /// Connections that wait for their handshake to end, as Linux's tcp_max_syn_backlog with 4096 and more
  /// memory.
  static constexpr std::size_t max_half_open = 4096;

  void set_random(io::Random random);
  void set_routing(std::shared_ptr<const RoutingTable> routing) { routing_ = std::move(routing); }

  /// Sends the SYN. `errc::address_in_use` when the 4-tuple is taken, or no port is left.
  io::Result<ns3::Ptr<TcpSocket>> dial(const io::IpAddress& local, std::optional<std::uint16_t> local_port,
                                       const io::Endpoint& remote);
  /// `local` may be unspecified. Says on which port. `errc::address_in_use`.
  io::Result<std::uint16_t> listen(const io::Endpoint& local, TcpAcceptor& acceptor);
  void stop_listening(const io::Endpoint& local);

  std::size_t connections() const { return connections_.size(); }
  void vanish_all();

  // For the sockets.
  /// Of the interface that has this address, or had it.
  std::uint16_t mtu_bytes(const io::IpAddress& local) const;
  void established(TcpSocket& connection);
  void forget(TcpSocket& connection);
  void answer_with_reset(const ns3::TcpHeader& header, const ns3::Address& from, const ns3::Address& to);

  RxStatus Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv4Header& header,
                   ns3::Ptr<ns3::Ipv4Interface> interface) override;
  RxStatus Receive(ns3::Ptr<ns3::Packet> packet, const ns3::Ipv6Header& header,
                   ns3::Ptr<ns3::Ipv6Interface> interface) override;
  void ReceiveIcmp(ns3::Ipv4Address from, std::uint8_t ttl, std::uint8_t type, std::uint8_t code,
                   std::uint32_t info, ns3::Ipv4Address source, ns3::Ipv4Address destination,
                   const std::uint8_t payload[8]) override;
  void ReceiveIcmp(ns3::Ipv6Address from, std::uint8_t ttl, std::uint8_t type, std::uint8_t code,
                   std::uint32_t info, ns3::Ipv6Address source, ns3::Ipv6Address destination,
                   const std::uint8_t payload[8]) override;

 protected:
  void DoDispose() override;

 private:
  /// IPv4 addresses as IPv4-mapped ones.
  struct FourTuple {
    std::array<std::uint8_t, 16> local;
    std::array<std::uint8_t, 16> remote;
    std::uint16_t local_port;
    std::uint16_t remote_port;
    friend bool operator==(const FourTuple&, const FourTuple&) = default;
  };
  struct Hash {
    std::size_t operator()(const FourTuple& tuple) const;
  };

  static FourTuple tuple_of(const io::Endpoint& local, const io::Endpoint& remote);
  RxStatus demultiplex(ns3::Ptr<ns3::Packet> packet, const ns3::Address& source,
                       const ns3::Address& destination, const io::IpAddress& from, const io::IpAddress& to);
  TcpSocket* find(const io::Endpoint& local, const io::Endpoint& remote) const;
  TcpAcceptor* acceptor_of(const io::Endpoint& local) const;
  bool taken(const io::Endpoint& local, const io::Endpoint& remote);
  std::optional<std::uint16_t> free_port(const io::IpAddress& local, const io::Endpoint* remote);
  std::uint32_t initial_sequence(const FourTuple& tuple) const;
  ns3::Ptr<TcpSocket> create(const io::Endpoint& local, const io::Endpoint& remote,
                             TcpSocket::Opening opening);
  void unreachable(const io::IpAddress& source, const io::IpAddress& destination,
                   const std::uint8_t payload[8], bool port_unreachable);

  io::Random random_{0};
  std::uint64_t secret_ = 0;  // of initial sequence numbers
  std::shared_ptr<const RoutingTable> routing_;
  std::unordered_map<FourTuple, ns3::Ptr<TcpSocket>, Hash> connections_;  // looked up, never walked in order
  std::map<io::Endpoint, TcpAcceptor*> acceptors_;
  std::size_t half_open_ = 0;
};

}  // namespace flaresim::net
