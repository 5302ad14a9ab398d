#pragma once

#include <optional>
#include <vector>

#include "protocols/io/network.h"
#include "sim/nat/behaviour.h"
#include "sim/world/draw.h"

namespace flaresim::world {

/// The addresses of the peers' side of a trial.
///
/// 1. Inside of a gateway that translates, hosts have private IPv4 addresses and gateways shared ones (RFC 6598);
///    inside of one that does not, and on the Internet, public ones. No two are alike in a world, but for the one
///    that every host behind a CLAT has (RFC 7335).
/// 2. A host has one IPv6 address for each of its gateways, wherever it comes from, and all gateways above let it through.
struct AddressPlan {
  struct Gateway {
    std::vector<io::IpAddress> v4{};  ///< its own outside, of one with a NAT
    std::optional<io::IpAddress>
        v6{};  ///< end of its tunnel, prefix of its CLAT, outside prefix of its NPTv6
    std::optional<io::IpAddress> inside_v6{};  ///< inside prefix of its NPTv6
    std::vector<io::IpAddress> outside{};      ///< what the network outside routes to it
  };
  std::vector<Gateway> gateways{};
  /// Of each host, for each of its gateways, and then for each of its later stops. The way there is ready for them from
  /// the beginning.
  std::vector<std::vector<io::IpAddress>> host_a{};
  std::vector<std::vector<io::IpAddress>> host_b{};

  static io::IpAddress clat_host();
  /// Of a gateway that translates IPv4, in its LAN.
  static io::IpAddress router(std::size_t gateway);
  static constexpr unsigned npt_bits = 48;
};

/// `behaviours` are those of the gateways.
AddressPlan plan_addresses(const Draw& drawn, const std::vector<nat::Behaviour>& behaviours);

}  // namespace flaresim::world
