#pragma once

#include <ns3/inet-socket-address.h>
#include <ns3/inet6-socket-address.h>
#include <ns3/ipv4-address.h>
#include <ns3/ipv6-address.h>

#include "protocols/io/network.h"

namespace flaresim::net {

inline ns3::Ipv4Address to_ns3(const boost::asio::ip::address_v4& address) {
  return ns3::Ipv4Address(address.to_uint());
}
inline ns3::Ipv6Address to_ns3(const boost::asio::ip::address_v6& address) {
  auto bytes = address.to_bytes();
  return ns3::Ipv6Address(bytes.data());
}
inline ns3::Address to_ns3(const io::Endpoint& endpoint) {
  if (endpoint.address.is_v4())
    return ns3::InetSocketAddress(to_ns3(endpoint.address.to_v4()), endpoint.port);
  return ns3::Inet6SocketAddress(to_ns3(endpoint.address.to_v6()), endpoint.port);
}

inline io::IpAddress from_ns3(const ns3::Ipv4Address& address) {
  return boost::asio::ip::address_v4(address.Get());
}
inline io::IpAddress from_ns3(const ns3::Ipv6Address& address) {
  boost::asio::ip::address_v6::bytes_type bytes;
  address.GetBytes(bytes.data());
  return boost::asio::ip::address_v6(bytes);
}
inline io::Endpoint from_ns3(const ns3::Address& address) {
  if (ns3::InetSocketAddress::IsMatchingType(address)) {
    const auto v4 = ns3::InetSocketAddress::ConvertFrom(address);
    return {from_ns3(v4.GetIpv4()), v4.GetPort()};
  }
  const auto v6 = ns3::Inet6SocketAddress::ConvertFrom(address);
  return {from_ns3(v6.GetIpv6()), v6.GetPort()};
}

/// The wildcard of that address's family.
inline io::IpAddress unspecified_like(const io::IpAddress& address) {
  if (address.is_v4()) return boost::asio::ip::address_v4::any();
  return boost::asio::ip::address_v6::any();
}

}  // namespace flaresim::net
