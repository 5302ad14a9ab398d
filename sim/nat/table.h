#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>

#include "sim/nat/behaviour.h"
#include "sim/nat/rules.h"
#include "sim/nat/store.h"
#include "sim/nat/tcp.h"

namespace flaresim::nat {

/// One of our inside endpoints and a remote one, or an outside endpoint and the remote that sends to it.
struct Flow {
  Transport transport = Transport::udp;
  bool translated = true;  ///< false: the local endpoint is the same inside and outside
  Endpoint local;
  Endpoint remote;
};

/// Which of the behaviour's timeouts an entry waits for.
enum class Lifetime : std::uint8_t { udp_unreplied, udp, tcp_transitory, tcp_established, tcp_reset, icmp };
inline constexpr std::size_t lifetimes = 6;

/// The traffic between a binding and one remote endpoint.
struct Session {
  Time deadline{};
  Link due;      // in the queue of its lifetime
  Link sibling;  // in its binding's list
  Id binding = nobody;
  Endpoint remote;
  Lifetime lifetime = Lifetime::udp_unreplied;
  TcpConnection tcp;
  bool spoken[2] = {false, false};  // by direction
  bool holds = false;               // keeps its binding alive, and the filter open for its remote
  bool pinned = false;  // outbound packets to the remote take this session whatever the mapping rule says
};

/// The state of a NAT or firewall, and the rules about what may be added to it.
///
/// A *binding* gives an inside endpoint its outside endpoint towards the remotes of one mapping key. It lives
/// as long as one of its *sessions* holds it: one that sent a packet outside, or was let in and may refresh
/// by its direction. A firewall's bindings are endpoint-independent and their outside endpoint is the inside
/// one. An outside port has one owner towards the remotes of one owner key (rules.h), counted in
/// *ownerships*. A *contact* is a filter key for which a binding's filter is open. A *taken* tuple is what
/// commit-state leaves.
///
/// Each timeout is one queue: deadlines in it are ascending, because time is. So expiry looks at the heads
/// only.
class Table {
 public:
  Table(const Behaviour& behaviour, const TransportRules& rules, const Address& outside, std::uint64_t seed);

  /// Time moves on: forgets what is due. Entries live until exactly their timeout after the last refresh.
  void advance(Time now);

  /// The session on which a packet from inside leaves: an existing one, or a new one on which the caller lets
  /// the packet pass at once. Rule::no_port when no outside port is free, Rule::table_full.
  tl::expected<Id, Rule> leave(const Flow& flow);
  /// What a packet from inside would leave on, if it is there.
  Id binding_towards(const Flow& inside) const;
  Id session_towards(const Flow& inside) const;

  /// The session of a packet from outside; `nobody` when there is none.
  Id session_at(const Flow& outside) const;
  /// The binding to which a packet from outside is addressed, whether or not its filter lets the packet in.
  Id binding_at(const Flow& outside) const;
  /// Some binding has this outside port, be it towards other remotes.
  bool is_port_in_use(const Flow& outside) const;
  bool lets_in(Id binding, const Endpoint& remote) const;
  /// A new session for a remote that was let in, on which the caller lets the packet pass at once.
  /// Rule::table_full.
  tl::expected<Id, Rule> enter(Id binding, const Endpoint& remote);

  /// Takes note of a packet that passes on a session, which may end with it.
  void pass(Id session, Direction direction, std::uint8_t tcp_flags);

  /// Commit-state: the tuple is taken by the router itself, or taken for longer. A full table takes no more.
  void take(const Flow& outside);
  bool is_taken(const Flow& outside) const;

  const Session& session(Id id) const { return sessions_[id]; }
  const Endpoint& inside(Id binding) const { return bindings_[binding].inside; }
  Endpoint outside(Id binding) const;
  std::size_t size() const { return bindings_.size() + taken_.size(); }
  std::uint64_t bindings_created() const { return bindings_created_; }

