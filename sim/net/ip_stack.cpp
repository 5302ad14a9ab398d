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

#include <array>
#include <span>
#include <utility>

#include "sim/nat/packet.h"
#include "sim/net/nat_address.h"
#include "sim/net/ns3_address.h"

namespace flaresim::net {
namespace {

constexpr std::uint8_t hop_limit = 64;  // RFC 1700

/// The interface that a packet leaves by. What has no source of its own answers a packet that has just come.
std::optional<RoutingTable::Index> choose(const RoutingTable& table, const io::IpAddress& source,
                                          const io::IpAddress& destination) {
  if (!source.is_unspecified()) return table.holder(source);
  return table.answering ? table.holder(*table.answering) : table.towards(destination);
}

/// ns-3 trusts what it reads, so it gets only what hosts here can have sent: TCP, UDP, pings and ICMP errors
/// about these; no neighbour discovery, no options and extensions but for fragments, no fragments of ICMP.
bool is_fit_for_ns3(const nat::Packet& packet) {
  constexpr std::size_t ipv4_header = 20, ipv6_header = 40, fragment_header = 8;
  const auto header = packet.ipv6 ? ipv6_header + (packet.fragment ? fragment_header : 0) : ipv4_header;
  if (packet.payload != header) return false;
  if (packet.fragment) return packet.protocol == nat::protocol::tcp || packet.protocol == nat::protocol::udp;
  const auto segment = nat::parse_segment(packet, false);
  if (!segment || segment->kind != nat::Segment::Kind::icmp_error) return segment.has_value();
  const auto quoted = nat::parse_quoted(packet);
  return quoted && quoted->payload == (packet.ipv6 ? ipv6_header : ipv4_header) &&
         nat::parse_segment(*quoted, true).has_value();
}

/// The addresses that an IP layer says an interface has, link-local ones aside.
template <class Ip>
auto addresses_of(const Ip& ip, std::uint32_t number) {
  std::vector<decltype(ip.GetAddress(number, 0).GetAddress())> all;
  for (std::uint32_t i = 0; i < ip.GetNAddresses(number); ++i)
    all.push_back(ip.GetAddress(number, i).GetAddress());
  return all;
}

}  // namespace

/// A route for each interface, found by the packet's source address or by the table.
class IpStack::RouteV4 final : public ns3::Ipv4RoutingProtocol {
 public:
  explicit RouteV4(std::shared_ptr<const RoutingTable> table) : table_(std::move(table)) {}

  void set(RoutingTable::Index index, ns3::Ipv4Address self, const ns3::Ptr<ns3::NetDevice>& device) {
    if (routes_.size() <= index) routes_.resize(index + 1);
    routes_[index] = ns3::Create<ns3::Ipv4Route>();
    routes_[index]->SetSource(self);
    routes_[index]->SetGateway(ns3::Ipv4Address::GetZero());
    routes_[index]->SetOutputDevice(device);
  }

  ns3::Ptr<ns3::Ipv4Route> RouteOutput(PacketPtr, const ns3::Ipv4Header& header, ns3::Ptr<ns3::NetDevice>,
                                       ns3::Socket::SocketErrno& error) override {
    // ns-3's IPv4 address begins as 102.102.102.102, and ICMP leaves it so.
    const bool has_source = header.GetSource() != ns3::Ipv4Address();
    const auto source = from_ns3(has_source ? header.GetSource() : ns3::Ipv4Address::GetAny());
    const auto index = choose(*table_, source, from_ns3(header.GetDestination()));
    error = index ? ns3::Socket::ERROR_NOTERROR : ns3::Socket::ERROR_NOROUTETOHOST;
    return index ? routes_[*index] : nullptr;
  }
  bool RouteInput(ns3::Ptr<const ns3::Packet> packet, const ns3::Ipv4Header& header,
                  ns3::Ptr<const ns3::NetDevice> device, UnicastForwardCallback, MulticastForwardCallback,
                  LocalDeliverCallback deliver, ErrorCallback) override {
    // Only a Device ever hands over a packet; ns-3's own loopback is never used.
    const auto interface = static_cast<const Device&>(*device).interface();
    const bool to_group = header.GetDestination().IsMulticast() && header.GetProtocol() == nat::protocol::udp;
    if (!to_group && table_->address(interface, true) != from_ns3(header.GetDestination())) return false;
    deliver(packet, header, static_cast<std::uint32_t>(ip_->GetInterfaceForDevice(device)));
    return true;
  }
  /// What fits into one packet and is for somebody else leaves at once, the rest by ns-3.
  void send(PacketPtr packet, ns3::Ipv4Address source, ns3::Ipv4Address destination, std::uint8_t protocol,
            ns3::Ptr<ns3::Ipv4Route> route) {
    ns3::Ipv4Header header;
    header.SetSource(source);
    header.SetDestination(destination);
    header.SetProtocol(protocol);
    header.SetPayloadSize(static_cast<std::uint16_t>(packet->GetSize()));
    header.SetTtl(hop_limit);
    ns3::Socket::SocketErrno error;
    const auto way = route ? route : RouteOutput(packet, header, nullptr, error);
    if (!way) return;
    auto& device = static_cast<Device&>(*way->GetOutputDevice());
    const bool fits = packet->GetSize() + header.GetSerializedSize() <= device.GetMtu();
    const bool to_itself = table_->address(device.interface(), true) == from_ns3(destination);
    if (!fits || to_itself || destination.IsMulticast() || ns3::Node::ChecksumEnabled()) {
      return ip_->Send(packet, source, destination, protocol, route);
    }
    header.SetIdentification(identification_++);
    packet->AddHeader(header);
    device.Send(packet, device.GetBroadcast(), ns3::Ipv4L3Protocol::PROT_NUMBER);
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
    routes_.clear();
    Ipv4RoutingProtocol::DoDispose();
  }

