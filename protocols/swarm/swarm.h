#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/io/network.h"
#include "protocols/muxer/yamux.h"
#include "protocols/security/noise.h"
#include "protocols/security/tls_identity.h"
#include "protocols/swarm/connection.h"
#include "protocols/swarm/dial_backoff.h"
#include "protocols/swarm/dial_ranker.h"
#include "protocols/swarm/own_addresses.h"
#include "protocols/swarm/peer_store.h"
#include "protocols/swarm/peer_tags.h"
#include "protocols/transport/quic/profile.h"

namespace flaresim::swarm {

enum class Error {
  no_address = 1,  ///< nothing to dial
  no_transport,    ///< an address of a kind that we cannot dial
  not_connected,
  limited_connection,  ///< only a limited connection is there, and the protocol did not opt in
  no_handler,
  dial_failed,  ///< every address failed; see DialReport::failures
  shut_down,
  self_dial,
  duplicate,             ///< a punch gave two connections, and the other one is kept, here and at the remote
  too_many_connections,  ///< at one of the bounds of SwarmProfile
  trimmed,               ///< closed by the ConnectionManager
  backed_off,            ///< not dialled: this address of this peer has failed lately
  black_hole,            ///< not dialled: hardly any dial of its kind has succeeded lately
};
std::error_code make_error_code(Error error);

/// Time limits and bounds of connecting; the defaults' sources stand beside them.
struct SwarmProfile {
  /// Security protocols for TCP and relayed connections, the preferred one first.
  std::vector<std::string> security{"/noise",
                                    "/tls/1.0.0"};  // libp2p/specs: both; go-libp2p proposes TLS first
  /// Anything but `real` only on a network that is simulated: the swarm's constructor throws std::logic_error elsewhere.
  security::NoiseMode noise = security::NoiseMode::real;
  security::TlsOptions tls;  ///< of the certificate that QUIC and TLS show
  quic::QuicProfile quic;
  io::Duration quic_punch_limit = std::chrono::seconds(5);  // go-libp2p p2p/transport/quic HolePunchTimeout
  io::Duration quic_punch_gap_min = std::chrono::milliseconds(10);   // libp2p/specs relay/DCUtR.md
  io::Duration quic_punch_gap_max = std::chrono::milliseconds(200);  // libp2p/specs relay/DCUtR.md
  negotiation::MultistreamProfile multistream;
  muxer::YamuxProfile yamux;
  ObservedAddressProfile observed;
  PeerStoreProfile peers;
  io::Duration tcp_connect_limit =
      std::chrono::seconds(5);  // go-libp2p p2p/transport/tcp defaultConnectTimeout
  io::Duration dial_limit =
      std::chrono::seconds(15);  // go-libp2p p2p/net/swarm defaultDialTimeout, one address
  io::Duration private_dial_limit =
      std::chrono::seconds(5);  // ... defaultDialTimeoutLocal, instead for one that is not public, if shorter
  io::Duration inbound_upgrade_limit =
      std::chrono::seconds(15);  // go-libp2p p2p/net/upgrader defaultAcceptTimeout
  io::Duration stream_negotiation_limit = std::chrono::seconds(10);  // js-libp2p connection-manager
  DialDelays delays;
  DialBackoffProfile backoff;
  io::Duration dial_peer_limit =
      std::chrono::seconds(60);  // go-libp2p core/network DialPeerTimeout, all addresses of a dial
  std::size_t max_dials_per_peer =
      8;  // addresses at once; go-libp2p p2p/net/swarm/swarm_dial.go DefaultPerPeerRateLimit
  std::size_t max_tcp_dials = 160;     // ... ConcurrentFdDials; QUIC and circuits take no descriptor
  bool detect_black_holes = false;     // go-libp2p does; see BlackHoleDetector
  /// Inbound connections beyond these are reset; our own dials are ours to count.
  std::size_t max_inbound_upgrades = 32;     // go-libp2p p2p/host/resource-manager TransientBaseLimit
  std::size_t max_connections_per_peer = 8;  // ... PeerBaseLimit
  std::size_t max_connections =
      1024;  // bound of our own; ... SystemBaseLimit: 128, and 128 more for each GiB
  /// Gives a TCP connection that our listener accepts from an IP address we are punching the role that DCUtR
  /// agreed on, instead of the server's. No implementation does; without it, both ends may wait as servers:
  /// when the remote's request comes before ours leaves, or from another port than the one we dial.
  bool accepted_socket_takes_punch_role = false;
  /// Stands between the muxer of every new connection and what is above it. For tests that break messages.
  std::function<muxer::MuxedConnectionPtr(muxer::MuxedConnectionPtr)> muxer_tap{};
  /// Names the random numbers (see Network::random): each swarm of a host needs its own, or their connection ids and
  /// keys are the same.
  std::string random_stream = "swarm";
};

struct IncomingStream {
  io::StreamPtr stream;
  ConnectionPtr connection;
  std::string protocol;
};
using StreamHandler = std::function<io::Task<>(IncomingStream)>;

/// Whether a protocol may run on a connection that a relay limits.
enum class OverLimited { no, yes };

struct DialRequest {
  multiformats::PeerId peer;
  std::vector<multiformats::Multiaddr> addresses;
  /// Neither dial through relays, nor be content with a relayed connection that exists.
  bool direct_only = false;
  /// Set for a hole punch: this is our role in the handshake, no other local port will do than the one that we listen
  /// on, and all addresses are dialled at once.
  std::optional<security::Role> punch_role = std::nullopt;
  /// For the whole dial, besides the `dial_limit` of each address; by default `SwarmProfile::dial_peer_limit`.
  std::optional<io::Duration> limit = std::nullopt;
  /// Be content only with a direct connection over this transport.
  std::optional<multiformats::Transport> over = std::nullopt;
  /// Spare no address for having failed lately, as go-libp2p does where it forces a direct dial: of punches, reversals and
  /// AutoNAT's dial-backs.
  bool despite_backoff = false;
};

struct DialFailure {
  multiformats::Multiaddr address;
  std::error_code why;
  bool connected = false;  ///< the transport connection stood, and the upgrade failed
};

/// What came of a dial: a connection, or why each address gave none. An address that was under way, or had yet
/// to begin, when the dial ended has the dial's own error.
struct DialReport {
  ConnectionPtr connection;
  std::vector<DialFailure> failures;
  std::error_code error;  ///< zero with a connection
};

/// A raw circuit that a relay has opened to a peer.
struct Circuit {
  io::StreamPtr stream;
  CircuitLimit limit;
};
/// Opens a circuit to `target` through the relay named by `relay` (`/ip4/…/p2p/R`).
using CircuitDialler =
    std::function<io::Task<io::Result<Circuit>>(multiformats::Multiaddr relay, multiformats::PeerId target)>;

struct SwarmCounters {
  std::uint64_t dials = 0;
  std::uint64_t handshakes = 0;  ///< begun, as either side
  std::uint64_t failed_upgrades = 0;
};

/// All connections of one peer: listens, dials, secures, multiplexes, and hands streams to protocols.
///
/// 1. Direct connections are preferred over relayed ones, and among equals the older one.
/// 2. A dial tries each address once, in the order and at the times of `rank_for_dialling`, the next ones at once when none is under way, and no more while one that connected is being upgraded. It ends with the first connection to that peer that satisfies it, whichever side opened it.
/// 3. Protocols that did not opt in never run on a limited connection.
/// 4. A dial waits for the end of one like it that is under way to the same peer, and tries only addresses which that one has not tried.
/// 5. After `shut_down`, everything that was pending completes with an error as soon as the scheduler runs.
class Swarm {
 public:
  using Trace = std::function<void(std::string_view what, const std::string& detail)>;

