#include "sim/net/ip_stack.h"

#include <ns3/arp-l3-protocol.h>
#include <ns3/boolean.h>
#include <ns3/channel.h>
#include <ns3/icmpv4-l4-protocol.h>
#include <ns3/icmpv6-l4-protocol.h>
#include <ns3/ipv4-interface-address.h>
#include <ns3/ipv4-route.h>
#include <ns3/ipv4-routing-protocol.h>
#include <ns3/ipv6-extension-demux.h>
#include <ns3/ipv6-extension.h>
#include <ns3/ipv6-interface-address.h>
#include <ns3/ipv6-route.h>
#include <ns3/ipv6-routing-protocol.h>
#include <ns3/mac48-address.h>
#include <ns3/packet.h>
#include <ns3/traffic-control-layer.h>
#include <ns3/udp-l4-protocol.h>

#include "sim/net/ns3_address.h"

namespace flaresim::net {
namespace {

/// The one route of a host: everything goes out of its device.
class HostRouteV4 final : public ns3::Ipv4RoutingProtocol {
 public:
  HostRouteV4(ns3::Ipv4Address self, const ns3::Ptr<ns3::NetDevice>& device)
      : self_(self), route_(ns3::Create<ns3::Ipv4Route>()) {
    route_->SetSource(self);
    route_->SetGateway(ns3::Ipv4Address::GetZero());
    route_->SetOutputDevice(device);
  }

  ns3::Ptr<ns3::Ipv4Route> RouteOutput(PacketPtr, const ns3::Ipv4Header&, ns3::Ptr<ns3::NetDevice>,
                                       ns3::Socket::SocketErrno& error) override {
    error = ns3::Socket::ERROR_NOTERROR;
    return route_;
  }
  bool RouteInput(ns3::Ptr<const ns3::Packet> packet, const ns3::Ipv4Header& header,
                  ns3::Ptr<const ns3::NetDevice> device, UnicastForwardCallback, MulticastForwardCallback,
                  LocalDeliverCallback deliver, ErrorCallback) override {
    if (header.GetDestination() != self_) return false;
    deliver(packet, header, static_cast<std::uint32_t>(ip_->GetInterfaceForDevice(device)));
    return true;
  }
  void NotifyInterfaceUp(std::uint32_t) override {}
  void NotifyInterfaceDown(std::uint32_t) override {}
  void NotifyAddAddress(std::uint32_t, ns3::Ipv4InterfaceAddress) override {}
  void NotifyRemoveAddress(std::uint32_t, ns3::Ipv4InterfaceAddress) override {}
  void SetIpv4(ns3::Ptr<ns3::Ipv4> ip) override { ip_ = ip; }
  void PrintRoutingTable(ns3::Ptr<ns3::OutputStreamWrapper>, ns3::Time::Unit) const override {}

 protected:
  void DoDispose() override {
    ip_ = nullptr;
    route_ = nullptr;
    Ipv4RoutingProtocol::DoDispose();
  }

 private:
  ns3::Ipv4Address self_;
  ns3::Ptr<ns3::Ipv4Route> route_;
  ns3::Ptr<ns3::Ipv4> ip_;
};

class HostRouteV6 final : public ns3::Ipv6RoutingProtocol {
 public:
  HostRouteV6(ns3::Ipv6Address self, const ns3::Ptr<ns3::NetDevice>& device)
      : route_(ns3::Create<ns3::Ipv6Route>()) {
    route_->SetSource(self);
    route_->SetGateway(ns3::Ipv6Address::GetZero());
    route_->SetOutputDevice(device);
  }

  ns3::Ptr<ns3::Ipv6Route> RouteOutput(PacketPtr, const ns3::Ipv6Header&, ns3::Ptr<ns3::NetDevice>,
                                       ns3::Socket::SocketErrno& error) override {
    error = ns3::Socket::ERROR_NOTERROR;
    return route_;
  }
  /// What is for this host has been delivered before anybody asks; a host forwards nothing.
  bool RouteInput(ns3::Ptr<const ns3::Packet>, const ns3::Ipv6Header&, ns3::Ptr<const ns3::NetDevice>,
                  UnicastForwardCallback, MulticastForwardCallback, LocalDeliverCallback,
                  ErrorCallback) override {
    return false;
  }
  void NotifyInterfaceUp(std::uint32_t) override {}
  void NotifyInterfaceDown(std::uint32_t) override {}
  void NotifyAddAddress(std::uint32_t, ns3::Ipv6InterfaceAddress) override {}
  void NotifyRemoveAddress(std::uint32_t, ns3::Ipv6InterfaceAddress) override {}
  void NotifyAddRoute(ns3::Ipv6Address, ns3::Ipv6Prefix, ns3::Ipv6Address, std::uint32_t,
                      ns3::Ipv6Address) override {}
  void NotifyRemoveRoute(ns3::Ipv6Address, ns3::Ipv6Prefix, ns3::Ipv6Address, std::uint32_t,
                         ns3::Ipv6Address) override {}
  void SetIpv6(ns3::Ptr<ns3::Ipv6>) override {}
  void PrintRoutingTable(ns3::Ptr<ns3::OutputStreamWrapper>, ns3::Time::Unit) const override {}

 protected:
  void DoDispose() override {
    route_ = nullptr;
    Ipv6RoutingProtocol::DoDispose();
  }

