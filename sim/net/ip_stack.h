#pragma once

#include <ns3/ipv4-l3-protocol.h>
#include <ns3/ipv6-l3-protocol.h>
#include <ns3/net-device.h>
#include <ns3/node.h>

#include <functional>
#include <optional>

#include "protocols/io/network.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"
#include "sim/net/tcp_layer.h"

namespace flaresim::net {

/// A network card without a link layer: IP packets in, IP packets out, MTU 1500. There is nothing to resolve,
/// so neither ARP nor neighbour discovery nor router solicitation ever runs.
class Device final : public ns3::NetDevice {
 public:
  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  using Transmit = std::function<void(PacketPtr)>;
  void set_transmit(Transmit transmit) { transmit_ = std::move(transmit); }
  /// Hands a packet to the node's IP layer.
  void receive(const PacketPtr& packet);
  void set_protocols(ns3::Ptr<ns3::Ipv4L3Protocol> v4, ns3::Ptr<ns3::Ipv6L3Protocol> v6);

  bool Send(PacketPtr packet, const ns3::Address& destination, std::uint16_t protocol) override;
  bool SendFrom(PacketPtr packet, const ns3::Address& source, const ns3::Address& destination,
                std::uint16_t protocol) override;
  void SetIfIndex(const std::uint32_t index) override { index_ = index; }
  std::uint32_t GetIfIndex() const override { return index_; }
  ns3::Ptr<ns3::Channel> GetChannel() const override;
  void SetAddress(ns3::Address) override {}
  ns3::Address GetAddress() const override;
  bool SetMtu(const std::uint16_t) override { return false; }
  std::uint16_t GetMtu() const override { return 1500; }
  bool IsLinkUp() const override { return true; }
  void AddLinkChangeCallback(ns3::Callback<void>) override {}
  bool IsBroadcast() const override { return true; }
  ns3::Address GetBroadcast() const override;
  bool IsMulticast() const override { return true; }
  ns3::Address GetMulticast(ns3::Ipv4Address) const override { return GetBroadcast(); }
  ns3::Address GetMulticast(ns3::Ipv6Address) const override { return GetBroadcast(); }
  bool IsBridge() const override { return false; }
  bool IsPointToPoint() const override { return true; }
  ns3::Ptr<ns3::Node> GetNode() const override { return node_; }
  void SetNode(ns3::Ptr<ns3::Node> node) override { node_ = std::move(node); }
  bool NeedsArp() const override { return false; }
  void SetReceiveCallback(ReceiveCallback) override {}
  void SetPromiscReceiveCallback(PromiscReceiveCallback) override {}
  bool SupportsSendFrom() const override { return false; }

 protected:
  void DoDispose() override;

 private:
  Transmit transmit_;
  ns3::Ptr<ns3::Node> node_;
  ns3::Ptr<ns3::Ipv4L3Protocol> v4_;
  ns3::Ptr<ns3::Ipv6L3Protocol> v6_;
  std::uint32_t index_ = 0;
};

/// A node with ns-3's IP, ICMP, UDP and our TCP on one Device, and nothing else.
struct IpStack {
  ns3::Ptr<ns3::Node> node;
  ns3::Ptr<Device> device;
  ns3::Ptr<TcpLayer> tcp;
};

IpStack make_ip_stack(const std::optional<boost::asio::ip::address_v4>& v4,
                      const std::optional<boost::asio::ip::address_v6>& v6);

}  // namespace flaresim::net
