#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>
#include <vector>

#include "sim/nat/behaviour.h"
#include "sim/nat/rules.h"
#include "sim/nat/store.h"
#include "sim/nat/subscribers.h"
#include "sim/nat/tcp.h"
#include "sim/nat/wheel.h"

namespace flaresim::nat {

/// Which of the behaviour's timeouts a session waits for.
enum class Lifetime : std::uint8_t { opening, lasting, closing, reset, syn_received, close_wait, last_ack };
inline constexpr std::size_t lifetimes = 7;

/// The traffic between an inside endpoint, by its outside endpoint, and one remote endpoint. All that a
/// packet of a known session touches fits into one cache line.
struct alignas(64) Session {
  Endpoint inside;
  Endpoint remote;
  std::uint16_t outside_port = 0;
  std::uint8_t outside_number = 0;  ///< of its address
  Lifetime lifetime = Lifetime::opening;
  TcpConnection tcp;
  std::uint8_t due_slot = 0;         ///< in the wheel of its lifetime
  bool spoken_outbound : 1 = false;  ///< a packet went that way
  bool spoken_inbound : 1 = false;
  bool holds : 1 = false;    ///< keeps its binding alive, and the filter open for its remote
  bool answers : 1 = false;  ///< found from inside: packets to the remote leave by it
  bool hears : 1 = false;    ///< found from outside; not so when another one has overloaded its port
  bool router : 1 = false;   ///< the tuple is taken by the router itself
  Id binding = nobody;       ///< nobody: a mapping of its own
  Time deadline{};
};
static_assert(sizeof(Session) == 64);

/// The table of one transport of a NAT or firewall, and the rules about what may be added to it.
///
/// A *session* is found from inside by (inside, remote) and from outside by (outside, remote). Where mapping
/// and filter look at the whole remote endpoint, as in Linux connection tracking, sessions are all there is,
/// and each is a mapping. Elsewhere a *binding* gives an inside endpoint its outside endpoint towards the
/// remotes of one mapping key. It lives as long as one of its sessions *holds* it: one that sent a packet
/// outside, or was let in and may refresh by its direction. The other sessions are its *guests*.
///
/// A filter by address is open for the addresses of which the binding has *contacts*: holding sessions, in a
/// ring. A port has one owner towards the remotes of one owner key (rules.h). What the router itself takes is
/// a session without an inside. A firewall's outside endpoint is the inside one.
class Table {
 public:
  Table(const Behaviour& behaviour, const TransportRules& rules, Transport transport, bool translated,
        const std::vector<Address>& outside, Subscribers& subscribers, std::uint64_t seed);

  /// Time moves on: forgets what is due.
  void advance(Time now);

  /// What a packet from inside leaves on; `nobody` when it would begin a session.
  Id session_from(const Endpoint& inside, const Endpoint& remote) const;
  /// Begins a session on which the caller lets a packet pass at once. Rule::no_port when no outside port is
  /// free, Rule::table_full.
  tl::expected<Id, Rule> leave(const Endpoint& inside, const Endpoint& remote);

  /// The session of a packet from outside; `nobody` when there is none.
  Id session_at(const Endpoint& outside, const Endpoint& remote) const;

  /// Who is behind an outside endpoint for a remote without a session.
  struct Behind {
    Endpoint inside;
    Id binding = nobody;
    bool lets_in = false;
  };
  std::optional<Behind> behind(const Endpoint& outside, const Endpoint& remote) const;
  /// A new session for a remote that was let in, on which the caller lets the packet pass at once.
  /// Rule::table_full.
  tl::expected<Id, Rule> enter(const Behind& behind, const Endpoint& outside, const Endpoint& remote);
  /// Somebody has this outside port, be it towards other remotes.
  bool is_port_in_use(const Endpoint& outside) const;

  /// From where a remote that is let in sees an inside endpoint.
  tl::expected<Endpoint, Rule> seen_by(const Endpoint& inside, const Endpoint& remote) const;

  /// What Linux's eyes make of a packet of a session; where they are not asked for, all of them move it.
  TcpStep step(Id session, Direction direction, const TcpControl& control) const;
  /// The session is over.
  void close(Id session) { end(session); }