  Swarm(io::Network& network, crypto::PrivateKey identity, SwarmProfile profile);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  const multiformats::PeerId& id() const;
  const crypto::PrivateKey& identity() const;
  io::Network& network();
  io::Scheduler& scheduler();
  const SwarmProfile& profile() const;
  PeerStore& peers();
  OwnAddresses& addresses();
  PeerTags& tags();
  const SwarmCounters& counters() const;

  /// Listens on `/ip4|ip6/…/tcp/PORT` or `/ip4|ip6/…/udp/PORT/quic-v1`, port 0 for any; returns the bound address.
  io::Result<multiformats::Multiaddr> listen(const multiformats::Multiaddr& address);
  /// Looks up again which addresses the host has, for those who listen on all of them. To be called when they have changed.
  void refresh_addresses();

  void handle(std::string protocol, StreamHandler handler, OverLimited over_limited = OverLimited::no);
  void unhandle(std::string_view protocol);
  /// What we answer to, in alphabetical order.
  std::vector<std::string> protocols() const;

  io::Task<DialReport> dial(DialRequest request);
  /// Whether a dial to that peer, or a punch, is under way.
  bool is_dialling(const multiformats::PeerId& peer) const;
  /// Dials, punches and upgrades that are under way.
  std::size_t active() const;
  /// A stream to a connected peer, over its best connection.
  io::Task<io::Result<Connection::NegotiatedStream>> open_stream(multiformats::PeerId peer,
                                                                 std::vector<std::string> protocols,
                                                                 OverLimited over_limited = OverLimited::no);

  /// The best connection, or null.
  ConnectionPtr connection_to(const multiformats::PeerId& peer) const;
  /// The oldest direct connection, or null.
  ConnectionPtr direct_connection_to(const multiformats::PeerId& peer) const;
  std::vector<ConnectionPtr> connections() const;
  /// Those that lead to this peer.
  std::vector<ConnectionPtr> connections(const multiformats::PeerId& peer) const;

  void set_circuit_dialler(CircuitDialler dialler);
  /// Turns a circuit that a relay brought us into an inbound connection.
  io::Task<io::Result<ConnectionPtr>> accept_circuit(Circuit circuit, multiformats::Multiaddr remote_address);

  void on_connected(std::function<void(const ConnectionPtr&)> callback);
  void on_disconnected(std::function<void(const ConnectionPtr&)> callback);
  void set_trace(Trace trace);
  void trace(std::string_view what, const std::string& detail) const;

  void shut_down();
  bool shutting_down() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace flaresim::swarm

template <>
struct std::is_error_code_enum<flaresim::swarm::Error> : std::true_type {};
