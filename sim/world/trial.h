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
  no_connection,        ///< neither a relayed nor a direct connection came about
  no_stream,            ///< relayed, but no DCUtR exchange took place and no direct connection exists
  connection_reversed,  ///< direct by a plain dial, without a punch: B's back, or from a cold start A's own
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
  relayed_upgrade_failed,   ///< the circuit stood, but no secured connection came about over it
  no_address_to_send,       ///< a side knew no public address of its own
  stream_refused,           ///< the remote does not speak DCUtR
  relayed_connection_lost,  ///< ... before the exchange was over: a relay may close connections to make room
  protocol_error,           ///< a malformed or unexpected DCUtR message, or a time limit in the exchange
  refused,                  ///< every dial of the last attempt ended in a reset
  silence,                  ///< every dial of the last attempt ran into its time limit
  both_servers,             ///< a TCP connection stood, but both ends waited for the other's first message
  both_clients,
  security_failed,        ///< the handshake on the direct path failed
  bootstrap_unreachable,  ///< a peer could connect to none of the nodes that it knew at boot
  verdict_missing,        ///< B never learnt whether it can be dialled, and so looked for no relays
  verdict_wrong,          ///< B took itself for public, and cannot be dialled
  relays_missing,         ///< B took itself for private, and found no relay that gave it a reservation
  peer_not_found,         ///< nobody whom A asked knew an address of B
  peer_unreachable,       ///< A knew addresses of B, and every dial failed before a circuit stood
  time_limit,             ///< the trial's simulated time ran out
  internal_error,
};
inline constexpr std::array all_causes{Cause::none,
                                       Cause::relay_unreachable,
                                       Cause::reservation_refused,
                                       Cause::circuit_refused,
                                       Cause::relayed_upgrade_failed,
                                       Cause::no_address_to_send,
                                       Cause::stream_refused,
                                       Cause::relayed_connection_lost,
                                       Cause::protocol_error,
                                       Cause::refused,
                                       Cause::silence,
                                       Cause::both_servers,
                                       Cause::both_clients,
                                       Cause::security_failed,
                                       Cause::bootstrap_unreachable,
                                       Cause::verdict_missing,
                                       Cause::verdict_wrong,
                                       Cause::relays_missing,
                                       Cause::peer_not_found,
                                       Cause::peer_unreachable,
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

/// How a cold start goes on.
enum class Phase {
  dialability,   ///< 1.1: boot to B's first verdict on whether it can be dialled
  relays_found,  ///< 1.2: that to the first relay that B asks for a reservation
  reservation,   ///< 1.3: that to B's first reservation
  connection,    ///< 2.1: A looks for B, to a connection between them
  punch,         ///< 2.2: that to a direct connection
};
inline constexpr std::array all_phases{Phase::dialability, Phase::relays_found, Phase::reservation,
                                       Phase::connection, Phase::punch};
/// `1.1 dialability`, …
std::string_view to_string(Phase phase);

/// Whether a peer can be dialled. Both are `public`, `private` or `unknown`, and empty where nobody asked.
struct Dialability {
  std::string verdict{};  ///< what it thinks of itself in the end
  std::string truth{};    ///< whether a dial from an address that it has never heard of reaches it then
  bool operator==(const Dialability&) const = default;
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
  Dialability dialability_a;
  Dialability dialability_b;
  /// How long each phase of a cold start took, in the order of `Phase`; nothing for those that did not end.
  std::array<std::optional<io::Duration>, all_phases.size()> phases{};
  std::uint64_t events = 0;      ///< of the simulator
  std::uint64_t packets = 0;     ///< through the core
  std::uint64_t handshakes = 0;  ///< security handshakes begun, counted at both ends
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
