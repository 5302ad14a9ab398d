#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "protocols/identify/identify.h"
#include "protocols/io/time.h"
#include "protocols/multiformats/multiaddr.h"
#include "protocols/multiformats/peer_id.h"
#include "protocols/swarm/swarm.h"

namespace flaresim::dcutr {

inline constexpr std::string_view dcutr_protocol = "/libp2p/dcutr";

enum class Error {
  direct_connection_exists = 1,  ///< nothing to upgrade
  already_active,                ///< another upgrade with the same peer runs
  no_address_to_send,            ///< we know no public address of ours
  no_usable_address,             ///< the remote sent none that is public, direct and well-formed
  not_relayed,                   ///< the remote opened its stream on a direct connection
  not_dialled_by_us,  ///< the remote opened its stream on a relayed connection that it had dialled itself
  malformed,          ///< no HolePunch message
  missing_type,       ///< a message without a type, or of an unknown one
  unexpected_type,    ///< CONNECT where SYNC is due, or the other way round
  message_too_long,   ///< more than `max_message_bytes`
  truncated,          ///< the stream ended inside the exchange
  relayed_connection_lost,  ///< it ended before the exchange was through
  no_attempt_connected,     ///< every attempt was made, none connected
};
std::error_code make_error_code(Error error);

/// Who is the client of the punched connection.
enum class Roles {
  spec,                  ///< the responder (libp2p/specs relay/DCUtR.md)
  legacy,                ///< the opener (go-libp2p before 0.41)
  swap_on_last_attempt,  ///< as specified, but on its last attempt the opener is a client too (go-libp2p 0.48)
};

/// Constants of DCUtR; the defaults' sources stand beside them.
struct DcutrProfile {
  int attempts = 3;  // libp2p/specs relay/DCUtR.md: retry twice
  /// Exchanges with one peer that we answer at a time, their dials included: each has us send to addresses of the
  /// peer's choice.
  std::size_t max_answers = 3;  // go-libp2p p2p/protocol/holepunch maxRetries
  Roles roles = Roles::spec;
  std::size_t max_message_bytes = 4 * 1024;                // libp2p/specs relay/DCUtR.md "RPC messages"
  io::Duration stream_limit = std::chrono::seconds(60);    // go-libp2p p2p/protocol/holepunch StreamTimeout
  io::Duration dial_limit = std::chrono::seconds(10);      // ... defaultDirectDialTimeout
  io::Duration reversal_limit = std::chrono::seconds(10);  // ... defaultDirectDialTimeout
  /// A reversal dials the private addresses, too, that the remote advertises beside a public one, so that two peers of
  /// one local network connect inside it. go-libp2p holepunch/holepuncher.go does; without, strangers cannot have us
  /// dial into our own network.
  bool reversal_to_private = false;
  /// Only once it has seen a public address of ours does it answer and start, as go-libp2p (holepunch/svc.go
  /// waitForPublicAddr): it looks at first, then after `address_poll_min`, and after twice as long each time, up to
  /// `address_poll_max`. Connections that came before are not upgraded. Else it looks whenever it needs one.
  bool wait_for_own_address = false;
  io::Duration address_poll_min = std::chrono::milliseconds(250);  // ... waitForPublicAddr
  io::Duration address_poll_max = std::chrono::seconds(5);         // ... waitForPublicAddr maxDuration
};

/// Which end of the exchange we were: the opener was dialled over the relay, the responder had dialled.
enum class Side { opener, responder };

enum class Outcome {
  not_started,  ///< no exchange was begun; `cause` says why
  reversed,     ///< a direct connection came before any exchange: the opener dialled a public address of the
                ///< responder
  punched,      ///< a direct connection came of an exchange
  failed,
};

/// One exchange of CONNECT, CONNECT, SYNC, and the dial that follows.
struct Attempt {
  io::Duration round_trip{0};                ///< as the opener measured it; zero on the responder
  std::optional<io::TimePoint> dialled_at;   ///< nothing when the exchange failed before
  std::error_code cause;                     ///< why it gave no connection; zero when it did
  std::vector<swarm::DialFailure> failures;  ///< of the dial, address by address
};

/// What came of an upgrade. The opener reports once for each relayed connection, with all its attempts; the
/// responder once for each exchange.
struct PunchReport {
  multiformats::PeerId peer;
  Side side = Side::opener;
  Outcome outcome = Outcome::not_started;
  std::error_code cause{};            ///< zero when reversed or punched
  std::optional<Attempt> reversal{};  ///< when one was tried
  std::vector<Attempt> attempts{};
  swarm::ConnectionPtr connection{};  ///< the direct one, or null
  /// Of the connection, when there is one.
  multiformats::Transport transport = multiformats::Transport::other;

  /// Of the last exchange that measured one, else zero.
  io::Duration round_trip() const;
};

/// Direct Connection Upgrade through Relay, both sides.
///
/// The opener is the peer that was dialled over a relay:
/// 1. It starts once for each inbound relayed connection, after identify on it; not if a direct one exists.
/// 2. It tries connection reversal first, once, when the remote advertises a public address.
/// 3. It makes at most `attempts` attempts, each with a fresh CONNECT/SYNC exchange, so that one bad sample of
///    the round trip cannot spoil the next. It dials exactly half a round trip after SYNC was written, as the
///    server. An exchange that breaks the protocol ends the upgrade.
///
/// The responder is the peer that dialled over the relay:
/// 4. It answers CONNECT with CONNECT, only on relayed connections that it dialled, and dials in the instant in
///    which it reads SYNC, as the client. At most `max_answers` at a time for one peer.
///
/// Both:
/// 5. Only public, direct addresses are sent, and dialled (see `reversal_to_private`). Without any, the opener does not start, and the
///    responder resets the stream.
/// 6. The relayed connection is left alone: it stays usable whatever happens here, and may end after SYNC.
/// 7. While an upgrade or exchange runs, its peer is protected (PeerTags, `hole-punch`).
///
/// Source: libp2p/specs relay/DCUtR.md r1; address filters as go-libp2p p2p/protocol/holepunch.
class HolePuncher {
 public:
  using Reported = std::function<void(const PunchReport&)>;
  using Synced = std::function<void(const multiformats::PeerId&)>;

  HolePuncher(std::shared_ptr<swarm::Swarm> swarm, identify::Identify identify, DcutrProfile profile);
  ~HolePuncher();
  HolePuncher(const HolePuncher&) = delete;
  HolePuncher& operator=(const HolePuncher&) = delete;

  void on_report(Reported callback);
  /// Called when we, as the opener, have sent SYNC: CONNECT went both ways.
  void on_sync(Synced callback);
  /// Upgrades and exchanges that run now.
  std::size_t active() const;

  /// Starts and answers no more; what runs ends with the connections that it uses.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::dcutr

template <>
struct std::is_error_code_enum<flaresim::dcutr::Error> : std::true_type {};
