#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/io/result.h"
#include "protocols/io/task.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"
#include "protocols/relay/relay_error.h"
#include "protocols/relay/relay_profile.h"
#include "protocols/relay/voucher.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::relay {

/// A relay's promise to bring us circuits.
struct Reservation {
  multiformats::PeerId relay;
  std::chrono::sys_seconds expires;
  /// Where the relay can be reached, each with its `/p2p/…`.
  std::vector<multiformats::Multiaddr> addresses;
  std::optional<Voucher> voucher;
  swarm::CircuitLimit limit;  ///< of the circuits to come
};

/// The users' side of Circuit Relay v2: reserves, opens circuits through relays, and takes in those that
/// relays bring (stop).
///
/// 1. A reservation is renewed until it is released, refused, or the connection to its relay ends.
/// 2. What is reserved is advertised: `<relay address>/p2p-circuit` for every address of the relay.
/// 3. The swarm's circuit addresses are dialled through this.
///
/// Source: libp2p/specs relay/circuit-v2.md r3; go-libp2p p2p/protocol/circuitv2/client, p2p/host/autorelay.
class RelayClient {
 public:
  /// Why a reservation is gone: `Error::connection_lost`, `Error::released`, or why it could not be renewed.
  using Lost = std::function<void(const multiformats::PeerId& relay, std::error_code why)>;

  RelayClient(std::shared_ptr<swarm::Swarm> swarm, RelayClientProfile profile);
  ~RelayClient();
  RelayClient(const RelayClient&) = delete;
  RelayClient& operator=(const RelayClient&) = delete;

  /// Connects to the relay if need be, and reserves, each within `limit` (none: `reserve_limit`). Fails with a `Status` when the relay refuses, an `Error`
  /// or `crypto::EnvelopeError` when its answer is malformed, or the error of the dial or of the stream.
  io::Task<io::Result<Reservation>> reserve(multiformats::PeerId relay,
                                            std::vector<multiformats::Multiaddr> addresses,
                                            std::optional<io::Duration> limit = std::nullopt);
  /// Gives a reservation up; the relay keeps it until it expires or we disconnect.
  void release(const multiformats::PeerId& relay);

  /// In the order of the relays' peer ids.
  std::vector<Reservation> reservations() const;
  /// Called when there is a reservation on a relay where there was none; renewals are not told.
  void on_reserved(std::function<void(const Reservation& reservation)> callback);
  void on_lost(Lost callback);

  /// Gives all reservations up, and neither opens nor takes circuits any more.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::relay
