#include "sim/nat/table.h"

#include <algorithm>
#include <cstring>

namespace flaresim::nat {

namespace {

/// RFC 5508 REQ-2: an ICMP query session lives for at least 60 s.
constexpr Seconds icmp_timeout{60};

/// Sessions and taken tuples of one NAT; more than the largest table that Linux makes by default.
constexpr std::size_t most_entries = std::size_t{1} << 22;

constexpr Endpoint anybody{{1}, 1};

Time to_time(Seconds seconds) { return std::chrono::round<Time>(seconds); }

class Hash {
 public:
  Hash& operator<<(std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15;
    state_ ^= state_ >> 32;
    return *this;
  }
  Hash& operator<<(const Endpoint& endpoint) {
    std::uint64_t halves[2];
    std::memcpy(halves, endpoint.address.data(), sizeof halves);
    return *this << halves[0] << halves[1] << endpoint.port;
  }
  std::uint32_t value() const { return static_cast<std::uint32_t>((state_ * 0xd6e8feb86659fd93) >> 32); }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3;
};

std::uint64_t number(Transport transport) { return static_cast<std::uint64_t>(transport); }
int number(Direction direction) { return static_cast<int>(direction); }

std::uint32_t flow_hash(Transport transport, const Endpoint& local, const Endpoint& remote) {
  return (Hash() << number(transport) << local << remote).value();
}

std::uint32_t ownership_hash(Transport transport, std::uint16_t port, const Endpoint& key) {
  return (Hash() << (number(transport) << 16 | port) << key).value();
}

std::uint32_t contact_hash(Id binding, const Address& address) {
  return (Hash() << Endpoint{address, 0} << binding).value();
}

}  // namespace

Table::Table(const Behaviour& behaviour, const TransportRules& rules, const Address& outside,
             std::uint64_t seed)
    : behaviour_(behaviour),
      rules_(rules),
      outside_(outside),
      filter_open_(filter_key(anybody, rules.filtering) == Endpoint{}),
      filter_exact_(filter_key(anybody, rules.filtering) == anybody),
      random_state_(seed),
      timeouts_{to_time(behaviour.udp_unreplied_timeout),  to_time(behaviour.udp_timeout),
                to_time(behaviour.tcp_transitory_timeout), to_time(behaviour.tcp_established_timeout),
                to_time(behaviour.tcp_reset_timeout),      to_time(icmp_timeout)} {
  for (auto& port : next_port_) port = static_cast<std::uint16_t>(random());
}

// Time

void Table::advance(Time now) {
  now_ = std::max(now_, now);
  for (const Due& queue : due_)
    while (queue.front() != nobody && sessions_[queue.front()].deadline <= now_) end(queue.front());
  expire_taken(Transport::udp);
  expire_taken(Transport::tcp);
}

void Table::expire_taken(Transport transport) {
  TakenDue& queue = taken_due_[number(transport)];
  while (queue.front() != nobody && taken_[queue.front()].deadline <= now_) {
    const Id id = queue.front();
    const Taken& taken = taken_[id];
    taken_index_.erase(ownership_hash(transport, taken.port, taken.remote), id);
    queue.remove(taken_, id);
    taken_.remove(id);
    exhausted_.reset();
  }
}

// Packets

tl::expected<Id, Rule> Table::leave(const Flow& flow) {
  if (const Id pinned = find_pinned(flow); pinned != nobody) return pinned;
  const Id binding = find_binding(flow);
  if (binding == nobody) return leave_elsewhere(flow, true);
  const Flow seen{flow.transport, flow.translated, outside(binding), flow.remote};
  if (is_taken(seen)) return leave_elsewhere(flow, false);
  if (const Id session = session_at(seen); session != nobody) return session;
  if (full()) return tl::unexpected(Rule::table_full);
  return add_session(binding, flow.remote);
}

/// On a new binding: for all remotes of its key, or (`indexed` false) for this one only, because the outside
/// endpoint that the mapping rule asks for is taken towards it.
tl::expected<Id, Rule> Table::leave_elsewhere(const Flow& flow, bool indexed) {
  if (full()) return tl::unexpected(Rule::table_full);
  std::uint16_t port = flow.local.port;
  if (flow.translated) {
    const auto chosen = choose_port(flow);
    if (!chosen) return tl::unexpected(Rule::no_port);
    port = *chosen;
    // An inbound packet may have opened this session on another binding of the same inside and outside
    // endpoint.
    const Id session = session_at({flow.transport, true, {outside_, port}, flow.remote});
    if (session != nobody) return session;
  }
  const Id session = add_session(bind(flow, port, indexed), flow.remote);
  if (!indexed) pin(session);
  return session;
}

Id Table::binding_towards(const Flow& flow) const {
  const Id pinned = find_pinned(flow);
  return pinned == nobody ? find_binding(flow) : sessions_[pinned].binding;
}

Id Table::session_towards(const Flow& flow) const {
  const Id binding = binding_towards(flow);
  if (binding == nobody) return nobody;
  return session_at({flow.transport, flow.translated, outside(binding), flow.remote});
}

Id Table::binding_at(const Flow& flow) const {
  if (!flow.translated) return find_binding(flow);
  const Id ownership = find_ownership(flow.transport, flow.local.port, owner_key(flow.remote, rules_));
  return ownership == nobody ? nobody : ownerships_[ownership].bindings.front();
}

bool Table::lets_in(Id binding, const Endpoint& remote) const {
  if (filter_open_) return true;
  if (counts_contacts()) return find_contact(binding, filter_key(remote, rules_.filtering).address) != nobody;
  const Binding& b = bindings_[binding];
  const Id session = session_at({b.transport, b.translated, outside(binding), remote});
  return session != nobody && sessions_[session].holds;
}

tl::expected<Id, Rule> Table::enter(Id binding, const Endpoint& remote) {
  if (full()) return tl::unexpected(Rule::table_full);
  const Id session = add_session(binding, remote);
  const Binding& b = bindings_[binding];
  const bool is_by_the_rule = mapping_key(remote, rules_.mapping) == b.key;
  if (b.translated && rules_.reply == Reply::session && !is_by_the_rule &&
      find_pinned({b.transport, true, b.inside, remote}) == nobody)
    pin(session);
  return session;
}

void Table::pass(Id id, Direction direction, std::uint8_t tcp_flags) {
  Session& session = sessions_[id];
  const Transport transport = bindings_[session.binding].transport;
  session.spoken[number(direction)] = true;
  switch (transport) {
    case Transport::udp:
      if (direction == Direction::outbound || refreshes(direction, behaviour_.udp_refresh)) hold(id);
      if (session.deadline == Time{} || refreshes(direction, behaviour_.udp_refresh))
        refresh(id, udp_lifetime(session));
      return;
    case Transport::icmp:
      hold(id);
      if (direction == Direction::outbound) refresh(id, Lifetime::icmp);
      return;
    case Transport::tcp:
      break;
  }
  hold(id);
  const auto before = session.tcp.phase();
  session.tcp.note(direction, tcp_flags);
  if (session.tcp.refused()) return end(id);
  switch (session.tcp.phase()) {
    case TcpConnection::Phase::transitory:
      return refresh(id, Lifetime::tcp_transitory);
    case TcpConnection::Phase::established:
      return refresh(id, Lifetime::tcp_established);
    case TcpConnection::Phase::reset:  // RFC 7857 §2.2: counted from the RST
      if (before != TcpConnection::Phase::reset) refresh(id, Lifetime::tcp_reset);
      return;
  }
}

void Table::take(const Flow& flow) {
  Id id = find_taken(flow.transport, flow.local.port, flow.remote);
  TakenDue& queue = taken_due_[number(flow.transport)];
  if (id == nobody) {
    if (full()) return;
    id = taken_.add({{}, {}, flow.remote, flow.local.port, flow.transport});
    taken_index_.insert(ownership_hash(flow.transport, flow.local.port, flow.remote), id);
  } else {
    queue.remove(taken_, id);
  }
  const auto lifetime = flow.transport == Transport::udp ? Lifetime::udp_unreplied : Lifetime::tcp_transitory;
  taken_[id].deadline = now_ + timeouts_[static_cast<std::size_t>(lifetime)];
  queue.push_back(taken_, id);
}

bool Table::is_taken(const Flow& flow) const {
  return flow.translated && find_taken(flow.transport, flow.local.port, flow.remote) != nobody;
}

Id Table::find_taken(Transport transport, std::uint16_t port, const Endpoint& remote) const {
  if (taken_.size() == 0) return nobody;
  return taken_index_.find(ownership_hash(transport, port, remote), [&](Id id) {
    const Taken& taken = taken_[id];
    return taken.transport == transport && taken.port == port && taken.remote == remote;
  });
}

// Sessions

Id Table::session_at(const Flow& flow) const {
  if (session_index_.size() == 0) return nobody;
  return session_index_.find(flow_hash(flow.transport, flow.local, flow.remote), [&](Id id) {
    const Session& session = sessions_[id];
    const Binding& binding = bindings_[session.binding];
    return session.remote == flow.remote && binding.transport == flow.transport &&
           binding.translated == flow.translated && outside(session.binding) == flow.local;
  });
}

Id Table::find_pinned(const Flow& flow) const {
  if (pinned_index_.size() == 0) return nobody;
  return pinned_index_.find(flow_hash(flow.transport, flow.local, flow.remote), [&](Id id) {
    const Session& session = sessions_[id];
    const Binding& binding = bindings_[session.binding];
    return session.remote == flow.remote && binding.transport == flow.transport &&
           binding.translated == flow.translated && binding.inside == flow.local;
  });
}

std::uint32_t Table::session_hash(const Session& session) const {
  return flow_hash(bindings_[session.binding].transport, outside(session.binding), session.remote);
}

std::uint32_t Table::pinned_hash(const Session& session) const {
  return flow_hash(bindings_[session.binding].transport, bindings_[session.binding].inside, session.remote);
}

/// The caller lets a packet pass on it at once, which gives it its first deadline.
Id Table::add_session(Id binding, const Endpoint& remote) {
  Session session;
  session.binding = binding;
  session.remote = remote;
  const Id id = sessions_.add(session);
  session_index_.insert(session_hash(session), id);
  bindings_[binding].sessions.push(sessions_, id);
  due_[static_cast<std::size_t>(session.lifetime)].push_back(sessions_, id);
  return id;
}

void Table::pin(Id id) {
  sessions_[id].pinned = true;
  pinned_index_.insert(pinned_hash(sessions_[id]), id);
}

void Table::hold(Id id) {
  Session& session = sessions_[id];
  if (session.holds) return;
  session.holds = true;
  ++bindings_[session.binding].holders;
  add_contact(session.binding, session.remote);
}

bool Table::full() const { return sessions_.size() + taken_.size() >= most_entries; }

Lifetime Table::udp_lifetime(const Session& session) const {
  return session.spoken[0] && session.spoken[1] ? Lifetime::udp : Lifetime::udp_unreplied;
}

void Table::refresh(Id id, Lifetime lifetime) {
  Session& session = sessions_[id];
  due_[static_cast<std::size_t>(session.lifetime)].remove(sessions_, id);
  session.lifetime = lifetime;
  session.deadline = now_ + timeouts_[static_cast<std::size_t>(lifetime)];
  due_[static_cast<std::size_t>(lifetime)].push_back(sessions_, id);
}

/// Ends a session, and its binding with the last one that held it.
void Table::end(Id id) {
  const Id binding = sessions_[id].binding;
  remove(id);
  if (bindings_[binding].holders == 0) unbind(binding);
}

void Table::remove(Id id) {
  const Session session = sessions_[id];
  Binding& binding = bindings_[session.binding];
  if (session.pinned) pinned_index_.erase(pinned_hash(session), id);
  if (session.holds) {
    --binding.holders;
    remove_contact(session.binding, session.remote);
  }
  session_index_.erase(session_hash(session), id);
  binding.sessions.remove(sessions_, id);
  due_[static_cast<std::size_t>(session.lifetime)].remove(sessions_, id);
  sessions_.remove(id);
}

// Contacts: what a filter remembers

Id Table::find_contact(Id binding, const Address& address) const {
  return contact_index_.find(contact_hash(binding, address), [&](Id id) {
    return contacts_[id].binding == binding && contacts_[id].address == address;
  });
}

void Table::add_contact(Id binding, const Endpoint& remote) {
  if (!counts_contacts()) return;
  const Address address = filter_key(remote, rules_.filtering).address;
  Id id = find_contact(binding, address);
  if (id == nobody) {
    id = contacts_.add({address, binding, 0});
    contact_index_.insert(contact_hash(binding, address), id);
  }
  ++contacts_[id].sessions;
}

void Table::remove_contact(Id binding, const Endpoint& remote) {
  if (!counts_contacts()) return;
  const Address address = filter_key(remote, rules_.filtering).address;
  const Id id = find_contact(binding, address);
  if (--contacts_[id].sessions > 0) return;
  contact_index_.erase(contact_hash(binding, address), id);
  contacts_.remove(id);
}

// Bindings

Endpoint Table::outside(Id id) const {
  const Binding& binding = bindings_[id];
  return binding.translated ? Endpoint{outside_, binding.port} : binding.inside;
}

Endpoint Table::binding_key(const Flow& flow) const {
  return flow.translated ? mapping_key(flow.remote, rules_.mapping) : Endpoint{};
}

std::uint32_t Table::binding_hash(const Binding& binding) const {
  return flow_hash(binding.transport, binding.inside, binding.key);
}

Id Table::find_binding(const Flow& flow) const {
  const Endpoint key = binding_key(flow);
  return binding_index_.find(flow_hash(flow.transport, flow.local, key), [&](Id id) {
    const Binding& binding = bindings_[id];
    return binding.inside == flow.local && binding.key == key && binding.transport == flow.transport &&
           binding.translated == flow.translated;
  });
}

Id Table::bind(const Flow& flow, std::uint16_t port, bool indexed) {
  Binding binding;
  binding.inside = flow.local;
  binding.key = indexed ? binding_key(flow) : flow.remote;
  binding.port = port;
  binding.transport = flow.transport;
  binding.translated = flow.translated;
  binding.indexed = indexed;
  const Id id = bindings_.add(binding);
  if (indexed) binding_index_.insert(binding_hash(binding), id);
  if (flow.translated) own(id);
  ++bindings_created_;
  return id;
}

/// Also ends the sessions that were let in but did not hold the binding.
void Table::unbind(Id id) {
  Binding& binding = bindings_[id];
  while (binding.sessions.front() != nobody) remove(binding.sessions.front());
  if (binding.indexed) binding_index_.erase(binding_hash(binding), id);
  if (binding.translated) disown(id);
  bindings_.remove(id);
}

// Outside ports

Id Table::find_ownership(Transport transport, std::uint16_t port, const Endpoint& key) const {
  return ownership_index_.find(ownership_hash(transport, port, key), [&](Id id) {
    const Ownership& o = ownerships_[id];
    return o.transport == transport && o.port == port && o.key == key;
  });
}

bool Table::is_port_in_use(const Flow& flow) const {
  return flow.translated && find_port_use(flow.transport, flow.local.port) != nobody;
}

Id Table::find_port_use(Transport transport, std::uint16_t port) const {
  return port_use_index_.find(ownership_hash(transport, port, {}), [&](Id id) {
    return port_uses_[id].transport == transport && port_uses_[id].port == port;
  });
}

/// Ports that have one owner towards everybody need no counting: their ownership says it.
void Table::count_port(Transport transport, std::uint16_t port, int change) {
  if (owner_key(anybody, rules_) == Endpoint{}) return;
  Id id = find_port_use(transport, port);
  if (id == nobody) {
    id = port_uses_.add({port, transport, 0});
    port_use_index_.insert(ownership_hash(transport, port, {}), id);
  }
  if (port_uses_[id].ownerships += change) return;
  port_use_index_.erase(ownership_hash(transport, port, {}), id);
  port_uses_.remove(id);
}

void Table::own(Id id) {
  const Binding& binding = bindings_[id];
  const Endpoint key = owner_key(binding.key, rules_);
  Id ownership = find_ownership(binding.transport, binding.port, key);
  if (ownership == nobody) {
    ownership = ownerships_.add({key, binding.port, binding.transport, {}});
    ownership_index_.insert(ownership_hash(binding.transport, binding.port, key), ownership);
    count_port(binding.transport, binding.port, +1);
  }
  ownerships_[ownership].bindings.push(bindings_, id);
}

void Table::disown(Id id) {
  const Binding& binding = bindings_[id];
  const Endpoint key = owner_key(binding.key, rules_);
  const Id ownership = find_ownership(binding.transport, binding.port, key);
  ownerships_[ownership].bindings.remove(bindings_, id);
  if (ownerships_[ownership].bindings.front() != nobody) return;
  ownership_index_.erase(ownership_hash(binding.transport, binding.port, key), ownership);
  count_port(binding.transport, binding.port, -1);
  ownerships_.remove(ownership);
  exhausted_.reset();
}

}  // namespace flaresim::nat