  /// Takes note of a packet that passes on a session, which may end with it.
  void pass(Id session, Direction direction, const TcpControl& control);
  /// Of a connection that began unseen.
  void pick_up(Id session) { sessions_[session].tcp.pick_up(); }

  /// The tuple is taken by the router itself, or taken for longer. A full table takes no more.
  void take(const Endpoint& outside, const Endpoint& remote);

  std::error_code open_forward(std::uint16_t port, const Endpoint& inside);
  std::error_code close_forward(std::uint16_t port);
  const std::vector<std::pair<std::uint16_t, Endpoint>>& forwards() const { return forwards_; }

  const Session& session(Id id) const { return sessions_[id]; }
  Endpoint outside(const Session& session) const;
  std::size_t size() const { return bindings_.size() + bare_sessions_; }

  // What the wheels ask for.
  Time deadline(Id id) const { return sessions_[id].deadline; }
  Link& due_link(Id id) { return sessions_.cold(id).due; }
  std::uint8_t& due_slot(Id id) { return sessions_[id].due_slot; }
  void expire(Id id) { end(id); }

 private:
  struct SessionLinks {
    Link due;
    Link peer;  // in its binding's ring, or in that of its inside endpoint (TransportRules::reuse)
    Time began{};
  };
  struct Binding {
    Endpoint inside;
    Endpoint key;  // of the remotes that it serves
    std::uint16_t outside_port = 0;
    std::uint8_t outside_number = 0;
    bool owns = false;  // found from outside; not so when another one has overloaded its port
    std::uint32_t holders = 0;
    Id sessions = nobody;  // those that hold it for one filter key stand side by side
  };
  /// How many mappings have an outside port that several inside endpoints may share.
  struct PortUse {
    std::uint32_t mappings = 0;
    std::uint16_t port = 0;
    std::uint8_t number = 0;
  };
  struct Nothing {};
  struct Outside {
    std::uint8_t number = 0;
    std::uint16_t port = 0;
  };