 private:
  using Siblings = Group<Session, &Session::sibling>;
  struct Binding {
    Endpoint inside;
    Endpoint key;  // of the remotes that it serves
    std::uint16_t port = 0;
    Transport transport : 2 = Transport::udp;
    bool translated : 1 = true;
    bool indexed : 1 = true;  // false: reached through its pinned session only
    std::uint32_t holders = 0;
    Siblings sessions;
    Link co_owner;
  };
  using CoOwners = Group<Binding, &Binding::co_owner>;
  struct Ownership {
    Endpoint key;
    std::uint16_t port = 0;
    Transport transport = Transport::udp;
    CoOwners bindings;  // all of one inside endpoint
  };
  struct PortUse {
    std::uint16_t port = 0;
    Transport transport = Transport::udp;
    std::uint32_t ownerships = 0;
  };
  struct Contact {
    Address address{};  // all that a key holds that is counted
    Id binding = nobody;
    std::uint32_t sessions = 0;
  };
  struct Taken {
    Time deadline{};
    Link due;
    Endpoint remote;
    std::uint16_t port = 0;
    Transport transport = Transport::udp;
  };
  using Due = Queue<Session, &Session::due>;
  using TakenDue = Queue<Taken, &Taken::due>;

  // Ports.
  std::optional<std::uint16_t> choose_port(const Flow& flow);
  std::optional<std::uint16_t> free_port(const Flow& flow);
  std::optional<std::uint16_t> preserved_port(const Flow& flow) const;
  std::optional<std::uint16_t> random_port(const Flow& flow);
  std::optional<std::uint16_t> next_free_port(const Flow& flow, std::uint16_t first);
  bool is_free(const Flow& flow, std::uint16_t port) const;
  bool is_ours(const Flow& flow, std::uint16_t port) const;
  std::uint64_t random();

  // Bindings.
  Id find_binding(const Flow& flow) const;
  Id find_ownership(Transport transport, std::uint16_t port, const Endpoint& key) const;
  Id bind(const Flow& flow, std::uint16_t port, bool indexed);
  tl::expected<Id, Rule> leave_elsewhere(const Flow& flow, bool indexed);
  Id find_port_use(Transport transport, std::uint16_t port) const;
  void count_port(Transport transport, std::uint16_t port, int change);
  void own(Id binding);
  void disown(Id binding);
  void unbind(Id binding);
  Endpoint binding_key(const Flow& flow) const;

  // Sessions.
  Id add_session(Id binding, const Endpoint& remote);
  Id find_pinned(const Flow& inside) const;
  void pin(Id session);
  void hold(Id session);
  void refresh(Id session, Lifetime lifetime);
  void end(Id session);
  void remove(Id session);
  Lifetime udp_lifetime(const Session& session) const;
  bool full() const;
  Id find_contact(Id binding, const Address& address) const;
  void add_contact(Id binding, const Endpoint& remote);
  void remove_contact(Id binding, const Endpoint& remote);
  bool counts_contacts() const { return !filter_open_ && !filter_exact_; }

  Id find_taken(Transport transport, std::uint16_t port, const Endpoint& remote) const;
  void expire_taken(Transport transport);

  std::uint32_t session_hash(const Session& session) const;
  std::uint32_t pinned_hash(const Session& session) const;
  std::uint32_t binding_hash(const Binding& binding) const;

  const Behaviour behaviour_;
  const TransportRules rules_;
  const Address outside_;
  const bool filter_open_;   // the filter looks at nothing
  const bool filter_exact_;  // it looks at everything: a session is its own contact
  std::uint64_t random_state_;
  std::array<Time, lifetimes> timeouts_;
  Time now_{};
  std::array<std::uint16_t, 3> next_port_;  // by transport, for Ports::sequential
  std::uint64_t bindings_created_ = 0;

  Pool<Session> sessions_;
  Pool<Binding> bindings_;
  Pool<Ownership> ownerships_;
  Pool<PortUse> port_uses_;
  Pool<Contact> contacts_;
  Pool<Taken> taken_;
  Index session_index_;  // by outside endpoint and remote
  Index pinned_index_;   // by inside endpoint and remote
  Index binding_index_;  // by inside endpoint and mapping key
  Index ownership_index_;
  Index port_use_index_;
  Index contact_index_;
  Index taken_index_;
  std::array<Due, lifetimes> due_;
  std::array<TakenDue, 2> taken_due_;  // UDP, TCP

  /// The last search for a port that found none, which need not be repeated until a port is given back.
  struct Exhausted {
    Transport transport;
    Endpoint key;
  };
  std::optional<Exhausted> exhausted_;
};

}  // namespace flaresim::nat
