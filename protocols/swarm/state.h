#pragma once

#include <list>
#include <unordered_map>

#include "protocols/swarm/black_hole.h"
#include "protocols/swarm/swarm.h"
#include "protocols/transport/quic/endpoint.h"

namespace flaresim::swarm {

/// Ends something that is under way, with the reason.
using Abort = std::function<void(std::error_code why)>;

/// What a swarm and its coroutines share. They hold it by their first argument, from before they start until
/// they end.
struct Swarm::State : std::enable_shared_from_this<Swarm::State> {
  using Ptr = std::shared_ptr<State>;

  State(io::Network& network, crypto::PrivateKey identity, SwarmProfile profile);

  struct HandlerEntry {
    StreamHandler handler;
    OverLimited over_limited;
  };

  /// How a raw stream becomes a connection.
  struct Upgrade {
    Direction direction;
    security::Role role;
    multiformats::Multiaddr local_address;
    multiformats::Multiaddr remote_address;
    std::optional<multiformats::PeerId> expected;
    bool relayed = false;
    CircuitLimit limit;
  };

  static io::Task<io::Result<ConnectionPtr>> upgrade(Ptr self, io::StreamPtr raw, Upgrade how,
                                                     io::Duration limit);
  static io::Task<io::Result<ConnectionPtr>> upgrade_inbound(Ptr self, io::StreamPtr raw, Upgrade how);
  /// What a handshake came to.
  struct Upgraded {
    multiformats::PeerId remote;
    crypto::PublicKey remote_key;
    std::string security;
    std::string muxer;
    muxer::MuxedConnectionPtr muxed;
  };
  /// Takes a connection in, if its peer has room for one.
  io::Result<ConnectionPtr> admit(Upgrade how, Upgraded upgraded);
  bool is_full() const;
  static io::Task<> accept_connections(Ptr self, std::shared_ptr<io::Listener> listener);
  static io::Task<> accept_connection(Ptr self, std::shared_ptr<io::StreamSocket> socket);
  static io::Task<> serve(Ptr self, ConnectionPtr connection);
  static io::Task<> serve_stream(Ptr self, ConnectionPtr connection, io::StreamPtr stream);
  static io::Task<io::Result<Connection::NegotiatedStream>> open_stream(Ptr self, multiformats::PeerId peer,
                                                                        std::vector<std::string> protocols,
                                                                        OverLimited over_limited);

  static io::Task<DialReport> dial(Ptr self, DialRequest request);
  struct Dial;
  struct Try;
  /// Waits while dials like it are under way; returns how their addresses failed.
  static io::Task<std::vector<DialFailure>> await_others(Ptr self, DialRequest request, io::TimePoint until);
  std::shared_ptr<Dial> dial_like(const DialRequest& request) const;
  /// Ends with a connection, all failures, or the time: then it is false.
  static io::Task<bool> run(Ptr self, std::shared_ptr<Dial> dial, io::TimePoint until);
  /// Begins what is due; returns when more of it will be.
  io::TimePoint start_tries(const std::shared_ptr<Dial>& dial);
  void notify_dials_to(const multiformats::PeerId& peer);
  void release_batch(Dial& dial);
  static io::Task<> dial_one(Ptr self, std::shared_ptr<Dial> dial, std::size_t index);
  static io::Task<io::Result<ConnectionPtr>> dial_address(Ptr self, std::shared_ptr<Dial> dial, Try& tried);
  /// For one address, whatever the dial's own limit is.
  io::Duration limit_of(const multiformats::Multiaddr& address) const;
  static io::Task<> await_end(Ptr self, std::shared_ptr<Dial> dial);
  /// Ours in the punch that is under way to that address.
  std::optional<security::Role> punch_role(const io::IpAddress& remote) const;
  static io::Task<io::Result<ConnectionPtr>> dial_tcp(Ptr self, std::shared_ptr<Dial> dial, Try& tried);
  static io::Task<io::Result<ConnectionPtr>> dial_quic(Ptr self, std::shared_ptr<Dial> dial, Try& tried);
  static io::Task<io::Result<ConnectionPtr>> punch_quic(Ptr self, std::shared_ptr<Dial> dial,
                                                        std::shared_ptr<quic::QuicEndpoint> endpoint,
                                                        io::Endpoint remote);
  static io::Task<io::Result<ConnectionPtr>> dial_circuit(Ptr self, std::shared_ptr<Dial> dial, Try& tried);
  ConnectionPtr satisfying(const DialRequest& request) const;