 private:
  std::shared_ptr<const RoutingTable> table_;
  std::vector<ns3::Ptr<ns3::Ipv4Route>> routes_;
  ns3::Ptr<ns3::Ipv4> ip_;
  std::uint16_t identification_ = 0;  // of the next packet
};

class IpStack::RouteV6 final : public ns3::Ipv6RoutingProtocol {
 public:
  explicit RouteV6(std::shared_ptr<const RoutingTable> table) : table_(std::move(table)) {}

  void set(RoutingTable::Index index, ns3::Ipv6Address self, const ns3::Ptr<ns3::NetDevice>& device) {
    if (routes_.size() <= index) routes_.resize(index + 1);
    routes_[index] = ns3::Create<ns3::Ipv6Route>();
    routes_[index]->SetSource(self);
    routes_[index]->SetGateway(ns3::Ipv6Address::GetZero());
    routes_[index]->SetOutputDevice(device);
  }

  ns3::Ptr<ns3::Ipv6Route> RouteOutput(PacketPtr, const ns3::Ipv6Header& header, ns3::Ptr<ns3::NetDevice>,
                                       ns3::Socket::SocketErrno& error) override {
    const auto source = from_ns3(header.GetSource());
    const auto index = choose(*table_, source, from_ns3(header.GetDestination()));
    error = index ? ns3::Socket::ERROR_NOTERROR : ns3::Socket::ERROR_NOROUTETOHOST;
    return index ? routes_[*index] : nullptr;
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
    routes_.clear();
    Ipv6RoutingProtocol::DoDispose();
  }

 private:
  std::shared_ptr<const RoutingTable> table_;
  std::vector<ns3::Ptr<ns3::Ipv6Route>> routes_;
};

ns3::TypeId Device::GetTypeId() {
  static const ns3::TypeId id = ns3::TypeId("flaresim::net::Device").SetParent<ns3::NetDevice>();
  return id;
}
ns3::TypeId Device::GetInstanceTypeId() const { return GetTypeId(); }

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
  std::array<std::uint8_t, max_head_bytes> bytes;
  const std::span<std::uint8_t> head(bytes.data(), copy_head(*packet, bytes));
  const auto parsed = nat::parse_packet(head);
  if (!parsed || parsed->length > packet->GetSize() || !is_fit_for_ns3(*parsed)) return;
  const auto nobody = GetBroadcast();
  if (!parsed->ipv6 && takers_.v4) {
    if (deliver(*parsed, packet)) return;
    takers_.v4->Receive(this, packet, ns3::Ipv4L3Protocol::PROT_NUMBER, nobody, nobody, PACKET_HOST);
  } else if (parsed->ipv6 && takers_.v6) {
    takers_.v6->Receive(this, packet, ns3::Ipv6L3Protocol::PROT_NUMBER, nobody, nobody, PACKET_HOST);
  }
}

/// A whole IPv4 packet for TCP or UDP at this interface's address. False when it is another, or nobody has the port:
/// that takes an ICMP error.
bool Device::deliver(const nat::Packet& parsed, const PacketPtr& packet) {
  if (!takers_.tcp || parsed.fragment || ns3::Node::ChecksumEnabled()) return false;
  const auto source = from_nat(parsed.source), destination = from_nat(parsed.destination);
  if (takers_.routing->address(interface_, true) != destination) return false;

  const auto segment = packet->Copy();
  segment->RemoveAtStart(static_cast<std::uint32_t>(parsed.payload));
  segment->RemoveAtEnd(segment->GetSize() - static_cast<std::uint32_t>(parsed.transport_length()));
  ns3::Ipv4Header header;
  header.SetSource(to_ns3(source.to_v4()));
  header.SetDestination(to_ns3(destination.to_v4()));
  if (parsed.protocol == nat::protocol::tcp) {
    takers_.tcp->Receive(segment, header, nullptr);
    return true;
  }
  return parsed.protocol == nat::protocol::udp &&
         takers_.udp->Receive(segment, header, nullptr) != ns3::IpL4Protocol::RX_ENDPOINT_UNREACH;
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
  takers_ = {};
  NetDevice::DoDispose();
}

