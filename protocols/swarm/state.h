#pragma once

#include <list>

#include "protocols/swarm/swarm.h"

namespace flaresim::swarm {

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
  /// Makes a secured stream a connection, if its peer has room for one.
  io::Result<ConnectionPtr> admit(Upgrade how, const security::Secured& secured, std::string security,
                                  std::string muxer);
  static io::Task<> accept_connections(Ptr self, std::shared_ptr<io::Listener> listener);
  static io::Task<> accept_connection(Ptr self, std::shared_ptr<io::StreamSocket> socket);
  static io::Task<> serve(Ptr self, ConnectionPtr connection);
  static io::Task<> serve_stream(Ptr self, ConnectionPtr connection, io::StreamPtr stream);
  static io::Task<io::Result<Connection::NegotiatedStream>> open_stream(Ptr self, multiformats::PeerId peer,
                                                                        std::vector<std::string> protocols,
                                                                        OverLimited over_limited);

  static io::Task<DialReport> dial(Ptr self, DialRequest request);
  struct Dial;
  void start_tries(const std::shared_ptr<Dial>& dial);
  static io::Task<> dial_one(Ptr self, std::shared_ptr<Dial> dial, std::size_t index);
  static io::Task<> await_turn(Ptr self, std::shared_ptr<Dial> dial);
  static io::Task<> await_end(Ptr self, std::shared_ptr<Dial> dial);
  /// Ours in the punch that is under way to that address.
  std::optional<security::Role> punch_role(const io::IpAddress& remote) const;
  static io::Task<io::Result<ConnectionPtr>> dial_tcp(Ptr self, std::shared_ptr<Dial> dial,
                                                      DialFailure& tried);
  static io::Task<io::Result<ConnectionPtr>> dial_circuit(Ptr self, std::shared_ptr<Dial> dial,
                                                          DialFailure& tried);
  ConnectionPtr satisfying(const DialRequest& request) const;

  ConnectionPtr best(const multiformats::PeerId& peer, bool direct_only) const;
  std::size_t connections_to(const multiformats::PeerId& peer) const;
  void add(const ConnectionPtr& connection);
  void remove(const ConnectionPtr& connection);
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
  SwarmCounters counters;

  std::vector<std::shared_ptr<io::Listener>> listeners;
  std::map<std::string, HandlerEntry, std::less<>> handlers;
  std::vector<ConnectionPtr> connections;  // in the order of appearance
  std::list<io::StreamPtr> pending;        // dials and upgrades under way
  std::size_t inbound_upgrades = 0;
  std::list<std::shared_ptr<Dial>> punches;  // dials with a role, in the order in which they began
  CircuitDialler circuit_dialler;
  std::vector<std::function<void(const ConnectionPtr&)>> when_connected;
  std::vector<std::function<void(const ConnectionPtr&)>> when_disconnected;
  Trace trace;
  io::Signal changed;  // a connection came, or a dial ended
  std::uint64_t next_connection = 1;
  bool down = false;
};

/// Keeps a stream where `shut_down` finds it while it is not yet part of a connection.
class PendingStream {
 public:
  PendingStream(std::list<io::StreamPtr>& all, io::StreamPtr stream)
      : all_(all), place_(all.insert(all.end(), std::move(stream))) {}
  ~PendingStream() { all_.erase(place_); }
  PendingStream(const PendingStream&) = delete;
  PendingStream& operator=(const PendingStream&) = delete;

 private:
  std::list<io::StreamPtr>& all_;
  std::list<io::StreamPtr>::iterator place_;
};

}  // namespace flaresim::swarm
