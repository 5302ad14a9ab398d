#include "tests/bench/stock_routers.h"

#include <ns3/internet-stack-helper.h>
#include <ns3/ipv4-static-routing-helper.h>
#include <ns3/net-device-container.h>
#include <ns3/node-container.h>
#include <ns3/nstime.h>
#include <ns3/packet.h>
#include <ns3/point-to-point-helper.h>
#include <ns3/simulator.h>
#include <ns3/string.h>

#include "sim/net/ns3_address.h"

namespace flaresim::bench {
namespace {

constexpr const char* link_mask = "255.255.255.252";  // two addresses

void install_ipv4(const ns3::Ptr<ns3::Node>& node) {
  ns3::InternetStackHelper stack;
  stack.SetIpv6StackInstall(false);
  stack.SetRoutingHelper(ns3::Ipv4StaticRoutingHelper());
  stack.Install(node);
}

std::uint32_t add_interface(const ns3::Ptr<ns3::Node>& node, const ns3::Ptr<ns3::NetDevice>& device,
                            ns3::Ipv4Address address) {
  const auto ip = node->GetObject<ns3::Ipv4>();
  const auto interface = ip->AddInterface(device);
  ip->AddAddress(interface, ns3::Ipv4InterfaceAddress(address, ns3::Ipv4Mask(link_mask)));
  ip->SetUp(interface);
  return interface;
}

ns3::Ptr<ns3::Ipv4StaticRouting> routes(const ns3::Ptr<ns3::Node>& node) {
  return ns3::Ipv4StaticRoutingHelper().GetStaticRouting(node->GetObject<ns3::Ipv4>());
}

}  // namespace

/// One network card of the router, as a port of ours.
class StockRouter::Side final : public net::Port {
 public:
  Side(const ns3::Ptr<ns3::Node>& node, ns3::Ipv4Address address)
      : device_(ns3::CreateObject<net::Device>()) {
    node->AddDevice(device_);
    device_->set_takers({.v4 = node->GetObject<ns3::Ipv4L3Protocol>()});
    device_->set_transmit([this](net::PacketPtr packet) { send(std::move(packet)); });
    interface = add_interface(node, device_, address);
  }
  ~Side() override { device_->set_transmit(nullptr); }

  void deliver(net::PacketPtr packet) override { device_->receive(packet); }

  std::uint32_t interface = 0;

 private:
  ns3::Ptr<net::Device> device_;
};

/// The LAN: two ports, one event a packet, as inside a NatBox.
class StockRouter::Wire {
 public:
  Wire(net::Port& a, net::Port& b) : a_(a, b_), b_(b, a_) {}

 private:
  class End final : public net::Attachment {
   public:
    End(net::Port& port, End& other) : Attachment(port), other_(other) {}
    void send(net::PacketPtr packet) override {
      ns3::Simulator::Schedule(ns3::NanoSeconds(0),
                               [&other = other_, packet = std::move(packet)] { other.deliver(packet); });
    }

   private:
    End& other_;
  };

  End a_;
  End b_;
};

StockRouter::StockRouter(net::Port& host_port, const boost::asio::ip::address_v4& host, std::uint32_t number)
    : node_(ns3::CreateObject<ns3::Node>()) {
  install_ipv4(node_);
  inside_ = std::make_unique<Side>(node_, net::to_ns3(boost::asio::ip::address_v4(host.to_uint() ^ 3)));
  outside_ = std::make_unique<Side>(node_, ns3::Ipv4Address((11u << 24) + 4 * number + 1));
  routes(node_)->SetDefaultRoute(ns3::Ipv4Address((11u << 24) + 4 * number + 2), outside_->interface);
  wire_ = std::make_unique<Wire>(host_port, *inside_);
}

StockRouter::~StockRouter() = default;

net::Port& StockRouter::outside() { return *outside_; }

ns3::Ipv4Address StockNetwork::address(std::size_t host) {
  return ns3::Ipv4Address((10u << 24) + 4 * static_cast<std::uint32_t>(host) + 1);
}

StockNetwork::StockNetwork(std::size_t hosts) {
  ns3::PointToPointHelper link;
  link.SetDeviceAttribute("DataRate", ns3::StringValue("100Gbps"));
  link.SetChannelAttribute("Delay", ns3::StringValue("5ms"));
  const auto core = ns3::CreateObject<ns3::Node>();
  install_ipv4(core);
  for (std::size_t i = 0; i < hosts; ++i) {
    const auto lan = address(i).Get();
    const auto uplink = (11u << 24) + 4 * static_cast<std::uint32_t>(i);
    const auto host = hosts_.emplace_back(ns3::CreateObject<ns3::Node>());
    const auto router = ns3::CreateObject<ns3::Node>();
    install_ipv4(host);
    install_ipv4(router);

    const auto inside = link.Install(host, router);
    const auto at_host = add_interface(host, inside.Get(0), ns3::Ipv4Address(lan));
    add_interface(router, inside.Get(1), ns3::Ipv4Address(lan + 1));
    const auto outside = link.Install(router, core);
    const auto at_router = add_interface(router, outside.Get(0), ns3::Ipv4Address(uplink + 1));
    const auto at_core = add_interface(core, outside.Get(1), ns3::Ipv4Address(uplink + 2));

    routes(host)->SetDefaultRoute(ns3::Ipv4Address(lan + 1), at_host);
    routes(router)->SetDefaultRoute(ns3::Ipv4Address(uplink + 2), at_router);
    routes(core)->AddNetworkRouteTo(ns3::Ipv4Address(lan - 1), ns3::Ipv4Mask(link_mask),
                                    ns3::Ipv4Address(uplink + 1), at_core);
  }
}

}  // namespace flaresim::bench
