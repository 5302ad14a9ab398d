#include "sim/nat/table.h"

#include <algorithm>

namespace flaresim::nat {

namespace {

/// Sessions of one table; more than the largest that Linux makes by default.
constexpr std::size_t most_sessions = std::size_t{1} << 22;
constexpr std::size_t most_forwards = 1024;

Time to_time(Seconds seconds) { return std::chrono::round<Time>(seconds); }

std::array<Wheel, lifetimes> wheels(const Behaviour& behaviour, Transport transport) {
  const auto wheel = [](Seconds timeout) { return Wheel(to_time(timeout)); };
  switch (transport) {
    case Transport::udp:
      return {wheel(behaviour.udp_unreplied_timeout), wheel(behaviour.udp_timeout)};
    case Transport::tcp:
      return {wheel(behaviour.tcp_transitory_timeout),   wheel(behaviour.tcp_established_timeout),
              wheel(behaviour.tcp_closing_timeout),      wheel(behaviour.tcp_reset_timeout),
              wheel(behaviour.tcp_syn_received_timeout), wheel(behaviour.tcp_close_wait_timeout),
              wheel(behaviour.tcp_last_ack_timeout)};
    case Transport::icmp:
      break;
  }
  return {wheel(behaviour.icmp_timeout)};
}

/// The timer that Linux sets after a packet, by the state it led to.
Lifetime lifetime_in(TcpState state) {
  switch (state) {
    case TcpState::none:
    case TcpState::syn_sent:
    case TcpState::syns_crossed:
      return Lifetime::opening;
    case TcpState::syn_received:
      return Lifetime::syn_received;
    case TcpState::established:
      return Lifetime::lasting;
    case TcpState::close_wait:
      return Lifetime::close_wait;
    case TcpState::last_ack:
      return Lifetime::last_ack;
    case TcpState::fin_wait:
    case TcpState::time_wait:
      return Lifetime::closing;
    case TcpState::closed:
      return Lifetime::reset;
  }
  return Lifetime::opening;
}

constexpr std::size_t number(Lifetime lifetime) { return static_cast<std::size_t>(lifetime); }
constexpr std::size_t number(Transport transport) { return static_cast<std::size_t>(transport); }

}  // namespace

Table::Table(const Behaviour& behaviour, const TransportRules& rules, Transport transport, bool translated,
             const std::vector<Address>& outside, Subscribers& subscribers, std::uint64_t seed)
    : behaviour_(behaviour),
      rules_(rules),
      transport_(transport),
      translated_(translated),
      binds_(rules.filtering != Filtering::address_and_port_dependent ||
             (translated && rules.mapping != Mapping::address_and_port_dependent)),
      evicts_(behaviour.when_full == WhenFull::evict_oldest),
      reuses_(rules.reuse && translated && !binds_ && rules.ports == Ports::preserve),
      conntrack_(behaviour.tcp_tracking == TcpTracking::conntrack && transport == Transport::tcp),
      outside_(outside),
      subscribers_(subscribers),
      random_state_(seed),
      due_(wheels(behaviour, transport)),
      stream_after_(to_time(behaviour.udp_stream_after)) {
  next_port_ = static_cast<std::uint16_t>(random());
}

void Table::advance(Time now) {
  now_ = std::max(now_, now);
  if (now_ < next_check_) return;
  for (Wheel& wheel : due_) wheel.advance(*this, now_);
  next_check_ = Wheel::never;
  for (const Wheel& wheel : due_) next_check_ = std::min(next_check_, wheel.next_check());
}

// From inside

Id Table::session_from(const Endpoint& inside, const Endpoint& remote) const {
  return from_inside_.find(hash_of(inside, remote), [&](Id id) {
    const Session& s = sessions_[id];
    return s.remote == remote && s.inside == inside;
  });
}

tl::expected<Id, Rule> Table::leave(const Endpoint& inside, const Endpoint& remote) {
  if (sessions_.size() >= most_sessions) return tl::unexpected(Rule::table_full);
  if (const auto port = forward_of(inside)) {
    const Outside outside{0, *port};
    if (const Id old = session_at(endpoint(outside), remote); old == nobody) {
      if (const Rule room = make_room(inside); room != Rule::passed) return tl::unexpected(room);
      const Id session = add_session(inside, outside, remote, nobody);
      answer_by(session);
      return session;
    }
  }
  return binds_ ? leave_by_binding(inside, remote) : leave_by_itself(inside, remote);
}

/// On the binding that the mapping rule gives, or on a mapping of its own towards this one remote, where the
/// router itself has taken the tuple.
tl::expected<Id, Rule> Table::leave_by_binding(const Endpoint& inside, const Endpoint& remote) {
  Id binding = find_binding(inside, key_of(remote));
  Outside outside;
  if (binding == nobody) {
    if (const Rule room = make_room(inside); room != Rule::passed) return tl::unexpected(room);
    const auto chosen = choose_outside(inside, remote);
    if (!chosen) return tl::unexpected(chosen.error());
    outside = *chosen;
  } else {
    outside = {bindings_[binding].outside_number, bindings_[binding].outside_port};
  }
  if (translated_) {
    // An inbound packet may have opened this session on another binding of the same outside endpoint.
    const Id old = session_at(endpoint(outside), remote);
    const bool is_taken = old != nobody && sessions_[old].inside != inside;
    if (is_taken && (sessions_[old].router || rules_.contention != Contention::overload))
      return leave_by_itself(inside, remote);
    if (old != nobody && sessions_[old].inside == inside) {
      answer_by(old);
      return old;
    }
  }
  if (binding == nobody) binding = bind(inside, key_of(remote), outside);
  const Id session = add_session(inside, outside, remote, binding);
  answer_by(session);
  return session;
}

tl::expected<Id, Rule> Table::leave_by_itself(const Endpoint& inside, const Endpoint& remote) {
  if (const Rule room = make_room(inside); room != Rule::passed) return tl::unexpected(room);
  Outside outside{0, inside.port};
  if (translated_) {
    const auto chosen = choose_outside(inside, remote);
    if (!chosen) return tl::unexpected(chosen.error());
    outside = *chosen;
  }
  const Id session = add_session(inside, outside, remote, nobody);
  answer_by(session);
  return session;
}

// From outside

Id Table::session_at(const Endpoint& outside, const Endpoint& remote) const {
  if (!translated_) return session_from(outside, remote);
  return from_outside_.find(hash_of(outside, remote), [&](Id id) {
    const Session& s = sessions_[id];
    return s.remote == remote && s.outside_port == outside.port &&
           outside_[s.outside_number] == outside.address;
  });
}

std::optional<Table::Behind> Table::behind(const Endpoint& outside, const Endpoint& remote) const {
  if (const Endpoint* inside = forwarded_to(outside)) return Behind{*inside, nobody, true};
  const Id binding = binding_at(outside, remote);
  if (binding == nobody) return {};
  return Behind{bindings_[binding].inside, binding, lets_in(binding, remote)};
}

tl::expected<Id, Rule> Table::enter(const Behind& behind, const Endpoint& outside, const Endpoint& remote) {
  if (sessions_.size() >= most_sessions) return tl::unexpected(Rule::table_full);
  if (behind.binding == nobody)
    if (const Rule room = make_room(behind.inside); room != Rule::passed) return tl::unexpected(room);
  const Id session = add_session(behind.inside, number_of(outside), remote, behind.binding);
  const bool is_by_the_rule = behind.binding == nobody || key_of(remote) == bindings_[behind.binding].key;
  if (is_by_the_rule || rules_.reply == Reply::session) answer_by(session);
  return session;
}

bool Table::lets_in(Id binding, const Endpoint& remote) const {
  if (rules_.filtering == Filtering::endpoint_independent) return true;
  if (counts_contacts()) return find_contact(binding, remote) != nobody;
  return false;  // by endpoint: the session itself would have been found
}

tl::expected<Endpoint, Rule> Table::seen_by(const Endpoint& inside, const Endpoint& remote) const {
  if (const Id id = session_from(inside, remote); id != nobody) return outside(sessions_[id]);
  const Id binding = binds_ ? find_binding(inside, key_of(remote)) : nobody;
  if (binding == nobody) return tl::unexpected(Rule::no_mapping);
  const Binding& b = bindings_[binding];
  const Endpoint seen = translated_ ? endpoint({b.outside_number, b.outside_port}) : inside;
  if (!lets_in(binding, remote) && session_at(seen, remote) == nobody) return tl::unexpected(Rule::filtered);
  return seen;
}

/// What the router takes is known by its lack of an inside.
void Table::take(const Endpoint& outside, const Endpoint& remote) {
  Id id = session_at(outside, remote);
  if (id == nobody) {
    if (sessions_.size() >= most_sessions) return;
    id = add_session({}, number_of(outside), remote, nobody);
    sessions_[id].router = true;
  }
  if (!sessions_[id].router) return;
  refresh(id, Lifetime::opening);
}

// Forwards

const Endpoint* Table::forwarded_to(const Endpoint& outside) const {
  for (const auto& [port, inside] : forwards_)
    if (port == outside.port && outside.address == outside_.front()) return &inside;
  return nullptr;
}

std::optional<std::uint16_t> Table::forward_of(const Endpoint& inside) const {
  for (const auto& [port, to] : forwards_)
    if (to == inside) return port;
  return {};
}

std::error_code Table::open_forward(std::uint16_t port, const Endpoint& inside) {
  const Endpoint outside{outside_.front(), port};
  if (const Endpoint* to = forwarded_to(outside))
    return *to == inside ? std::error_code() : make_error_code(std::errc::address_in_use);
  bool strangers = false;
  from_inside_.for_each([&](Id id) {
    const Session& s = sessions_[id];
    strangers |= s.outside_port == port && s.outside_number == 0 && s.inside != inside;
  });
  if (strangers) return make_error_code(std::errc::address_in_use);
  if (forwards_.size() >= most_forwards) return make_error_code(std::errc::not_enough_memory);
  forwards_.emplace_back(port, inside);
  return {};
}

std::error_code Table::close_forward(std::uint16_t port) {
  const auto gone = std::erase_if(forwards_, [&](const auto& forward) { return forward.first == port; });
  exhausted_.reset();
  return gone == 0 ? make_error_code(std::errc::invalid_argument) : std::error_code();
}

// Packets

void Table::pass(Id id, Direction direction, const TcpControl& control) {
  Session& session = sessions_[id];
  if (!session.hears && direction == Direction::outbound) hear_by(id);  // overloaded: who sent last hears
  if (evicts_ && !session.router)
    touch(session.binding == nobody ? own_mapping(id) : session.binding, session.inside.address);
  switch (transport_) {
    case Transport::udp:
      return pass_udp(id, direction);
    case Transport::tcp:
      return pass_tcp(id, direction, control);
    case Transport::icmp:
      hold(id);
      if (refreshes(direction, behaviour_.icmp_refresh)) refresh(id, Lifetime::opening);
  }
}

TcpStep Table::step(Id id, Direction direction, const TcpControl& control) const {
  if (!conntrack_) return TcpStep::moves;
  return sessions_[id].tcp.conntrack.step(direction, control, syns_[id]);
}

void Table::pass_udp(Id id, Direction direction) {
  Session& session = sessions_[id];
  const bool was_answered = session.spoken_outbound && session.spoken_inbound;
  session.spoken_outbound |= direction == Direction::outbound;
  session.spoken_inbound |= direction == Direction::inbound;
  const bool extends = refreshes(direction, behaviour_.udp_refresh);
  if (extends || direction == Direction::outbound) hold(id);
  if (!extends) return;
  // Linux decides before it notes that this packet is the answer.
  const bool answered =
      stream_after_ == Time{} ? session.spoken_outbound && session.spoken_inbound : was_answered;
  const bool lasts =
      session.lifetime == Lifetime::lasting || (answered && now_ >= sessions_.cold(id).began + stream_after_);
  refresh(id, lasts ? Lifetime::lasting : Lifetime::opening);
}

void Table::pass_tcp(Id id, Direction direction, const TcpControl& control) {
  hold(id);
  TcpConnection& tcp = sessions_[id].tcp;
  const auto before = tcp.phase();
  const TcpStep what = step(id, direction, control);
  tcp.note(direction, control.flags);
  if (tcp.refused()) return end(id);
  if (conntrack_) {
    tcp.conntrack.note(direction, control, syns_[id]);
    if (what == TcpStep::moves) refresh(id, lifetime_in(tcp.conntrack.state()));
    return;
  }
  switch (tcp.phase()) {
    case TcpConnection::Phase::transitory:
      return refresh(id, Lifetime::opening);
    case TcpConnection::Phase::established:
      return refresh(id, Lifetime::lasting);
    case TcpConnection::Phase::closing:
      return refresh(id, Lifetime::closing);
    case TcpConnection::Phase::reset:  // RFC 7857 §2.2: counted from the RST
      if (before != TcpConnection::Phase::reset) refresh(id, Lifetime::reset);
  }
}

// Sessions

Endpoint Table::outside(const Session& s) const {
  return translated_ ? endpoint({s.outside_number, s.outside_port}) : s.inside;
}

Table::Outside Table::number_of(const Endpoint& outside) const {
  const auto found = std::find(outside_.begin(), outside_.end(), outside.address);
  return {static_cast<std::uint8_t>(translated_ ? found - outside_.begin() : 0), outside.port};
}

Id Table::add_session(const Endpoint& inside, Outside outside, const Endpoint& remote, Id binding) {
  Session session;
  session.inside = inside;
  session.remote = remote;
  session.outside_number = outside.number;
  session.outside_port = outside.port;
  session.binding = binding;
  Wheel& wheel = due_[number(Lifetime::opening)];
  session.deadline = now_ + wheel.timeout();
  const Id id = sessions_.add(session);
  sessions_.cold(id).began = now_;
  if (conntrack_) {
    if (id >= syns_.size()) syns_.resize(id + std::size_t{1});
    syns_[id] = {};
  }
  wheel.add(*this, id, now_);
  next_check_ = std::min(next_check_, wheel.next_check());
  hear_by(id);
  if (binding != nobody) {
    enter_ring(id);
  } else {
    ++bare_sessions_;
    if (inside != Endpoint{}) count(own_mapping(id), inside.address, outside);
    if (reuses_ && inside != Endpoint{}) enter_source(id);
  }
  return id;
}

/// Packets from inside to the remote leave by this session from now on.
void Table::answer_by(Id id) {
  Session& session = sessions_[id];
  if (session.answers) return;
  session.answers = true;
  const Id other = session_from(session.inside, session.remote);
  if (other == nobody) return from_inside_.insert(inside_hash(session), id);
  sessions_[other].answers = false;
  from_inside_.replace(inside_hash(session), other, id);
}

/// Packets from the remote to the outside endpoint come in by this session from now on.
void Table::hear_by(Id id) {
  Session& session = sessions_[id];
  session.hears = true;
  if (!translated_) return;
  const Id other = session_at(outside(session), session.remote);
  if (other == nobody) return from_outside_.insert(outside_hash(session), id);
  sessions_[other].hears = false;
  from_outside_.replace(outside_hash(session), other, id);
}

void Table::hold(Id id) {
  Session& session = sessions_[id];
  if (session.holds) return;
  if (session.binding != nobody) {
    leave_ring(id);
    session.holds = true;
    enter_ring(id);
  }
  session.holds = true;
}

void Table::refresh(Id id, Lifetime lifetime) {
  Session& session = sessions_[id];
  Wheel& wheel = due_[number(lifetime)];
  if (session.lifetime == lifetime) {
    session.deadline = now_ + wheel.timeout();
    return;
  }
  due_[number(session.lifetime)].remove(*this, id);
  session.lifetime = lifetime;
  session.deadline = now_ + wheel.timeout();
  wheel.add(*this, id, now_);
  next_check_ = std::min(next_check_, wheel.next_check());
}

/// Ends a session, and its binding with the last one that held it.
void Table::end(Id id) {
  const Id binding = sessions_[id].binding;
  remove(id);
  if (binding != nobody && bindings_[binding].holders == 0) unbind(binding);
}

void Table::remove(Id id) {
  const Session session = sessions_[id];
  if (session.answers) from_inside_.erase(inside_hash(session), id);
  if (session.hears && translated_) from_outside_.erase(outside_hash(session), id);
  due_[number(session.lifetime)].remove(*this, id);
  if (session.binding != nobody) {
    leave_ring(id);
  } else {
    --bare_sessions_;
    if (reuses_ && session.inside != Endpoint{}) leave_source(id);
    if (session.inside != Endpoint{})
      uncount(own_mapping(id), session.inside.address, {session.outside_number, session.outside_port});
  }
  sessions_.remove(id);
  exhausted_.reset();
}

// A binding's ring of sessions, in which those that hold it for one remote address stand side by side behind
// the one that the index of contacts names.

Id Table::find_contact(Id binding, const Endpoint& remote) const {
  return contact_index_.find(contact_hash(binding, remote.address), [&](Id id) {
    return sessions_[id].binding == binding && sessions_[id].remote.address == remote.address;
  });
}

void Table::enter_ring(Id id) {
  const Session& session = sessions_[id];
  Binding& binding = bindings_[session.binding];
  const auto link = [&](Id other) -> Link& { return sessions_.cold(other).peer; };
  binding.holders += session.holds;
  if (!session.holds || !counts_contacts()) return ring_insert(binding.sessions, id, link);
  const Id contact = find_contact(session.binding, session.remote);
  if (contact == nobody) {
    contact_index_.insert(contact_hash(session.binding, session.remote.address), id);
    return ring_insert(binding.sessions, id, link);
  }
  Id behind = link(contact).next;
  ring_insert(behind, id, link);  // before that one, which is behind the contact
}

void Table::leave_ring(Id id) {
  const Session& session = sessions_[id];
  Binding& binding = bindings_[session.binding];
  const Id next = sessions_.cold(id).peer.next;
  ring_remove(binding.sessions, id, [&](Id other) -> Link& { return sessions_.cold(other).peer; });
  binding.holders -= session.holds;
  if (!session.holds || !counts_contacts()) return;
  if (find_contact(session.binding, session.remote) != id) return;
  const std::uint32_t hash = contact_hash(session.binding, session.remote.address);
  const bool another =
      next != id && sessions_[next].holds && sessions_[next].remote.address == session.remote.address;
  if (another)
    contact_index_.replace(hash, id, next);
  else
    contact_index_.erase(hash, id);
}

// The sessions of one inside endpoint, in the order in which they came

Id Table::oldest_of(const Endpoint& inside) const {
  return source_index_.find(hash_of(inside, {}), [&](Id id) { return sessions_[id].inside == inside; });
}

Id Table::latest_of(const Endpoint& inside) const {
  const Id oldest = reuses_ ? oldest_of(inside) : nobody;
  return oldest == nobody ? nobody : sessions_.cold(oldest).peer.previous;
}

void Table::enter_source(Id id) {
  const Endpoint& inside = sessions_[id].inside;
  Id oldest = oldest_of(inside);
  if (oldest == nobody) source_index_.insert(hash_of(inside, {}), id);
  ring_insert(oldest, id, [&](Id other) -> Link& { return sessions_.cold(other).peer; });
}

void Table::leave_source(Id id) {
  const std::uint32_t hash = hash_of(sessions_[id].inside, {});
  const Id before = oldest_of(sessions_[id].inside);
  Id oldest = before;
  ring_remove(oldest, id, [&](Id other) -> Link& { return sessions_.cold(other).peer; });
  if (oldest == nobody)
    source_index_.erase(hash, id);
  else if (oldest != before)
    source_index_.replace(hash, before, oldest);
}

// Bindings

Id Table::find_binding(const Endpoint& inside, const Endpoint& key) const {
  return binding_index_.find(hash_of(inside, key), [&](Id id) {
    const Binding& b = bindings_[id];
    return b.inside == inside && b.key == key;
  });
}

Id Table::binding_at(const Endpoint& outside, const Endpoint& remote) const {
  if (!binds_) return nobody;
  if (!translated_) return find_binding(outside, {});
  const Endpoint key = owner_key(remote, rules_);
  return owner_index_.find(hash_of(outside, key), [&](Id id) {
    const Binding& b = bindings_[id];
    return b.outside_port == outside.port && outside_[b.outside_number] == outside.address &&
           owner_key(b.key, rules_) == key;
  });
}

Id Table::bind(const Endpoint& inside, const Endpoint& key, Outside outside) {
  Binding binding;
  binding.inside = inside;
  binding.key = key;
  binding.outside_number = outside.number;
  binding.outside_port = outside.port;
  binding.owns = true;
  const Id other = translated_ ? binding_at(endpoint(outside), key) : nobody;
  const Id id = bindings_.add(binding);
  binding_index_.insert(hash_of(inside, key), id);
  if (other != nobody && bindings_[other].inside != inside) {  // overloaded
    bindings_[other].owns = false;
    owner_index_.replace(owner_hash(binding), other, id);
  } else if (translated_) {
    owner_index_.insert(owner_hash(binding), id);
  }
  count(id, inside.address, outside);
  return id;
}

/// Ends its sessions, too.
void Table::unbind(Id id) {
  while (bindings_[id].sessions != nobody) remove(bindings_[id].sessions);
  const Binding binding = bindings_[id];
  binding_index_.erase(hash_of(binding.inside, binding.key), id);
  if (binding.owns && translated_) owner_index_.erase(owner_hash(binding), id);
  uncount(id, binding.inside.address, {binding.outside_number, binding.outside_port});
  bindings_.remove(id);
  exhausted_.reset();
}

// Counting mappings

/// Rule::passed when one more mapping may be made, if need be in the place of the one idle for longest.
Rule Table::make_room(const Endpoint& inside) {
  const auto full = [&] {
    return behaviour_.max_mappings > 0 && subscribers_.mappings >= behaviour_.max_mappings;
  };
  const auto host_full = [&] {
    const auto* host = behaviour_.max_mappings_per_host > 0 ? subscribers_.find(inside.address) : nullptr;
    return host != nullptr && host->mappings >= behaviour_.max_mappings_per_host;
  };
  if (host_full() && !(evicts_ && evict(subscribers_.find(inside.address)->oldest[number(transport_)])))
    return Rule::table_full;
  if (full() && !(evicts_ && evict(oldest_))) return Rule::table_full;
  return host_full() || full() ? Rule::table_full : Rule::passed;
}

bool Table::evict(Id oldest) {
  if (oldest == nobody) return false;
  if (binds_)
    unbind(oldest);
  else
    end(oldest);
  return true;
}

void Table::count(Id mapping, const Address& inside, Outside outside) {
  ++subscribers_.mappings_created;
  ++subscribers_.mappings;
  if (counts_ports()) count_port(outside, +1);
  if (!subscribers_.counts()) return touch(mapping, inside);
  auto& host = subscribers_.at(inside);
  ++host.mappings;
  if (translated_ && behaviour_.pooling == Pooling::paired && !host.paired) host.paired = outside.number;
  if (translated_) count_block(host, outside, +1);
  touch(mapping, inside);
}

void Table::uncount(Id mapping, const Address& inside, Outside outside) {
  --subscribers_.mappings;
  if (counts_ports()) count_port(outside, -1);
  forget_recency(mapping, inside);
  if (!subscribers_.counts()) return;
  auto& host = subscribers_.at(inside);
  if (translated_) count_block(host, outside, -1);
  if (--host.mappings == 0) subscribers_.forget(inside);
}

/// A mapping becomes the one that is idle for the shortest time.
void Table::touch(Id mapping, const Address& inside) {
  if (!evicts_ || mapping == nobody) return;
  forget_recency(mapping, inside);
  if (recency_.size() <= mapping) recency_.resize(mapping + 1);
  ring_insert(oldest_, mapping, [&](Id id) -> Link& { return recency_[id].all; });
  if (!subscribers_.counts()) return;
  ring_insert(subscribers_.at(inside).oldest[number(transport_)], mapping,
              [&](Id id) -> Link& { return recency_[id].host; });
}

void Table::forget_recency(Id mapping, const Address& inside) {
  if (!evicts_ || mapping == nobody || recency_.size() <= mapping || recency_[mapping].all.next == nobody)
    return;
  ring_remove(oldest_, mapping, [&](Id id) -> Link& { return recency_[id].all; });
  if (subscribers_.counts())
    ring_remove(subscribers_.at(inside).oldest[number(transport_)], mapping,
                [&](Id id) -> Link& { return recency_[id].host; });
  recency_[mapping] = {};
}

}  // namespace flaresim::nat
