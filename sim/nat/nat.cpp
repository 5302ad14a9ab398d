#include "sim/nat/nat.h"

#include <utility>

#include "sim/nat/answer.h"
#include "sim/nat/packet.h"
#include "sim/nat/table.h"

namespace flaresim::nat {

namespace {

Verdict drop(Rule rule) { return {false, rule, {}}; }
Verdict forward() { return {true, Rule::passed, {}}; }

}  // namespace

/// The path of a packet through the NAT: what it is, what the table says about it, how it is rewritten or
/// answered.
class Nat::Box {
 public:
  Box(const Behaviour& behaviour, const Address& outside, std::uint64_t seed)
      : behaviour_(behaviour),
        outside_(outside),
        udp_and_icmp_(behaviour, behaviour.udp, outside, seed),
        tcp_(behaviour, behaviour.tcp, outside, ~seed) {}

  /// What both directions have in common: the checks before and the counting after.
  Verdict handle(std::span<std::uint8_t> bytes, Time now, Direction direction);

  const Behaviour behaviour_;
  const Address outside_;
  Counters counters_;
  Table udp_and_icmp_;
  Table tcp_;

 private:
  /// Transports share nothing: a port of one says nothing about the other's.
  Table& table(const Flow& flow) { return flow.transport == Transport::tcp ? tcp_ : udp_and_icmp_; }
  Verdict decide(const Packet& packet, Direction direction);
  Verdict outbound(const Packet& packet, const Segment& segment);
  Verdict inbound(const Packet& packet, const Segment& segment);
  Verdict outbound_error(const Packet& packet, const Segment& segment);
  Verdict inbound_error(const Packet& packet, const Segment& segment);
  Verdict let_in(const Packet& packet, const Segment& segment, const Flow& flow);
  Verdict deliver(const Packet& packet, const Segment& segment, const Endpoint& inside);
  Verdict unsolicited(const Packet& packet, const Segment& segment, const Flow& flow, Rule rule);