  io::Result<io::Endpoint> listen_tcp(const io::Endpoint& local);
  io::Result<io::Endpoint> listen_quic(const io::Endpoint& local);
  static io::Task<> accept_quic(Ptr self, std::shared_ptr<quic::QuicEndpoint> endpoint);
  io::Result<ConnectionPtr> admit_quic(quic::QuicConnection connection, Direction direction);
  /// The endpoint that dials leave from: a listening one, or one of its own.
  std::shared_ptr<quic::QuicEndpoint> quic_endpoint(const io::IpAddress& remote);
  const security::TlsIdentityPtr& tls_identity();

  ConnectionPtr best(const multiformats::PeerId& peer, bool direct_only) const;
  std::size_t connections_to(const multiformats::PeerId& peer) const;
  void add(const ConnectionPtr& connection);
  void remove(const ConnectionPtr& connection, std::error_code why);
  const ConnectionPtr& preferred(const ConnectionPtr& older, const ConnectionPtr& newer) const;
  void drop_duplicate(const ConnectionPtr& newcomer);
  /// Our TCP listening port for this address family.
  std::optional<std::uint16_t> listening_port(const io::IpAddress& remote) const;
  void say(std::string_view what, const std::string& detail) const;

  io::Network& network;
  io::Scheduler& scheduler;
  crypto::PrivateKey identity;
  multiformats::PeerId id;
  SwarmProfile profile;
  io::Random random;
  PeerStore peers;
  OwnAddresses addresses;
  PeerTags tags;
  SwarmCounters counters;

  struct Bound {
    multiformats::Transport transport;
    io::Endpoint endpoint;
  };
  std::vector<Bound> bound;
  std::vector<std::shared_ptr<io::Listener>> listeners;
  std::vector<std::shared_ptr<quic::QuicEndpoint>> quic_endpoints;
  security::TlsIdentityPtr tls;  // made when it is first needed
  std::map<std::string, HandlerEntry, std::less<>> handlers;
  std::vector<ConnectionPtr> connections;                                        // in the order of appearance
  std::unordered_map<multiformats::PeerId, std::vector<ConnectionPtr>> by_peer;  // the same, to be found
  std::list<Abort> pending;  // dials and upgrades under way
  std::size_t inbound_upgrades = 0;
  std::list<std::shared_ptr<Dial>> dials;    // under way, in the order in which they began
  std::list<std::shared_ptr<Dial>> punches;  // those of them with a role
  std::map<multiformats::PeerId, io::TimePoint>
      punched_until;          // peers with whom two connections may come of one punch
  std::map<multiformats::PeerId, std::size_t>
      dials_to;               // addresses of a peer that are being dialled, in all dials
  std::size_t tcp_dials = 0;  // under way, in all dials
  io::Signal tcp_dial_ended;
  DialBackoff backoff;
  BlackHoleDetector black_holes;
  CircuitDialler circuit_dialler;
  std::vector<std::function<void(const ConnectionPtr&)>> when_connected;
  std::vector<std::function<void(const ConnectionPtr&)>> when_disconnected;
  Trace trace;
  std::uint64_t next_connection = 1;
  bool down = false;
};

/// Keeps what is under way where `shut_down`, or the end of its dial, finds it.
class Pending {
 public:
  Pending(std::list<Abort>& all, Abort abort) : all_(all), place_(all.insert(all.end(), std::move(abort))) {}
  Pending(std::list<Abort>& all, io::StreamPtr stream)
      : Pending(all, [stream = std::move(stream)](std::error_code why) { stream->reset(why); }) {}
  ~Pending() { all_.erase(place_); }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

 private:
  std::list<Abort>& all_;
  std::list<Abort>::iterator place_;
};

}  // namespace flaresim::swarm
