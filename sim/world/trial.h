#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/time.h"
#include "sim/world/scenario.h"

namespace flaresim::world {

/// How a trial ended, in the words of the punchr field campaign, so that numbers compare.
enum class Outcome {
  unknown,              ///< the trial itself went wrong; counted as an error
  no_connection,        ///< no relayed connection came about
  no_stream,            ///< relayed, but no DCUtR exchange took place and no direct connection exists
  connection_reversed,  ///< direct by a plain dial back, without a punch
  cancelled,
  failed,   ///< CONNECT and SYNC were exchanged, but no attempt gave a direct connection
  success,  ///< a direct connection by a punch
};
inline constexpr std::array all_outcomes{Outcome::success,   Outcome::connection_reversed, Outcome::failed,
                                         Outcome::no_stream, Outcome::no_connection,       Outcome::cancelled,
                                         Outcome::unknown};
/// `SUCCESS`, `CONNECTION_REVERSED`, … as punchr writes them.
std::string_view to_string(Outcome outcome);
std::optional<Outcome> outcome_of(std::string_view word);

/// Why a trial did not end in a direct connection. A closed list.
enum class Cause {
  none,
  relay_unreachable,  ///< a peer could not connect to the relay
  reservation_refused,
  circuit_refused,
  relayed_upgrade_failed,  ///< the circuit stood, but no secured connection came about over it
  no_address_to_send,      ///< a side knew no public address of its own
  stream_refused,          ///< the remote does not speak DCUtR
  protocol_error,          ///< a malformed or unexpected DCUtR message, or a time limit in the exchange
  refused,                 ///< every dial of the last attempt ended in a reset
  silence,                 ///< every dial of the last attempt ran into its time limit
  both_servers,            ///< a TCP connection stood, but both ends waited for the other's first message
  both_clients,
  security_failed,  ///< the handshake on the direct path failed
  time_limit,       ///< the trial's simulated time ran out
  internal_error,
};
inline constexpr std::array all_causes{Cause::none,
                                       Cause::relay_unreachable,
                                       Cause::reservation_refused,
                                       Cause::circuit_refused,
                                       Cause::relayed_upgrade_failed,
                                       Cause::no_address_to_send,
                                       Cause::stream_refused,
                                       Cause::protocol_error,
                                       Cause::refused,
                                       Cause::silence,
                                       Cause::both_servers,
                                       Cause::both_clients,
                                       Cause::security_failed,
                                       Cause::time_limit,
                                       Cause::internal_error};
std::string_view to_string(Cause cause);
std::optional<Cause> cause_of(std::string_view word);

/// One thing that happened in a trial.
struct Event {
  io::Duration at{0};  ///< since the trial began
  std::string node;    ///< `A`, `B`, `R1`, `nat-a`, …
  std::string what;    ///< a stable word: `reserve`, `connect.sent`, `sync.received`, `dial`, `nat.drop`, …
  std::string detail;
};

/// One row of results. Everything in it follows from (scenario, seed, index) alone.
struct Trial {
  std::uint64_t index = 0;
  std::uint64_t world =
      0;  ///< number of the world that it shares with others; a world of its own has its index
  Outcome outcome = Outcome::unknown;
  Cause cause = Cause::none;
  std::string error;  ///< for people, when the trial itself went wrong
  PeerKind a;         ///< as drawn
  PeerKind b;
  std::string relay_region;
  std::string transport;                      ///< of the direct connection; empty without one
  int attempts = 0;                           ///< DCUtR attempts made
  std::optional<io::Duration> relayed_after;  ///< start of the trial to the relayed connection
  std::optional<io::Duration> direct_after;   ///< relayed connection to the direct one
  std::optional<io::Duration> relayed_rtt;    ///< as measured by DCUtR
  std::optional<io::Duration> direct_rtt;     ///< by ping over the direct connection
  std::uint64_t events = 0;                   ///< of the simulator
  std::uint64_t packets = 0;                  ///< through the core
  std::uint64_t handshakes = 0;               ///< security handshakes begun, counted at both ends
  std::vector<Event> timeline;
};

/// What is kept of a trial beside its row, in files of a directory that exists.
struct Captures {
  std::string directory{};
  bool packets = false;  ///< `<index>-<point>.pcap`, one a capture point
  /// `<index>.keys`: what decrypts TLS and QUIC, as an NSS key log, for all peers of the trial.
  bool keys = false;
  /// `<index>-<node>-<id>_<side>.sqlog`, one for each end of a QUIC connection.
  bool qlog = false;

  bool any() const { return packets || keys || qlog; }
};

struct TrialOptions {
  bool timeline = false;  ///< fill Trial::timeline
  Captures captures{};
};

/// What every trial of a run needs from disk, read once: the region graph and the access link table.
class WorldData;

/// Builds the world of trial `index`, runs it to its end, and takes it down again. At most one at a time in a
/// process.
Trial run_trial(const Scenario& scenario, const WorldData& data, std::uint64_t seed, std::uint64_t index,
                const TrialOptions& options);

}  // namespace flaresim::world
