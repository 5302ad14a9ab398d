#pragma once

#include <ns3/address.h>
#include <ns3/node.h>
#include <ns3/ptr.h>
#include <ns3/socket.h>

#include <deque>
#include <functional>
#include <memory>

#include "protocols/io/network.h"
#include "protocols/io/signal.h"

namespace flaresim::net {

/// A simulated UDP socket as protocols see it.
class UdpSocket final : public io::DatagramSocket {
 public:
  /// Received and not yet read, above which datagrams are dropped; net.core.rmem_default.
  static constexpr std::size_t max_queued_bytes = 212992;

  /// Whether a destination can be sent to at all.
  using Reachable = std::function<bool(const io::IpAddress&)>;

  /// `interface` is the host's address that a wildcard `local` stands for.
  static io::Result<std::unique_ptr<io::DatagramSocket>> open(io::Scheduler& scheduler,
                                                              const ns3::Ptr<ns3::Node>& node,
                                                              const io::Endpoint& local,
                                                              const io::IpAddress& interface,
                                                              Reachable reachable);
  UdpSocket(io::Scheduler& scheduler, ns3::Ptr<ns3::Socket> socket, const io::Endpoint& local,
            Reachable reachable);
  ~UdpSocket() override;

  io::Result<> send_to(io::BytesView payload, const io::Endpoint& to) override;
  io::Task<io::Result<io::Datagram>> receive() override;
  io::Endpoint local() const override { return local_; }
  void close() override;

 private:
  void drain();

  ns3::Ptr<ns3::Socket> socket_;
  io::Endpoint local_;
  Reachable reachable_;
  io::Signal arrived_;
  std::deque<io::Datagram> queue_;
  std::size_t queued_bytes_ = 0;
};

}  // namespace flaresim::net