 private:
  ns3::Ptr<ns3::Ipv6Route> route_;
};

ns3::Ptr<ns3::Ipv4L3Protocol> add_ipv4(const ns3::Ptr<ns3::Node>& node, const ns3::Ptr<Device>& device,
                                       ns3::Ipv4Address address) {
  node->AggregateObject(ns3::CreateObject<ns3::ArpL3Protocol>());  // AddInterface wants one; it never speaks
  auto ip = ns3::CreateObject<ns3::Ipv4L3Protocol>();
  node->AggregateObject(ip);
  node->AggregateObject(ns3::CreateObject<ns3::Icmpv4L4Protocol>());
  ip->SetRoutingProtocol(ns3::Create<HostRouteV4>(address, device));
  return ip;
}

ns3::Ptr<ns3::Ipv6L3Protocol> add_ipv6(const ns3::Ptr<ns3::Node>& node, const ns3::Ptr<Device>& device,
                                       ns3::Ipv6Address address) {
  auto ip = ns3::CreateObject<ns3::Ipv6L3Protocol>();
  node->AggregateObject(ip);
  auto icmp = ns3::CreateObject<ns3::Icmpv6L4Protocol>();
  icmp->SetAttribute("DAD", ns3::BooleanValue(false));
  node->AggregateObject(icmp);
  ip->SetRoutingProtocol(ns3::Create<HostRouteV6>(address, device));

  // Of the extension headers only fragments occur.
  auto extensions = ns3::CreateObject<ns3::Ipv6ExtensionDemux>();
  extensions->SetNode(node);
  auto fragments = ns3::CreateObject<ns3::Ipv6ExtensionFragment>();
  fragments->SetNode(node);
  extensions->Insert(fragments);
  node->AggregateObject(extensions);
  return ip;
}

}  // namespace

ns3::TypeId Device::GetTypeId() {
  static const ns3::TypeId id = ns3::TypeId("flaresim::net::Device").SetParent<ns3::NetDevice>();
  return id;
}
ns3::TypeId Device::GetInstanceTypeId() const { return GetTypeId(); }

void Device::set_protocols(ns3::Ptr<ns3::Ipv4L3Protocol> v4, ns3::Ptr<ns3::Ipv6L3Protocol> v6) {
  v4_ = std::move(v4);
  v6_ = std::move(v6);
}

bool Device::Send(PacketPtr packet, const ns3::Address&, std::uint16_t) {
  packet->RemoveAllPacketTags();
  if (transmit_) transmit_(std::move(packet));
  return true;
}

bool Device::SendFrom(PacketPtr packet, const ns3::Address&, const ns3::Address& destination,
                      std::uint16_t protocol) {
  return Send(std::move(packet), destination, protocol);
}

void Device::receive(const PacketPtr& packet) {
  const auto destination = destination_of(*packet);
  if (destination.is_unspecified()) return;  // no IP header
  const auto nobody = GetBroadcast();
  if (destination.is_v4() && v4_) {
    v4_->Receive(this, packet, ns3::Ipv4L3Protocol::PROT_NUMBER, nobody, nobody, PACKET_HOST);
  } else if (destination.is_v6() && v6_) {
    v6_->Receive(this, packet, ns3::Ipv6L3Protocol::PROT_NUMBER, nobody, nobody, PACKET_HOST);
  }
}

ns3::Ptr<ns3::Channel> Device::GetChannel() const { return nullptr; }

/// Only the unused link-local IPv6 address derives from it, so that all devices may have the same.
ns3::Address Device::GetAddress() const { return ns3::Mac48Address("02:00:00:00:00:01"); }

ns3::Address Device::GetBroadcast() const {
  static const ns3::Address broadcast = ns3::Mac48Address::GetBroadcast();
  return broadcast;
}

void Device::DoDispose() {
  transmit_ = nullptr;
  node_ = nullptr;
  v4_ = nullptr;
  v6_ = nullptr;
  NetDevice::DoDispose();
}

IpStack make_ip_stack(const std::optional<boost::asio::ip::address_v4>& v4,
                      const std::optional<boost::asio::ip::address_v6>& v6) {
  IpStack stack{.node = ns3::CreateObject<ns3::Node>(), .device = ns3::CreateObject<Device>(), .tcp = {}};
  const auto& node = stack.node;
  node->AddDevice(stack.device);
  node->AggregateObject(ns3::CreateObject<ns3::TrafficControlLayer>());
  ns3::Ptr<ns3::Ipv4L3Protocol> ip4;
  ns3::Ptr<ns3::Ipv6L3Protocol> ip6;
  if (v4) ip4 = add_ipv4(node, stack.device, to_ns3(*v4));
  if (v6) ip6 = add_ipv6(node, stack.device, to_ns3(*v6));
  node->AggregateObject(ns3::CreateObject<ns3::UdpL4Protocol>());
  stack.tcp = ns3::CreateObject<TcpLayer>();
  node->AggregateObject(stack.tcp);

  if (ip4) {
    const auto interface = ip4->AddInterface(stack.device);
    ip4->AddAddress(interface, ns3::Ipv4InterfaceAddress(to_ns3(*v4), ns3::Ipv4Mask::GetOnes()));
    ip4->SetUp(interface);
  }
  if (ip6) {
    const auto interface = ip6->AddInterface(stack.device);
    ip6->SetForwarding(interface, true);  // a router does not solicit routers; RouteInput forwards nothing
    ip6->SetUp(interface);
    ip6->AddAddress(interface, ns3::Ipv6InterfaceAddress(to_ns3(*v6), ns3::Ipv6Prefix(128)));
  }
  stack.device->set_protocols(ip4, ip6);
  return stack;
}

}  // namespace flaresim::net
