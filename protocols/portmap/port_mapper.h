#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/portmap/gateway.h"

namespace flaresim::portmap {

/// Which outside port is asked for.
enum class OutsidePort {
  same,    ///< the inside one (rust-libp2p, js-libp2p)
  random,  ///< one in 10000-65534, three tries, and the same one ever after (go-libp2p p2p/net/nat)
};

struct PortMapProfile {
  bool nat_pmp = true;
  bool pcp = true;
  bool igd = true;
  OutsidePort outside_port = OutsidePort::random;
  io::Duration discovery_limit = std::chrono::seconds(10);  // go-libp2p p2p/net/nat: cacheTime, discovery
  io::Duration lease = std::chrono::seconds(60);            // ... MappingDuration
  io::Duration renew_every = std::chrono::seconds(20);      // ... a third of it
  io::Duration external_address_every = std::chrono::seconds(15);  // ... CacheTime
  int failures_until_rediscovery = 3;
  io::Duration rediscover_every = std::chrono::minutes(5);  // js-libp2p upnp-nat, when none was found
  io::Duration release_limit =
      std::chrono::seconds(10);  // go-libp2p p2p/net/nat background, all of them together
};

/// A port of ours that the gateway forwards.
struct MappedPort {
  Transport transport = Transport::udp;
  std::uint16_t inside_port = 0;
  io::Endpoint outside;  ///< as the gateway tells it: it may be private, and it may be wrong
  friend bool operator==(const MappedPort&, const MappedPort&) = default;
};

/// Keeps ports mapped at the gateway.
///
/// 1. It looks for a gateway by all protocols at once; the first of PCP, NAT-PMP and UPnP IGD that has answered when the
/// first answers, serves.
/// 2. Mappings are renewed until `stop` or `release`.
/// 3. After some failures in a row, of renewals or to learn the outside address, it looks for a gateway anew at once.
class PortMapper {
 public:
  PortMapper(io::Network& network, PortMapProfile profile);
  ~PortMapper();
  PortMapper(const PortMapper&) = delete;
  PortMapper& operator=(const PortMapper&) = delete;

  /// Maps this port from now on, and begins to look for a gateway if that has not begun. A port that is wanted already
  /// stays as it is.
  void want(Transport transport, std::uint16_t inside_port);
  std::vector<MappedPort> mapped() const;
  /// The protocol in use; empty without a gateway.
  std::string gateway() const;
  /// Until every port has been asked for once, or it is known that there is no gateway.
  io::Task<> settled();
  /// Called when `mapped` has changed.
  void on_change(std::function<void()> observer);
  /// Removes the mappings, as far as the gateway answers within `release_limit`, and stops. How many it has removed.
  io::Task<std::size_t> release();
  /// Ends everything at once. The gateway keeps the mappings until their leases end.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::portmap
