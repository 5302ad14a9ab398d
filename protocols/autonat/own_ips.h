#pragma once

#include <optional>
#include <set>

#include "protocols/swarm/swarm.h"

namespace flaresim::autonat {

/// The IP address that an address begins with; of a relayed one, the relay's.
std::optional<io::IpAddress> ip_of(const multiformats::Multiaddr& address);

/// The IP addresses of all addresses that we go by, relays' excepted.
std::set<io::IpAddress> own_ips(swarm::Swarm& swarm);

}  // namespace flaresim::autonat
