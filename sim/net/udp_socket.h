#pragma once

#include <memory>

#include "protocols/io/network.h"
#include "sim/net/routing.h"
#include "sim/net/udp_layer.h"

namespace flaresim::net {

/// A simulated UDP socket as protocols see it.
///
/// 1. Bound to an address, it sends from there, and fails with `errc::network_unreachable` while the host
///    does not have the address (as Linux does).
/// 2. Bound to a wildcard, it answers a remote from the address that it last heard the remote at, as QUIC
///    implementations do with IP_PKTINFO; where that has gone, and towards a remote that it has not heard, it
///    sends from the address of the route.
class UdpSocket final : public io::DatagramSocket {
 public:
  /// Received and not yet read, above which datagrams are dropped; net.core.rmem_default.
  static constexpr std::size_t max_queued_bytes = 212992;
  /// Remotes whose address of arrival is remembered; then all are forgotten. None is where the host has one
  /// address.
  static constexpr std::size_t max_remembered_remotes = 4096;

  /// `errc::address_in_use`.
  static io::Result<std::unique_ptr<io::DatagramSocket>> open(io::Scheduler& scheduler,
                                                              const ns3::Ptr<UdpLayer>& layer,
                                                              std::shared_ptr<const RoutingTable> routing,
                                                              const io::Endpoint& local);
  class State;
  explicit UdpSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~UdpSocket() override;

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override;
  io::Task<io::Result<io::Datagram>> receive() override;
  io::Result<> join(const io::IpAddress& group) override;
  io::Endpoint local() const override;
  void close() override;

 private:
  std::shared_ptr<State> state_;  // whoever waits in `receive` shares it
};

}  // namespace flaresim::net
