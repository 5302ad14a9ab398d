#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"
#include "protocols/relay/relay_error.h"
#include "protocols/relay/relay_profile.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::relay {

/// Who may use a relay; an empty rule allows everybody.
struct RelayAcl {
  std::function<bool(const multiformats::PeerId& peer, const multiformats::Multiaddr& from)> may_reserve;
  std::function<bool(const multiformats::PeerId& source, const multiformats::PeerId& target)> may_connect;
};

struct RelayCounters {
  std::uint64_t reservations_granted = 0;  ///< refreshes included
  std::size_t most_reservations = 0;       ///< at any time
  std::uint64_t circuits_opened = 0;
  std::size_t most_circuits_of_a_peer = 0;  ///< at any time; whichever end it is
  std::uint64_t cut_by_data = 0;
  std::uint64_t cut_by_duration = 0;
  std::uint64_t bytes_relayed = 0;  ///< both directions
  std::map<Status, std::uint64_t> refused;
  RelayCounters& operator+=(const RelayCounters& other);
};

/// The relay's side of Circuit Relay v2 (hop).
///
/// 1. A peer holds one reservation, until it expires or the peer's last direct connection ends; asking again
///    renews it.
/// 2. A circuit needs the target's reservation, and uses a connection to it that exists: a relay never dials.
/// 3. Requests that come through another relay are refused (permission_denied): circuits are not nested.
/// 4. A circuit carries exactly `limit.bytes` in each direction. It ends exactly `limit.duration` after the
///    source was told that it stands. A half-close passes through it.
/// 5. Stopping, or destroying, the service ends all reservations and circuits.
/// 6. Peers with a reservation are tagged `relay-reservation`, so that others are disconnected before them.
///
/// Source: libp2p/specs relay/circuit-v2.md r3; which refusal gets which status: go-libp2p
/// p2p/protocol/circuitv2/relay/relay.go.
class RelayService {
 public:
  RelayService(std::shared_ptr<swarm::Swarm> swarm, RelayServiceProfile profile, RelayAcl acl = {});
  ~RelayService();
  RelayService(const RelayService&) = delete;
  RelayService& operator=(const RelayService&) = delete;

  std::size_t reservations() const;
  /// Open ones, and those being opened.
  std::size_t circuits() const;
  const RelayCounters& counters() const;

  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::relay
