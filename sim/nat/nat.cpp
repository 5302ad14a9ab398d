#include "sim/nat/nat.h"

#include <algorithm>
#include <utility>

#include "sim/nat/answer.h"
#include "sim/nat/fragments.h"
#include "sim/nat/late.h"
#include "sim/nat/packet.h"
#include "sim/nat/table.h"

namespace flaresim::nat {

namespace {

constexpr std::size_t most_outside_addresses = 256;

Verdict drop(Rule rule) { return {.forward = false, .rule = rule}; }
Verdict forward() { return {.forward = true}; }
Verdict answer(Rule rule, std::vector<std::uint8_t> bytes) {
  return {.forward = false, .rule = rule, .answer = std::move(bytes)};
}

constexpr std::size_t number(Transport transport) { return static_cast<std::size_t>(transport); }

}  // namespace

/// The path of a packet through the NAT: what it is, what the table says about it, how it is rewritten or
/// answered.
class Nat::Box {
 public:
  Box(const Behaviour& behaviour, std::span<const Address> outside, std::uint64_t seed)
      : outside_(outside.begin(), outside.begin() + std::min(outside.size(), most_outside_addresses)),
        subscribers_(behaviour, outside_.size()),
        seed_(seed),
        ipv4_(behaviour, behaviour.translate == Translate::on && !outside_.empty(),
              behaviour.translate != Translate::on),
        ipv6_(ipv6_side(behaviour), false,
              behaviour.translate == Translate::off || behaviour.ipv6.transparent) {}

  /// What both directions have in common: the checks before and the counting after.
  Verdict handle(std::span<std::uint8_t> bytes, Time now, Direction direction);
  void advance(Time now);
  std::size_t size() const;

  std::vector<Address> outside_;
  Counters counters_;
  LateAnswers late_;
  Subscribers subscribers_;

 private:
  /// What is done with one version of IP. Transports share nothing: a port of one says nothing about the
  /// other's.
  struct Side {
    Side(const Behaviour& rules, bool translates, bool opens)
        : behaviour(rules), translated(translates), may_open(opens) {
      const auto is_open = [](const TransportRules& r) {
        return r.filtering == Filtering::endpoint_independent && !r.blocked && r.allowed_ports.empty();
      };
      open = may_open && behaviour.translate == Translate::off && is_open(rules.udp) && is_open(rules.tcp) &&
             is_open(rules.icmp) && !behaviour.captive;
    }
    const TransportRules& rules(Transport transport) const {
      if (transport == Transport::udp) return behaviour.udp;
      return transport == Transport::tcp ? behaviour.tcp : behaviour.icmp;
    }
    /// No table: everything passes both ways.
    bool is_open(Transport transport) const {
      return may_open && rules(transport).filtering == Filtering::endpoint_independent;
    }

    const Behaviour behaviour;
    const bool translated;
    const bool may_open;                                    // an endpoint-independent filter needs no contact
    bool open = false;                                      // everything passes, whatever it is
    std::array<std::unique_ptr<Table>, transports> tables;  // made when needed
  };

 public:
  Table& table(Transport transport, bool ipv6 = false);
  const Side& ipv4() const { return ipv4_; }

 private:
  Side& side(const Packet& packet) { return packet.ipv6 ? ipv6_ : ipv4_; }
  Table& table(const Packet& packet, const Segment& segment) { return table(segment.transport, packet.ipv6); }
  const TransportRules& rules(const Packet& packet, const Segment& segment) {
    return side(packet).rules(segment.transport);
  }

  Verdict decide(const Packet& packet, Direction direction);
  Verdict with_fragments(const Packet& packet, Direction direction);
  Verdict later_fragment(const Packet& packet, Direction direction);
  Verdict expired(const Packet& packet);
  Verdict captive(const Packet& packet, Direction direction);
  Verdict outbound(const Packet& packet, const Segment& segment);
  Verdict without_session(const Packet& packet, const Segment& segment, const Endpoint& inside,
                          const Endpoint& remote);
  Verdict stray(const Packet& packet, const Segment& segment);
  Verdict to_ourselves(const Packet& packet, const Segment& segment);
  Verdict inbound(const Packet& packet, const Segment& segment);
  Verdict outbound_error(const Packet& packet, const Segment& segment);
  Verdict inbound_error(const Packet& packet, const Segment& segment);
  Verdict let_in(const Packet& packet, const Segment& segment, const Endpoint& local, const Endpoint& remote);
  Verdict send(const Packet& packet, const Segment& segment, const Endpoint& outside);
  Verdict deliver(const Packet& packet, const Segment& segment, const Endpoint& inside);
  Verdict echo(const Packet& packet, const Segment& segment);
  Verdict unsolicited(const Packet& packet, const Segment& segment, Rule rule);
  bool is_denied(const Packet& packet, const Segment& segment, Direction direction);