  // Ports (ports.cpp).
  using Port = std::optional<std::uint16_t>;
  tl::expected<Outside, Rule> choose_outside(const Endpoint& inside, const Endpoint& remote);
  Port choose_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote);
  Port reused_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote) const;
  PortRange range_for(std::uint16_t inside_port) const;
  Port neighbour_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote) const;
  Port free_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote, bool in_order,
                 std::uint16_t first);
  Port port_in(PortRange range, std::uint8_t number, const Endpoint& inside, const Endpoint& remote,
               bool in_order, std::uint16_t first);
  Port block_port(std::uint8_t number, const Endpoint& inside, const Endpoint& remote, bool in_order,
                  std::uint16_t first);
  Port add_block(std::uint8_t number);
  bool take_block_around(std::uint8_t number, std::uint16_t port, const Address& inside);
  std::vector<bool>& taken_blocks(std::uint8_t number);
  PortRange block_range(std::uint16_t block) const;
  bool is_in_own_block(std::uint8_t number, std::uint16_t port, const Address& inside) const;
  bool is_free(Outside outside, const Endpoint& remote) const;
  bool is_ours(Outside outside, const Endpoint& inside, const Endpoint& remote) const;
  bool may_overload(Outside outside, const Endpoint& inside, const Endpoint& remote) const;
  std::uint64_t random();

  // Mappings: bindings, and sessions that are their own.
  Rule make_room(const Endpoint& inside);
  bool evict(Id oldest);
  void count(Id mapping, const Address& inside, Outside outside);
  void uncount(Id mapping, const Address& inside, Outside outside);
  void count_port(Outside outside, int change);
  void count_block(Subscribers::Subscriber& host, Outside outside, int change);
  /// A session that is a mapping of its own. Beside bindings there are few such, and they are not evicted.
  Id own_mapping(Id session) const { return binds_ ? nobody : session; }
  void touch(Id mapping, const Address& inside);
  void forget_recency(Id mapping, const Address& inside);
  tl::expected<Id, Rule> leave_by_binding(const Endpoint& inside, const Endpoint& remote);
  tl::expected<Id, Rule> leave_by_itself(const Endpoint& inside, const Endpoint& remote);
  Id find_binding(const Endpoint& inside, const Endpoint& key) const;
  Id binding_at(const Endpoint& outside, const Endpoint& remote) const;
  Id bind(const Endpoint& inside, const Endpoint& key, Outside outside);
  void unbind(Id binding);
  bool lets_in(Id binding, const Endpoint& remote) const;

  // Sessions.
  Id add_session(const Endpoint& inside, Outside outside, const Endpoint& remote, Id binding);
  void answer_by(Id session);
  void hear_by(Id session);
  void hold(Id session);
  void refresh(Id session, Lifetime lifetime);
  void pass_udp(Id session, Direction direction);
  void pass_tcp(Id session, Direction direction, const TcpControl& control);
  void end(Id session);
  void remove(Id session);
  Lifetime udp_lifetime(Id session) const;
  Id find_contact(Id binding, const Endpoint& remote) const;
  void enter_ring(Id session);
  void leave_ring(Id session);
  Id latest_of(const Endpoint& inside) const;
  Id oldest_of(const Endpoint& inside) const;
  void enter_source(Id session);
  void leave_source(Id session);

  std::uint32_t inside_hash(const Session& s) const { return hash_of(s.inside, s.remote); }
  std::uint32_t outside_hash(const Session& s) const { return hash_of(outside(s), s.remote); }
  std::uint32_t contact_hash(Id binding, const Address& address) const {
    return hash_of({address, 0}, {{}, static_cast<std::uint16_t>(binding)}) ^ binding;
  }
  std::uint32_t owner_hash(const Binding& b) const {
    return hash_of(endpoint({b.outside_number, b.outside_port}), owner_key(b.key, rules_));
  }
  Endpoint endpoint(Outside outside) const { return {outside_[outside.number], outside.port}; }
  Outside number_of(const Endpoint& outside) const;
  Endpoint key_of(const Endpoint& remote) const {
    return translated_ ? mapping_key(remote, rules_.mapping) : Endpoint{};
  }
  bool counts_contacts() const { return binds_ && rules_.filtering == Filtering::address_dependent; }
  bool counts_ports() const { return translated_ && owner_key({{1}, 1}, rules_) != Endpoint{}; }
  const Endpoint* forwarded_to(const Endpoint& outside) const;
  std::optional<std::uint16_t> forward_of(const Endpoint& inside) const;

  const Behaviour& behaviour_;
  const TransportRules& rules_;
  const Transport transport_;
  const bool translated_;
  const bool binds_;  // false: sessions are all there is
  const bool evicts_;
  const bool reuses_;
  const bool conntrack_;  // TCP is followed as Linux does
  const std::vector<Address>& outside_;
  Subscribers& subscribers_;
  std::uint64_t random_state_;
  std::array<Wheel, lifetimes> due_;
  Time now_{};
  Time next_check_ = Wheel::never;
  Time stream_after_;
  std::uint16_t next_port_;
  std::size_t bare_sessions_ = 0;

  Pool<Session, SessionLinks> sessions_;
  std::vector<TcpSyns> syns_;  // by session; empty unless conntrack_
  Pool<Binding, Nothing> bindings_;
  Pool<PortUse, Nothing> port_uses_;
  Index from_inside_;   // sessions
  Index from_outside_;  // sessions, where addresses are translated
  Index binding_index_;
  Index owner_index_;    // bindings by outside endpoint and owner key, where addresses are translated
  Index contact_index_;  // sessions by binding and filter key, for a filter by address
  Index port_use_index_;
  Index source_index_;  // the oldest session of an inside endpoint, where ports are reused
  std::vector<std::pair<std::uint16_t, Endpoint>> forwards_;
  std::vector<std::vector<bool>> blocks_;  // taken ones, by outside address, where there are blocks

  Id oldest_ = nobody;  // mappings by idleness, where one may be evicted
  struct Recency {
    Link all, host;
  };
  std::vector<Recency> recency_;

  /// The last search for a port that found none, which need not be repeated until a port is given back.
  struct Exhausted {
    std::uint8_t number;
    Endpoint key;
  };
  std::optional<Exhausted> exhausted_;
};

}  // namespace flaresim::nat
