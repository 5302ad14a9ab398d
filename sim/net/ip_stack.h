#pragma once

#include <ns3/ipv4-l3-protocol.h>
#include <ns3/ipv6-l3-protocol.h>
#include <ns3/net-device.h>
#include <ns3/node.h>

#include <functional>
#include <memory>
#include <vector>

#include "protocols/io/network.h"
#include "sim/nat/packet.h"
#include "sim/net/packet.h"
#include "sim/net/port.h"
#include "sim/net/routing.h"
#include "sim/net/tcp_layer.h"
#include "sim/net/udp_layer.h"

namespace flaresim::net {

/// A network card without a link layer: IP packets in, IP packets out. There is nothing to resolve, so neither
/// ARP nor neighbour discovery nor router solicitation ever runs.
class Device final : public ns3::NetDevice {
 public:
  /// `interface` is its number in the host's routing table.
  explicit Device(RoutingTable::Index interface = 0, std::uint16_t mtu_bytes = 1500)
      : interface_(interface), mtu_bytes_(mtu_bytes) {}
  RoutingTable::Index interface() const { return interface_; }

  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  using Transmit = std::function<void(PacketPtr)>;
  void set_transmit(Transmit transmit) { transmit_ = std::move(transmit); }
  /// Hands a packet to the node.
  void receive(const PacketPtr& packet);

  /// Who takes what a Device receives. Without the first three, ns-3's layers take everything.
  struct Takers {
    std::shared_ptr<const RoutingTable> routing{};
    ns3::Ptr<TcpLayer> tcp{};
    ns3::Ptr<UdpLayer> udp{};
    ns3::Ptr<ns3::Ipv4L3Protocol> v4{};  ///< null: the node has no IPv4
    ns3::Ptr<ns3::Ipv6L3Protocol> v6{};
  };
  void set_takers(Takers takers) { takers_ = std::move(takers); }

  bool Send(PacketPtr packet, const ns3::Address& destination, std::uint16_t protocol) override;
  bool SendFrom(PacketPtr packet, const ns3::Address& source, const ns3::Address& destination,
                std::uint16_t protocol) override;
  void SetIfIndex(const std::uint32_t index) override { index_ = index; }
  std::uint32_t GetIfIndex() const override { return index_; }
  ns3::Ptr<ns3::Channel> GetChannel() const override;
  void SetAddress(ns3::Address) override {}
  ns3::Address GetAddress() const override;
  bool SetMtu(const std::uint16_t) override { return false; }
  std::uint16_t GetMtu() const override { return mtu_bytes_; }
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
  bool deliver(const nat::Packet& parsed, const PacketPtr& packet);

  Transmit transmit_;
  ns3::Ptr<ns3::Node> node_;
  Takers takers_;
  std::uint32_t index_ = 0;
  RoutingTable::Index interface_;
  std::uint16_t mtu_bytes_;
};

/// A node with ns-3's IP and ICMP, our UDP and TCP, and a Device for each interface of a routing table; nothing
/// else. It takes in what is addressed to the interface at which it arrives (the strong host model of RFC 1122
/// §3.3.4.2), and forwards nothing.
///
/// Whole IPv4 packets of TCP and UDP pass between their layer and the Device directly: ns-3's layer in between
/// copies, asks for raw sockets, ARP entries and queues that are never there, and remembers every address that it ever
/// sent to. Fragments, ICMP, groups, a host's packets to itself,
/// and IPv6 take ns-3's way.
class IpStack {
 public:
  /// The table has its first interface already.
  explicit IpStack(std::shared_ptr<RoutingTable> routing);
  ~IpStack();
  IpStack(const IpStack&) = delete;
  IpStack& operator=(const IpStack&) = delete;

  /// The device of an interface that the table has just been given.
  const ns3::Ptr<Device>& add_device();
  const ns3::Ptr<Device>& device(RoutingTable::Index index) const { return devices_[index]; }
  /// Takes over the interface's addresses from the table.
  void readdress(RoutingTable::Index index);

  const ns3::Ptr<TcpLayer>& tcp() const { return tcp_; }
  const ns3::Ptr<UdpLayer>& udp() const { return udp_; }

 private:
  class RouteV4;
  class RouteV6;
  void need_v4();
  void need_v6();
  void readdress_v4(RoutingTable::Index index, const ns3::Ipv4Address& address);
  void readdress_v6(RoutingTable::Index index, const ns3::Ipv6Address& address);

  std::shared_ptr<RoutingTable> routing_;
  ns3::Ptr<ns3::Node> node_;
  ns3::Ptr<TcpLayer> tcp_;
  ns3::Ptr<UdpLayer> udp_;
  ns3::Ptr<ns3::Ipv4L3Protocol> ip4_;  // null until the host has such an address
  ns3::Ptr<ns3::Ipv6L3Protocol> ip6_;
  ns3::Ptr<RouteV4> route4_;
  ns3::Ptr<RouteV6> route6_;
  std::vector<ns3::Ptr<Device>> devices_;
};

}  // namespace flaresim::net