  bool is_translated(const Packet& packet) const {
    return behaviour_.translate == Translate::on && !packet.ipv6;
  }
  /// No firewall at all: see Behaviour::translates.
  bool is_open() const {
    return behaviour_.translate == Translate::off &&
           behaviour_.udp.filtering == Filtering::endpoint_independent;
  }
};

Verdict Nat::Box::handle(std::span<std::uint8_t> bytes, Time now, Direction direction) {
  udp_and_icmp_.advance(now);
  tcp_.advance(now);
  const auto packet = parse_packet(bytes);
  Verdict verdict = packet ? decide(*packet, direction) : drop(packet.error());
  if (verdict.forward) decrement_hop_limit(*packet);
  ++(verdict.forward ? counters_.translated : counters_.dropped);
  counters_.answered += !verdict.answer.empty();
  counters_.mappings_created = udp_and_icmp_.bindings_created() + tcp_.bindings_created();
  return verdict;
}

Verdict Nat::Box::decide(const Packet& packet, Direction direction) {
  if (packet.hop_limit() <= 1) return drop(Rule::ttl_expired);
  if (behaviour_.udp.blocked && packet.protocol == protocol::udp) return drop(Rule::udp_blocked);
  if (is_open()) return forward();
  if (is_translated(packet)) {
    const bool to_us = packet.destination == outside_;
    if (direction == Direction::outbound && to_us) return drop(Rule::hairpin);
    if (direction == Direction::inbound && !to_us) return drop(Rule::no_mapping);
  }
  const auto segment = parse_segment(packet, false);
  if (!segment) return drop(segment.error());
  return direction == Direction::outbound ? outbound(packet, *segment) : inbound(packet, *segment);
}

// Inside to outside

Verdict Nat::Box::outbound(const Packet& packet, const Segment& segment) {
  if (segment.kind == Segment::Kind::icmp_error) return outbound_error(packet, segment);
  if (segment.kind == Segment::Kind::echo_reply)
    return drop(Rule::out_of_state);  // no request is ever let in
  const Flow flow{segment.transport,
                  is_translated(packet),
                  {packet.source, segment.source_port},
                  {packet.destination, segment.destination_port}};
  // A connection begins with a SYN; a SYN with ACK is the fresh answer to one that came in by another
  // mapping. RFC 5382 leaves it to the NAT what to do with the rest; Linux would pick the connection up
  // (nf_conntrack_tcp_loose).
  const bool opens = segment.kind != Segment::Kind::tcp ||
                     (segment.tcp_flags & (tcp_flag::syn | tcp_flag::rst)) == tcp_flag::syn;
  if (!opens && table(flow).session_towards(flow) == nobody) return drop(Rule::out_of_state);
  const auto session = table(flow).leave(flow);
  if (!session) return drop(session.error());
  if (flow.translated)
    rewrite_source(packet, segment, table(flow).outside(table(flow).session(*session).binding));
  table(flow).pass(*session, Direction::outbound, segment.tcp_flags);
  return forward();
}

/// RFC 5508 REQ-5: an error from inside about a packet that was let in.
Verdict Nat::Box::outbound_error(const Packet& packet, const Segment& segment) {
  const auto quoted = parse_quoted(packet);
  if (!quoted) return drop(quoted.error());
  const auto about = parse_segment(*quoted, true);
  if (!about) return drop(about.error());
  const Endpoint remote{quoted->source, about->source_port};
  const Flow flow{
      about->transport, is_translated(packet), {quoted->destination, about->destination_port}, remote};
  const Id binding = table(flow).binding_towards(flow);
  if (binding == nobody) return drop(Rule::no_mapping);
  if (!table(flow).lets_in(binding, remote)) return drop(Rule::filtered);
  if (flow.translated) {
    const Endpoint outside = table(flow).outside(binding);
    {
      const QuoteGuard guard(packet, *quoted);
      rewrite_destination(*quoted, *about, outside);
    }
    rewrite_source(packet, segment, outside);
  }
  return forward();
}

// Outside to inside

Verdict Nat::Box::inbound(const Packet& packet, const Segment& segment) {
  if (segment.kind == Segment::Kind::icmp_error) return inbound_error(packet, segment);
  if (segment.kind == Segment::Kind::echo_request) return drop(Rule::no_mapping);
  const Flow flow{segment.transport,
                  is_translated(packet),
                  {packet.destination, segment.destination_port},
                  {packet.source, segment.source_port}};
  if (table(flow).is_taken(flow)) return unsolicited(packet, segment, flow, Rule::committed);
  const Id id = table(flow).session_at(flow);
  if (id == nobody) return let_in(packet, segment, flow);
  const Session& session = table(flow).session(id);
  if (!session.holds && !table(flow).lets_in(session.binding, flow.remote)) return drop(Rule::filtered);
  if (is_opening(segment.tcp_flags) && session.tcp.awaits_answer() && !behaviour_.simultaneous_open)
    return unsolicited(packet, segment, flow, Rule::simultaneous_open);
  const Endpoint inside = table(flow).inside(session.binding);
  table(flow).pass(id, Direction::inbound, segment.tcp_flags);
  return deliver(packet, segment, inside);
}

/// A packet on no session: the filter decides, and whether it opens one depends on who will need it.
Verdict Nat::Box::let_in(const Packet& packet, const Segment& segment, const Flow& flow) {
  const Id binding = table(flow).binding_at(flow);
  if (binding == nobody)
    return unsolicited(packet, segment, flow,
                       table(flow).is_port_in_use(flow) ? Rule::filtered : Rule::no_mapping);
  if (!table(flow).lets_in(binding, flow.remote)) return unsolicited(packet, segment, flow, Rule::filtered);
  const Endpoint inside = table(flow).inside(binding);
  bool opens = flow.transport == Transport::udp && (behaviour_.udp.reply == Reply::session ||
                                                    refreshes(Direction::inbound, behaviour_.udp_refresh));
  if (flow.transport == Transport::tcp) {
    if (!is_opening(segment.tcp_flags)) return unsolicited(packet, segment, flow, Rule::out_of_state);
    opens = true;
  }
  if (opens) {
    const auto session = table(flow).enter(binding, flow.remote);
    if (!session) return drop(session.error());
    table(flow).pass(*session, Direction::inbound, segment.tcp_flags);
  }
  return deliver(packet, segment, inside);
}

Verdict Nat::Box::deliver(const Packet& packet, const Segment& segment, const Endpoint& inside) {
  if (is_translated(packet)) rewrite_destination(packet, segment, inside);
  return forward();
}

/// RFC 5508 REQ-4: an error from outside about a packet of ours, from the remote or any router on the way. It
/// neither refreshes nor ends anything (REQ-6).
Verdict Nat::Box::inbound_error(const Packet& packet, const Segment& segment) {
  const auto quoted = parse_quoted(packet);
  if (!quoted) return drop(quoted.error());
  const auto about = parse_segment(*quoted, true);
  if (!about) return drop(about.error());
  const Flow flow{about->transport,
                  is_translated(packet),
                  {quoted->source, about->source_port},
                  {quoted->destination, about->destination_port}};
  const Id session = table(flow).session_at(flow);
  if (session == nobody) return drop(Rule::no_mapping);
  if (flow.translated) {
    const Endpoint inside = table(flow).inside(table(flow).session(session).binding);
    {
      const QuoteGuard guard(packet, *quoted);
      rewrite_source(*quoted, *about, inside);
    }
    rewrite_destination(packet, segment, inside);
  }
  return forward();
}

/// Nobody asked for this packet. `rule` says why it is not let in; it is answered as the behaviour says.
Verdict Nat::Box::unsolicited(const Packet& packet, const Segment& segment, const Flow& flow, Rule rule) {
  Verdict verdict = drop(rule);
  if (flow.transport == Transport::icmp) return verdict;
  const bool is_tcp = flow.transport == Transport::tcp;
  switch (is_tcp ? behaviour_.tcp.unsolicited : behaviour_.udp.unsolicited) {
    case Unsolicited::drop:
    case Unsolicited::delayed_icmp:
    case Unsolicited::accept:
      break;
    case Unsolicited::icmp:
      verdict.answer = unreachable(packet, Unreachable::prohibited);
      break;
    case Unsolicited::reset:
      if (is_tcp) verdict.answer = reset(packet, segment);
      break;
    case Unsolicited::commit_state:
      // IPv6 and untranslated packets are addressed to the host behind, so the router itself never gets them.
      if (!flow.translated || (is_tcp && !is_opening(segment.tcp_flags))) break;
      table(flow).take(flow);
      verdict.rule = Rule::committed;
      if (!is_tcp) verdict.answer = unreachable(packet, Unreachable::port);
      break;
  }
  return verdict;
}

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
    case Rule::committed:
      return "committed";
    case Rule::udp_blocked:
      return "udp_blocked";
    case Rule::no_port:
      return "no_port";
    case Rule::table_full:
      return "table_full";
    case Rule::hairpin:
      return "hairpin";
    case Rule::malformed:
      return "malformed";
    case Rule::unsupported:
      return "unsupported";
    case Rule::ttl_expired:
      return "ttl_expired";
  }
  return "unknown";
}

Nat::Nat(const Behaviour& behaviour, const Address& outside, std::uint64_t seed)
    : box_(std::make_unique<Box>(behaviour, outside, seed)) {}
Nat::~Nat() = default;

Verdict Nat::outbound(std::span<std::uint8_t> packet, Time now) {
  return box_->handle(packet, now, Direction::outbound);
}

Verdict Nat::inbound(std::span<std::uint8_t> packet, Time now) {
  return box_->handle(packet, now, Direction::inbound);
}

const Behaviour& Nat::behaviour() const { return box_->behaviour_; }
const Counters& Nat::counters() const { return box_->counters_; }

std::size_t Nat::size(Time now) {
  box_->udp_and_icmp_.advance(now);
  box_->tcp_.advance(now);
  return box_->udp_and_icmp_.size() + box_->tcp_.size();
}

}  // namespace flaresim::nat
