#pragma once

#include <ns3/node.h>
#include <ns3/ptr.h>

#include <memory>
#include <vector>

#include "sim/net/host.h"
#include "sim/net/internet.h"
#include "sim/net/ip_stack.h"

namespace flaresim::bench {

/// A stock ns-3 IPv4 router between a LAN and the Internet, where otherwise a NatBox would be: forwards, and
/// translates nothing.
///
/// It is given every advantage: our device without ARP or queues, IPv4 only, static routing alone (no list of
/// routing protocols to ask), three routes.
class StockRouter {
 public:
  /// `host` is the address inside; the router's own are made up from `number`.
  StockRouter(net::Port& host_port, const boost::asio::ip::address_v4& host, std::uint32_t number);
  ~StockRouter();
  StockRouter(const StockRouter&) = delete;
  StockRouter& operator=(const StockRouter&) = delete;

  net::Port& outside();

 private:
  class Side;
  class Wire;

  ns3::Ptr<ns3::Node> node_;
  std::unique_ptr<Side> inside_;
  std::unique_ptr<Side> outside_;
  std::unique_ptr<Wire> wire_;
};

/// Hosts, links, routers and core as ns-3 users build them: InternetStackHelper everywhere, point-to-point
/// links of 100 Gbit/s, static routes; host → router → core router → router → host. No traffic control
/// queues, no global routing, IPv4 only.
class StockNetwork {
 public:
  explicit StockNetwork(std::size_t hosts);

  const std::vector<ns3::Ptr<ns3::Node>>& hosts() const { return hosts_; }
  static ns3::Ipv4Address address(std::size_t host);

 private:
  std::vector<ns3::Ptr<ns3::Node>> hosts_;
};

}  // namespace flaresim::bench
