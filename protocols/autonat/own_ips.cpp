#include "protocols/autonat/own_ips.h"

#include <algorithm>

namespace flaresim::autonat {

using multiformats::Protocol;

std::optional<io::IpAddress> ip_of(const multiformats::Multiaddr& address) {
  const auto first = *address.begin();
  if (first.protocol == Protocol::ip4) {
    boost::asio::ip::address_v4::bytes_type bytes;
    std::ranges::copy(first.value, bytes.begin());
    return boost::asio::ip::make_address_v4(bytes);
  }
  if (first.protocol == Protocol::ip6) {
    boost::asio::ip::address_v6::bytes_type bytes;
    std::ranges::copy(first.value, bytes.begin());
    return boost::asio::ip::make_address_v6(bytes);
  }
  return std::nullopt;
}

std::set<io::IpAddress> own_ips(swarm::Swarm& swarm) {
  std::set<io::IpAddress> out;
  for (const auto& address : swarm.addresses().advertised()) {
    if (address.is_circuit()) continue;
    if (const auto ip = ip_of(address)) out.insert(*ip);
  }
  return out;
}

}  // namespace flaresim::autonat
