#pragma once

#include "protocols/io/network.h"
#include "sim/nat/nat.h"

namespace flaresim::net {

/// As sim/nat holds it: IPv4 as IPv4-mapped.
inline nat::Address to_nat(const io::IpAddress& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

inline io::IpAddress from_nat(const nat::Address& address) {
  const boost::asio::ip::address_v6 v6(address);
  if (v6.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6);
  return v6;
}

}  // namespace flaresim::net