IpStack::IpStack(std::shared_ptr<RoutingTable> routing)
    : routing_(std::move(routing)),
      node_(ns3::CreateObject<ns3::Node>()),
      tcp_(ns3::CreateObject<TcpLayer>()),
      udp_(ns3::CreateObject<UdpLayer>()) {
  tcp_->set_routing(routing_);
  node_->AggregateObject(ns3::CreateObject<ns3::TrafficControlLayer>());
  if (routing_->address(0, true)) need_v4();
  if (routing_->address(0, false)) need_v6();
  node_->AggregateObject(tcp_);
  add_device();
}

IpStack::~IpStack() = default;

const ns3::Ptr<Device>& IpStack::add_device() {
  const auto index = devices_.size();
  devices_.push_back(ns3::CreateObject<Device>(index, (*routing_)[index].mtu_bytes));
  node_->AddDevice(devices_.back());
  readdress(index);
  return devices_.back();
}

void IpStack::readdress(RoutingTable::Index index) {
  const auto v4 = routing_->address(index, true), v6 = routing_->address(index, false);
  if (v4) need_v4();
  if (v6) need_v6();
  if (ip4_) {
    tcp_->SetDownTarget(ns3::MakeCallback(&RouteV4::send, route4_));  // aggregation has set ns-3's
    readdress_v4(index, v4 ? to_ns3(v4->to_v4()) : ns3::Ipv4Address::GetAny());
  }
  if (ip6_) readdress_v6(index, v6 ? to_ns3(v6->to_v6()) : ns3::Ipv6Address::GetAny());
  devices_[index]->set_takers({routing_, tcp_, udp_, ip4_, ip6_});
}

void IpStack::need_v4() {
  if (ip4_) return;
  node_->AggregateObject(ns3::CreateObject<ns3::ArpL3Protocol>());  // AddInterface wants one; it never speaks
  ip4_ = ns3::CreateObject<ns3::Ipv4L3Protocol>();
  node_->AggregateObject(ip4_);
  node_->AggregateObject(ns3::CreateObject<ns3::Icmpv4L4Protocol>());
  route4_ = ns3::Create<RouteV4>(routing_);
  ip4_->SetRoutingProtocol(route4_);
  ip4_->Insert(udp_);
  udp_->SetDownTarget(ns3::MakeCallback(&RouteV4::send, route4_));
}

void IpStack::need_v6() {
  if (ip6_) return;
  ip6_ = ns3::CreateObject<ns3::Ipv6L3Protocol>();
  node_->AggregateObject(ip6_);
  auto icmp = ns3::CreateObject<ns3::Icmpv6L4Protocol>();
  icmp->SetAttribute("DAD", ns3::BooleanValue(false));
  node_->AggregateObject(icmp);
  route6_ = ns3::Create<RouteV6>(routing_);
  ip6_->SetRoutingProtocol(route6_);
  ip6_->Insert(udp_);
  udp_->SetDownTarget6(ns3::MakeCallback(&ns3::Ipv6L3Protocol::Send, ip6_));

  // Of the extension headers only fragments occur.
  auto extensions = ns3::CreateObject<ns3::Ipv6ExtensionDemux>();
  extensions->SetNode(node_);
  auto fragments = ns3::CreateObject<ns3::Ipv6ExtensionFragment>();
  fragments->SetNode(node_);
  extensions->Insert(fragments);
  node_->AggregateObject(extensions);
}

/// `address` may be the wildcard, for none.
void IpStack::readdress_v4(RoutingTable::Index index, const ns3::Ipv4Address& address) {
  const auto& device = devices_[index];
  auto number = ip4_->GetInterfaceForDevice(device);
  const bool fresh = number < 0;
  if (fresh && address.IsAny()) return;
  if (fresh) number = static_cast<std::int32_t>(ip4_->AddInterface(device));
  const auto interface = static_cast<std::uint32_t>(number);
  for (const auto& old : addresses_of(*ip4_, interface)) ip4_->RemoveAddress(interface, old);
  if (!address.IsAny())
    ip4_->AddAddress(interface, ns3::Ipv4InterfaceAddress(address, ns3::Ipv4Mask::GetOnes()));
  if (fresh) ip4_->SetUp(interface);
  route4_->set(index, address, device);
}

void IpStack::readdress_v6(RoutingTable::Index index, const ns3::Ipv6Address& address) {
  const auto& device = devices_[index];
  auto number = ip6_->GetInterfaceForDevice(device);
  const bool fresh = number < 0;
  if (fresh && address.IsAny()) return;
  if (fresh) number = static_cast<std::int32_t>(ip6_->AddInterface(device));
  const auto interface = static_cast<std::uint32_t>(number);
  if (fresh) {
    ip6_->SetForwarding(interface, true);  // a router does not solicit routers; RouteInput forwards nothing
    ip6_->SetUp(interface);
  }
  for (const auto& old : addresses_of(*ip6_, interface)) {
    if (!old.IsLinkLocal()) ip6_->RemoveAddress(interface, old);
  }
  if (!address.IsAny()) ip6_->AddAddress(interface, ns3::Ipv6InterfaceAddress(address, ns3::Ipv6Prefix(128)));
  route6_->set(index, address, device);
}

}  // namespace flaresim::net