  /// One of the addresses that only the NAT has.
  bool is_own(const Packet& packet, const Address& address) const {
    return !packet.ipv6 && ipv4_.behaviour.translate != Translate::off &&
           std::find(outside_.begin(), outside_.end(), address) != outside_.end();
  }
  bool is_rewritten(const Packet& packet) const {
    return !packet.ipv6 && ipv4_.behaviour.translate != Translate::off;
  }
  /// 1:1 translation, where it is on: the outside endpoint of an inside one, and back; nothing when there is none.
  bool is_fixed(const Packet& packet) const {
    return !packet.ipv6 && ipv4_.behaviour.translate == Translate::fixed;
  }
  std::optional<Endpoint> outer(const Packet& packet, const Endpoint& inside);
  std::optional<Endpoint> inner(const Packet& packet, const Endpoint& outside) const;
  Endpoint deny_key(const Endpoint& remote) const {
    return ipv4_.behaviour.deny_key == DenyKey::address ? Endpoint{remote.address, 0} : remote;
  }

  const std::uint64_t seed_;
  Side ipv4_;
  Side ipv6_;
  std::vector<Address> fixed_;  // the inside hosts, by the number of their outside address
  FragmentStore fragments_;
  DenyList denied_;
  Time now_{};
};

Table& Nat::Box::table(Transport transport, bool ipv6) {
  Side& side = ipv6 ? ipv6_ : ipv4_;
  auto& table = side.tables[number(transport)];
  if (!table) {
    table = std::make_unique<Table>(side.behaviour, side.rules(transport), transport, side.translated,
                                    outside_, subscribers_, seed_ + number(transport) * 2 + ipv6);
    table->advance(now_);
  }
  return *table;
}

void Nat::Box::advance(Time now) {
  now_ = std::max(now_, now);
  for (Side* side : {&ipv4_, &ipv6_})
    for (const auto& table : side->tables)
      if (table) table->advance(now_);
  fragments_.advance(now_);
  denied_.advance(now_);
}

std::size_t Nat::Box::size() const {
  std::size_t size = 0;
  for (const Side* side : {&ipv4_, &ipv6_})
    for (const auto& table : side->tables)
      if (table) size += table->size();
  return size;
}

Verdict Nat::Box::handle(std::span<std::uint8_t> bytes, Time now, Direction direction) {
  advance(now);
  const auto packet = parse_packet(bytes);
  Verdict verdict = packet ? with_fragments(*packet, direction) : drop(packet.error());
  if (verdict.forward) decrement_hop_limit(*packet);
  ++(verdict.forward ? counters_.translated : counters_.dropped);
  counters_.answered += !verdict.answer.empty();
  counters_.mappings_created = subscribers_.mappings_created;
  return verdict;
}

// Before any table

Verdict Nat::Box::decide(const Packet& packet, Direction direction) {
  Side& here = side(packet);
  const bool to_us = is_own(packet, packet.destination);
  if (packet.hop_limit() <= 1 && !(to_us && direction == Direction::outbound)) return expired(packet);
  if (here.open) return forward();
  if (here.behaviour.captive) return captive(packet, direction);
  if (direction == Direction::inbound && is_rewritten(packet) && !to_us) return drop(Rule::no_mapping);
  const auto segment = parse_segment(packet, false);
  if (!segment) return drop(segment.error());
  if (segment->kind != Segment::Kind::icmp_error && rules(packet, *segment).blocked)
    return drop(Rule::blocked);
  if (is_denied(packet, *segment, direction)) return drop(Rule::denied);
  if (direction == Direction::inbound) return inbound(packet, *segment);
  return to_us ? to_ourselves(packet, *segment) : outbound(packet, *segment);
}

/// The answer comes from an address that we know to be ours. What translates nothing, as a firewall or over IPv6, has
/// none: it stays silent. RFC 1122 §3.2.2: none about an ICMP error or a fragment that is not the first.
Verdict Nat::Box::expired(const Packet& packet) {
  const auto segment = parse_segment(packet, false);
  const bool is_error = segment && segment->kind == Segment::Kind::icmp_error;
  const bool answers = ipv4_.behaviour.ttl_expired && is_rewritten(packet) && !outside_.empty() &&
                       !is_error && !packet.later_fragment;
  return answers ? answer(Rule::ttl_expired, time_exceeded(packet, outside_.front()))
                 : drop(Rule::ttl_expired);
}

Verdict Nat::Box::captive(const Packet& packet, Direction direction) {
  const auto segment = parse_segment(packet, false);
  if (!segment) return drop(segment.error());
  const bool to_portal = direction == Direction::outbound && segment->kind == Segment::Kind::tcp &&
                         (segment->destination_port == 80 || segment->destination_port == 443);
  return to_portal ? answer(Rule::captive, accept_and_close(packet, *segment)) : drop(Rule::captive);
}

bool Nat::Box::is_denied(const Packet& packet, const Segment& segment, Direction direction) {
  const Endpoint remote = direction == Direction::outbound
                              ? Endpoint{packet.destination, segment.destination_port}
                              : Endpoint{packet.source, segment.source_port};
  if (!denied_.has(deny_key(remote))) return false;
  if (direction == Direction::inbound)
    denied_.add(deny_key(remote), now_ + std::chrono::round<Time>(ipv4_.behaviour.deny_list));
  return true;
}

// Fragments

Verdict Nat::Box::with_fragments(const Packet& packet, Direction direction) {
  if (!packet.fragment || side(packet).open) return decide(packet, direction);
  if (side(packet).behaviour.fragments == Fragments::drop) return drop(Rule::fragment);
  if (packet.later_fragment) return later_fragment(packet, direction);
  const auto key = FragmentStore::key_of(packet, direction);
  Verdict verdict = decide(packet, direction);
  if (!verdict.forward) return verdict;
  const auto rewritten = parse_packet(packet.bytes);
  const FragmentStore::Fate fate{rewritten->source, rewritten->destination};
  verdict.released = fragments_.settle(key, fate, now_);
  for (auto& bytes : verdict.released) {
    const auto fragment = parse_packet(bytes);
    rewrite_addresses(*fragment, fate.source, fate.destination);
    decrement_hop_limit(*fragment);
  }
  return verdict;
}

Verdict Nat::Box::later_fragment(const Packet& packet, Direction direction) {
  if (packet.hop_limit() <= 1) return expired(packet);
  const auto key = FragmentStore::key_of(packet, direction);
  if (const auto* fate = fragments_.find(key)) {
    rewrite_addresses(packet, fate->source, fate->destination);
    return forward();
  }
  if (side(packet).behaviour.fragments == Fragments::order_free && packet.bytes.size() == packet.length)
    fragments_.keep(key, packet.bytes, now_);
  return drop(Rule::fragment);
}

// Inside to outside

Verdict Nat::Box::outbound(const Packet& packet, const Segment& segment) {
  if (segment.kind == Segment::Kind::icmp_error) return outbound_error(packet, segment);
  const Endpoint inside{packet.source, segment.source_port};
  const Endpoint remote{packet.destination, segment.destination_port};
  if (side(packet).is_open(segment.transport)) {
    const auto& allowed = rules(packet, segment).allowed_ports;
    const bool opens = segment.kind != Segment::Kind::tcp || is_opening(segment.tcp.flags);
    if (opens && !allowed.empty() && !std::binary_search(allowed.begin(), allowed.end(), remote.port))
      return drop(Rule::blocked);
    const auto outside = outer(packet, inside);
    return outside ? send(packet, segment, *outside) : drop(Rule::no_port);
  }
  if (segment.kind == Segment::Kind::echo_reply) return drop(Rule::out_of_state);  // no request is let in
  Table& here = table(packet, segment);
  Id id = here.session_from(inside, remote);
  if (id != nobody && segment.kind == Segment::Kind::tcp) {
    const TcpStep step = here.step(id, Direction::outbound, segment.tcp);
    if (step == TcpStep::invalid) return stray(packet, segment);
    if (step == TcpStep::reopens) here.close(std::exchange(id, nobody));
  }
  if (id == nobody) return without_session(packet, segment, inside, remote);
  const Session& session = here.session(id);
  if (is_syn_ack(segment.tcp.flags) && session.tcp.opened_by_us() &&
      !side(packet).behaviour.syn_ack_after_syn)
    return drop(Rule::syn_ack);
  const auto outside = outer(packet, here.outside(session));
  here.pass(id, Direction::outbound, segment.tcp);
  return outside ? send(packet, segment, *outside) : drop(Rule::no_port);
}

/// A connection begins with a SYN; a SYN with ACK is the fresh answer to one that came in by another mapping.
Verdict Nat::Box::without_session(const Packet& packet, const Segment& segment, const Endpoint& inside,
                                  const Endpoint& remote) {
  using namespace tcp_flag;
  const auto& allowed = rules(packet, segment).allowed_ports;
  if (!allowed.empty() && !std::binary_search(allowed.begin(), allowed.end(), remote.port))
    return drop(Rule::blocked);
  const Behaviour& behaviour = side(packet).behaviour;
  const std::uint8_t decisive =
      behaviour.tcp_tracking == TcpTracking::rfc ? syn | rst : syn | rst | ack | fin;
  const bool opens = segment.kind != Segment::Kind::tcp || (segment.tcp.flags & decisive) == syn;
  const bool picks_up =
      behaviour.out_of_state == OutOfState::pick_up || behaviour.out_of_state == OutOfState::leak;
  const bool is_picked_up = !opens && picks_up && (segment.tcp.flags & (syn | ack | fin | rst)) == ack;
  if (!opens && !is_picked_up) return stray(packet, segment);
  Table& here = table(packet, segment);
  const auto id = here.leave(inside, remote);
  if (!id) return drop(id.error());
  if (is_picked_up) here.pick_up(*id);
  const auto outside = outer(packet, here.outside(here.session(*id)));
  here.pass(*id, Direction::outbound, segment.tcp);
  if (!outside) return drop(Rule::no_port);
  late_.cancel({*outside, remote});
  return send(packet, segment, *outside);
}

/// TCP from inside that fits no connection.
Verdict Nat::Box::stray(const Packet& packet, const Segment& segment) {
  switch (side(packet).behaviour.out_of_state) {
    case OutOfState::leak:
      return forward();
    case OutOfState::reset:
      return answer(Rule::out_of_state, reset(packet, segment));
    case OutOfState::drop:
    case OutOfState::pick_up:
      break;
  }
  return drop(Rule::out_of_state);
}

/// RFC 5508 REQ-5: an error from inside about a packet that was let in.
Verdict Nat::Box::outbound_error(const Packet& packet, const Segment& segment) {
  if (!side(packet).behaviour.icmp_errors) return drop(Rule::icmp_error);
  const auto quoted = parse_quoted(packet);
  if (!quoted) return drop(quoted.error());
  const auto about = parse_segment(*quoted, true);
  if (!about) return drop(about.error());
  const Endpoint remote{quoted->source, about->source_port};
  const Endpoint inside{quoted->destination, about->destination_port};
  std::optional<Endpoint> outside = inside;
  if (!side(packet).is_open(about->transport)) {
    const auto seen = table(packet, *about).seen_by(inside, remote);
    if (!seen)
      return side(packet).behaviour.out_of_state == OutOfState::leak ? forward() : drop(seen.error());
    outside = *seen;
  }
  outside = outer(packet, *outside);
  if (!outside) return drop(Rule::no_mapping);
  if (is_rewritten(packet)) {
    const QuoteGuard guard(packet, *quoted);
    rewrite_destination(*quoted, *about, *outside);
  }
  return send(packet, segment, *outside);
}

/// Hairpinning (RFC 4787 §6): out by one mapping and in by another, as if it had been outside meanwhile.
Verdict Nat::Box::to_ourselves(const Packet& packet, const Segment& segment) {
  const bool is_ping = segment.kind == Segment::Kind::echo_request && !is_fixed(packet);
  const Hairpin mode = rules(packet, segment).hairpin;
  // The inside may ping the router wherever the router talks to the inside at all.
  if (is_ping)
    return ipv4_.behaviour.echo || mode != Hairpin::off ? answer(Rule::echo, echo_reply(packet))
                                                        : drop(Rule::echo);
  if (mode == Hairpin::off) return drop(Rule::hairpin);
  if (mode != Hairpin::refuse && packet.hop_limit() <= 1) return expired(packet);
  if (mode == Hairpin::refuse) {
    if (segment.kind == Segment::Kind::icmp_error) return drop(Rule::hairpin);
    const bool is_tcp = segment.kind == Segment::Kind::tcp;
    return answer(Rule::hairpin, is_tcp ? reset(packet, segment) : unreachable(packet, Unreachable::port));
  }
  const Verdict out = outbound(packet, segment);
  if (!out.forward) return out;
  const auto outside = parse_packet(packet.bytes);
  const auto from_outside = parse_segment(*outside, false);
  Verdict in = inbound(*outside, *from_outside);
  in.answer.clear();  // it would be for our own outside address
  if (in.forward && mode == Hairpin::internal && segment.kind != Segment::Kind::icmp_error)
    rewrite_source(packet, segment, {packet.source, segment.source_port});
  return in;
}

Verdict Nat::Box::send(const Packet& packet, const Segment& segment, const Endpoint& outside) {
  if (is_rewritten(packet)) rewrite_source(packet, segment, outside);
  return forward();
}

// Outside to inside

Verdict Nat::Box::inbound(const Packet& packet, const Segment& segment) {
  if (segment.kind == Segment::Kind::icmp_error) return inbound_error(packet, segment);
  const Endpoint remote{packet.source, segment.source_port};
  const auto local = inner(packet, {packet.destination, segment.destination_port});
  if (!local)
    return segment.kind == Segment::Kind::echo_request ? echo(packet, segment) : drop(Rule::no_mapping);
  if (side(packet).is_open(segment.transport)) return deliver(packet, segment, *local);
  if (segment.kind == Segment::Kind::echo_request)
    return side(packet).translated ? echo(packet, segment) : drop(Rule::no_mapping);
  Table& here = table(packet, segment);
  Id id = here.session_at(*local, remote);
  if (id != nobody && segment.kind == Segment::Kind::tcp && !here.session(id).router) {
    const TcpStep step = here.step(id, Direction::inbound, segment.tcp);
    if (step == TcpStep::invalid) return unsolicited(packet, segment, Rule::out_of_state);
    if (step == TcpStep::reopens) here.close(std::exchange(id, nobody));
  }
  if (id == nobody) return let_in(packet, segment, *local, remote);
  const Session& session = here.session(id);
  if (session.router) return unsolicited(packet, segment, Rule::committed);
  if (!session.holds) {  // a guest of its binding, as long as the filter says so
    const auto behind = here.behind(*local, remote);
    if (!behind || !behind->lets_in || behind->inside != session.inside)
      return unsolicited(packet, segment, Rule::filtered);
  }
  if (is_opening(segment.tcp.flags) && session.tcp.awaits_answer() &&
      !side(packet).behaviour.simultaneous_open)
    return unsolicited(packet, segment, Rule::simultaneous_open);
  const Endpoint inside = session.inside;
  here.pass(id, Direction::inbound, segment.tcp);
  return deliver(packet, segment, inside);
}

/// A packet on no session: the filter decides, and whether it opens one depends on who will need it.
Verdict Nat::Box::let_in(const Packet& packet, const Segment& segment, const Endpoint& local,
                         const Endpoint& remote) {
  Table& here = table(packet, segment);
  const auto behind = here.behind(local, remote);
  if (!behind)
    return unsolicited(packet, segment, here.is_port_in_use(local) ? Rule::filtered : Rule::no_mapping);
  if (!behind->lets_in) return unsolicited(packet, segment, Rule::filtered);
  const bool is_tcp = segment.kind == Segment::Kind::tcp;
  if (is_tcp && !is_opening(segment.tcp.flags)) return unsolicited(packet, segment, Rule::out_of_state);
  const bool is_forward = behind->binding == nobody;
  const bool is_udp_session = segment.kind == Segment::Kind::udp &&
                              (rules(packet, segment).reply == Reply::session ||
                               refreshes(Direction::inbound, side(packet).behaviour.udp_refresh));
  if (is_tcp || is_udp_session || is_forward) {
    const auto session = here.enter(*behind, local, remote);
    if (!session) return drop(session.error());
    here.pass(*session, Direction::inbound, segment.tcp);
  }
  return deliver(packet, segment, behind->inside);
}

Verdict Nat::Box::deliver(const Packet& packet, const Segment& segment, const Endpoint& inside) {
  if (is_rewritten(packet)) rewrite_destination(packet, segment, inside);
  return forward();
}

/// RFC 5508 REQ-4: an error from outside about a packet of ours, from the remote or any router on the way. It
/// neither refreshes nor ends anything (REQ-6).
Verdict Nat::Box::inbound_error(const Packet& packet, const Segment& segment) {
  if (!side(packet).behaviour.icmp_errors) return drop(Rule::icmp_error);
  const auto quoted = parse_quoted(packet);
  if (!quoted) return drop(quoted.error());
  const auto about = parse_segment(*quoted, true);
  if (!about) return drop(about.error());
  auto inside = inner(packet, {quoted->source, about->source_port});
  if (!inside) return drop(Rule::no_mapping);
  if (!side(packet).is_open(about->transport)) {
    Table& here = table(packet, *about);
    const Id id = here.session_at(*inside, {quoted->destination, about->destination_port});
    if (id == nobody || here.session(id).router) return drop(Rule::no_mapping);
    inside = here.session(id).inside;
  }
  if (is_rewritten(packet)) {
    const QuoteGuard guard(packet, *quoted);
    rewrite_source(*quoted, *about, *inside);
  }
  return deliver(packet, segment, *inside);
}

// What the router does itself

Verdict Nat::Box::echo(const Packet& packet, const Segment& segment) {
  return ipv4_.behaviour.echo ? answer(Rule::echo, echo_reply(packet))
                              : unsolicited(packet, segment, Rule::echo);
}

/// Nobody asked for this packet. `rule` says why it is not let in; it is answered as the behaviour says.
Verdict Nat::Box::unsolicited(const Packet& packet, const Segment& segment, Rule rule) {
  if (segment.transport == Transport::icmp)  // Linux rejects echoes as it rejects datagrams
    return rules(packet, segment).unsolicited == Unsolicited::icmp_port
               ? answer(rule, unreachable(packet, Unreachable::port))
               : drop(rule);
  const Behaviour& behaviour = side(packet).behaviour;
  const Endpoint outside{packet.destination, segment.destination_port};
  const Endpoint remote{packet.source, segment.source_port};
  if (ipv4_.behaviour.deny_list > Seconds{})
    denied_.add(deny_key(remote), now_ + std::chrono::round<Time>(ipv4_.behaviour.deny_list));
  const bool is_tcp = segment.kind == Segment::Kind::tcp;
  const bool opens = !is_tcp || is_opening(segment.tcp.flags);
  // IPv6 and untranslated packets are addressed to the host behind, so the router itself never gets them.
  const bool is_ours = side(packet).translated;
  switch (rules(packet, segment).unsolicited) {
    case Unsolicited::drop:
      return drop(rule);
    case Unsolicited::icmp:
      return answer(rule, unreachable(packet, Unreachable::prohibited));
    case Unsolicited::icmp_port:
      return answer(rule, unreachable(packet, Unreachable::port));
    case Unsolicited::delayed_icmp:  // RFC 5382 REQ-4: port unreachable; RFC 6092 REC-34: prohibited
      if (is_tcp && opens && !is_own(packet, packet.source))
        late_.add({outside, remote},
                  unreachable(packet, packet.ipv6 ? Unreachable::prohibited : Unreachable::port),
                  now_ + std::chrono::round<Time>(behaviour.unsolicited_delay));
      return drop(rule);
    case Unsolicited::reset:
      if (!is_tcp) return drop(rule);
      return answer(rule, reset(packet, segment));
    case Unsolicited::accept:
      if (!is_ours) return drop(rule);
      if (opens) table(packet, segment).take(outside, remote);
      return is_tcp ? answer(Rule::accepted, accept_and_close(packet, segment)) : drop(Rule::accepted);
    case Unsolicited::commit_state:
      if (!is_ours || !opens) return drop(rule);
      table(packet, segment).take(outside, remote);
      return is_tcp ? drop(Rule::committed) : answer(Rule::committed, unreachable(packet, Unreachable::port));
  }
  return drop(rule);
}

// 1:1

std::optional<Endpoint> Nat::Box::outer(const Packet& packet, const Endpoint& inside) {
  if (!is_fixed(packet)) return inside;
  const auto found = std::find(fixed_.begin(), fixed_.end(), inside.address);
  const auto place = static_cast<std::size_t>(found - fixed_.begin());
  if (place >= outside_.size()) return {};
  if (found == fixed_.end()) fixed_.push_back(inside.address);
  return Endpoint{outside_[place], inside.port};
}

std::optional<Endpoint> Nat::Box::inner(const Packet& packet, const Endpoint& outside) const {
  if (!is_fixed(packet)) return outside;
  const auto found = std::find(outside_.begin(), outside_.end(), outside.address);
  const auto place = static_cast<std::size_t>(found - outside_.begin());
  if (place >= fixed_.size()) return {};
  return Endpoint{fixed_[place], outside.port};
}

// Names

std::string_view to_string(Rule rule) {
  switch (rule) {
    case Rule::passed:
      return "passed";
    case Rule::no_mapping:
      return "no_mapping";
    case Rule::filtered:
      return "filtered";
    case Rule::out_of_state:
      return "out_of_state";
    case Rule::simultaneous_open:
      return "simultaneous_open";
    case Rule::syn_ack:
      return "syn_ack";
    case Rule::committed:
      return "committed";
    case Rule::accepted:
      return "accepted";
    case Rule::blocked:
      return "blocked";
    case Rule::captive:
      return "captive";
    case Rule::denied:
      return "denied";
    case Rule::no_port:
      return "no_port";
    case Rule::table_full:
      return "table_full";
    case Rule::hairpin:
      return "hairpin";
    case Rule::echo:
      return "echo";
    case Rule::icmp_error:
      return "icmp_error";
    case Rule::fragment:
      return "fragment";
    case Rule::malformed:
      return "malformed";
    case Rule::unsupported:
      return "unsupported";
    case Rule::ttl_expired:
      return "ttl_expired";
  }
  return "unknown";
}

Nat::Nat(const Behaviour& behaviour, std::span<const Address> outside, std::uint64_t seed)
    : box_(std::make_unique<Box>(behaviour, outside, seed)) {}
Nat::Nat(const Behaviour& behaviour, const Address& outside, std::uint64_t seed)
    : Nat(behaviour, std::span(&outside, 1), seed) {}
Nat::~Nat() = default;

Verdict Nat::outbound(std::span<std::uint8_t> packet, Time now) {
  return box_->handle(packet, now, Direction::outbound);
}

Verdict Nat::inbound(std::span<std::uint8_t> packet, Time now) {
  return box_->handle(packet, now, Direction::inbound);
}

std::optional<Time> Nat::due() const { return box_->late_.due(); }

std::vector<std::vector<std::uint8_t>> Nat::emit(Time now) {
  box_->advance(now);
  return box_->late_.take(now);
}

std::error_code Nat::open_forward(const Forward& forward, Time now) {
  box_->advance(now);
  const auto& mapped = forward.inside.address;
  const bool is_ipv4 =
      std::all_of(mapped.begin(), mapped.begin() + 10, [](auto byte) { return byte == 0; }) &&
      mapped[10] == 0xff && mapped[11] == 0xff;
  if (forward.transport == Transport::icmp || !is_ipv4 || forward.outside_port == 0 ||
      forward.inside.port == 0 || !box_->ipv4().translated)
    return make_error_code(std::errc::invalid_argument);
  return box_->table(forward.transport).open_forward(forward.outside_port, forward.inside);
}

std::error_code Nat::close_forward(Transport transport, std::uint16_t outside_port) {
  if (transport == Transport::icmp || !box_->ipv4().translated)
    return make_error_code(std::errc::invalid_argument);
  return box_->table(transport).close_forward(outside_port);
}

std::vector<Forward> Nat::forwards() const {
  std::vector<Forward> all;
  for (const Transport transport : {Transport::udp, Transport::tcp})
    for (const auto& [port, inside] : box_->table(transport).forwards())
      all.push_back({transport, port, inside});
  return all;
}

const Behaviour& Nat::behaviour() const { return box_->ipv4().behaviour; }

const Counters& Nat::counters() const { return box_->counters_; }

std::size_t Nat::size(Time now) {
  box_->advance(now);
  return box_->size();
}

}  // namespace flaresim::nat
