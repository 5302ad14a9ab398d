#include "tests/sim/nat/observer.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace flaresim::nat::test {

namespace {

Time to_time(Seconds seconds) { return std::chrono::round<Time>(seconds); }

/// A duration in the notation.
Time duration(const std::string& text) {
  char* unit = nullptr;
  const double count = std::strtod(text.c_str(), &unit);
  const std::string name = unit;
  const double seconds = name == "ms" ? 0.001 : name == "min" ? 60 : name == "h" ? 3600 : 1;
  return to_time(Seconds(count * seconds));
}

/// The remote as a rule of mapping or filtering sees it.
template <typename Rule>
Host key(const Host& remote, Rule rule) {
  if (rule == Rule::endpoint_independent) return {};
  return rule == Rule::address_dependent ? Host{remote.address, 0} : remote;
}

std::string text(const Host& host) {
  std::ostringstream out;
  out << host;
  return out.str();
}

bool is_opening(std::uint8_t flags) { return (flags & (SYN | ACK | RST)) == SYN; }
bool is_syn_ack(std::uint8_t flags) { return (flags & (SYN | ACK | RST | FIN)) == (SYN | ACK); }

/// Flags that a conversation by the book has.
bool is_usual(std::uint8_t flags) {
  return flags == SYN || flags == (SYN | ACK) || flags == ACK || flags == (FIN | ACK);
}

bool established(const Flow& flow) {
  return (flow.flags[0] & flow.flags[1] & (SYN | ACK)) == (SYN | ACK) &&
         !((flow.flags[0] | flow.flags[1]) & FIN);
}

bool is_error(std::uint8_t protocol, std::uint8_t type) {
  return protocol == 1 ? type == 3 || type == 11 || type == 12 : protocol == 58 && type < 128;
}

/// Three-way handshake, then data: the order that every way of tracking agrees about.
bool is_next(Flow& flow, bool outbound, std::uint8_t flags) {
  const bool from_opener = flow.stage == 0 || outbound == flow.begun_inside;
  if (flow.stage == 0) flow.begun_inside = outbound;
  if (flow.stage <= 1 && flags == SYN && from_opener) return flow.stage = 1, true;
  if (flow.stage == 1 && is_syn_ack(flags) && !from_opener) return flow.stage = 2, true;
  if (flow.stage == 2 && flags == ACK && from_opener) return flow.stage = 3, true;
  return flow.stage == 3 && (flags == ACK || flags == (FIN | ACK));
}

/// Linux's classes of ports.
PortRange class_of(std::uint16_t port) {
  if (port < 512) return {1, 511};
  return port < 1024 ? PortRange{600, 1023} : PortRange{1024, 65535};
}

/// What no box may change: all behind the ports, and behind the identifier of an echo.
Bytes payload(const Read& packet) {
  const std::size_t header = packet.protocol == 6 ? 20 : 8;
  return Bytes(packet.transport.begin() + static_cast<long>(std::min(header, packet.transport.size())),
               packet.transport.end());
}

}  // namespace

Observer::Observer(const Behaviour& behaviour, std::vector<std::string> outside)
    : behaviour_(behaviour), ipv6_(ipv6_side(behaviour)), outside_(std::move(outside)) {
  for (const auto transport : {Transport::udp, Transport::tcp, Transport::icmp})
    for (const bool v6 : {false, true}) {
      Timers& all = timers_[static_cast<int>(transport)][v6];
      all = {Time::max(), Time::zero()};
      const std::string prefix = transport == Transport::udp   ? "udp_"
                                 : transport == Transport::tcp ? "tcp_"
                                                               : "icmp_";
      for (const auto& info : notation_keys()) {
        if (info.key.rfind(prefix, 0) != 0 || info.key.find("_timeout") == std::string::npos) continue;
        const Time timeout = duration(value_of(info.key, side(v6)));
        all = {std::min(all.shortest, timeout), std::max(all.longest, timeout)};
      }
    }
}

// What a packet is

Observer::Seen Observer::look(const Bytes& packet) {
  Seen seen{.packet = read(packet), .v6 = packet[0] >> 4 == 6};
  const auto& transport = seen.packet.transport;
  if (seen.packet.protocol == 17) return seen;
  if (seen.packet.protocol == 6) {
    seen.kind = Kind::tcp;
    seen.transport = Transport::tcp;
    seen.flags = transport[13];
    return seen;
  }
  seen.transport = Transport::icmp;
  const bool request = transport[0] == 8 || transport[0] == 128;
  seen.kind = is_error(seen.packet.protocol, transport[0]) ? Kind::error
              : request                                    ? Kind::echo_request
                                                           : Kind::echo_reply;
  return seen;
}

void Observer::demand(bool holds, const char* rule, const std::string& detail) {
  if (!holds) complain(std::string(rule) + (detail.empty() ? "" : ": " + detail));
}

const TransportRules& Observer::rules(Transport transport, bool v6) const {
  const Behaviour& here = side(v6);
  return transport == Transport::udp ? here.udp : transport == Transport::tcp ? here.tcp : here.icmp;
}

/// No table at all: strangers come in to whom nobody has spoken.
bool Observer::is_open(Transport transport, bool v6) const {
  const bool may_be = v6 ? behaviour_.translate == Translate::off || behaviour_.ipv6.transparent
                         : behaviour_.translate != Translate::on;
  return may_be && rules(transport, v6).filtering == Filtering::endpoint_independent;
}

bool Observer::is_own(const std::string& address) const {
  return behaviour_.translate != Translate::off &&
         std::find(outside_.begin(), outside_.end(), address) != outside_.end();
}

/// What holds for every packet, whatever became of it.
void Observer::packet_and_answer(const Seen& seen, const Bytes& before, const Verdict& verdict,
                                 const Bytes& after) {
  if (!verdict.answer.empty()) {
    const Read answer = read(verdict.answer);
    demand(checksums_valid(verdict.answer), "checksums of answers are valid");
    demand(answer.destination.address == seen.packet.source.address, "answers go to the sender");
    demand(seen.kind != Kind::error || answer.protocol == 6 || answer.protocol == 17,
           "no ICMP error about an ICMP error");
    demand(!(seen.flags & RST) || answer.protocol != 6, "no RST about a RST");
  }
  if (!verdict.forward) return;
  const Seen out = look(after);
  demand(checksums_valid(after), "checksums of what passes are valid");
  demand(seen.packet.ttl > 1, "nothing passes at its last hop");
  demand(out.packet.ttl + 1 == seen.packet.ttl, "a hop costs one of the hop limit");
  demand(before.size() == after.size() && out.flags == seen.flags && out.kind == seen.kind,
         "a packet stays what it is");
  if (seen.kind != Kind::error)
    demand(payload(seen.packet) == payload(out.packet), "payloads are left alone");
  demand(!behaviour_.captive, "before login nothing passes");
  demand(seen.kind == Kind::error || !rules(seen).blocked, "what is blocked does not pass");
}

// Inside to outside

void Observer::outbound(const Bytes& before, const Verdict& verdict, const Bytes& after, Time now) {
  const Seen seen = look(before);
  packet_and_answer(seen, before, verdict, after);
  if (!violation_.empty()) return;
  const bool to_us = !seen.v6 && is_own(seen.packet.destination.address);
  if (to_us) {  // it may leave a mapping and, where it comes back, a tuple of the router's own
    unseen(seen.transport, seen.packet.source, seen.packet.destination, now);
    unseen(seen.transport, seen.packet.destination, seen.packet.source, now);
  }
  if (!verdict.forward) return outbound_drop(seen, verdict.rule, now);
  const Seen out = look(after);
  if (to_us) return hairpin(seen, out, now);
  demand(!surely_denied(seen.packet.destination, now), "who is denied is not talked to");
  demand(out.packet.destination == seen.packet.destination, "outbound packets keep their destination");
  if (seen.kind == Kind::error) return outbound_error(seen, after, now);
  leaves(seen, out, now);
}

void Observer::leaves(const Seen& before, const Seen& after, Time now) {
  const Host& inside = before.packet.source;
  const Host& outside = after.packet.source;
  const Host& remote = before.packet.destination;
  const bool known = knows_from_inside(before.transport, inside, remote, now);
  const bool opens = before.kind != Kind::tcp || (before.flags & (SYN | RST)) == SYN;
  const auto stray = side(before.v6).out_of_state;
  const bool leaks = stray == OutOfState::leak && outside == inside && before.kind == Kind::tcp;
  if (leaks && !is_open(before.transport, before.v6) && !before.v6 && behaviour_.translate != Translate::off)
    return;
  if (!opens && !known && !is_open(before.transport, before.v6))
    demand(stray == OutOfState::pick_up || stray == OutOfState::leak, "TCP begins with a SYN");
  if (translates(before)) {
    demand(is_own(outside.address), "what leaves has an address of the box", text(outside));
  } else if (is_fixed(before)) {
    const auto [place, fresh] = fixed_.try_emplace(inside.address, outside.address);
    demand(place->second == outside.address && is_own(outside.address) && outside.port == inside.port,
           "1:1 is 1:1", text(outside));
    if (fresh)
      for (const auto& [other, address] : fixed_)
        demand(other == inside.address || address != outside.address, "1:1 addresses are not shared",
               address);
  } else {
    demand(outside == inside, "nothing is translated here", text(outside));
  }
  const auto& allowed = rules(before).allowed_ports;
  const bool allows =
      allowed.empty() || std::find(allowed.begin(), allowed.end(), remote.port) != allowed.end();
  if (is_open(before.transport, before.v6)) {
    const bool begins = before.kind != Kind::tcp || is_opening(before.flags);
    return demand(allows || !begins, "only allowed ports are contacted", text(remote));
  }
  demand(allows || known, "only allowed ports are contacted", text(remote));
  demand(before.kind != Kind::echo_reply, "nobody inside was asked for an echo");
  Flow key{.transport = before.transport, .inside = inside, .outside = outside, .remote = remote};
  if (translates(before)) {
    shared(key, now);
    const Flow* flow = find(key);
    if (flow == nullptr || flow->gone_at <= now) new_flow(key, now);
    holders_[{before.transport, outside}].insert(inside);
  }
  touch(key, true, before.flags, now);
  limits(key, now);
}

/// Invariant 1.
void Observer::shared(const Flow& flow, Time now) {
  if (evicting_ || rules(flow.transport, false).contention == Contention::overload) return;
  for (const Flow& other : flows_)
    if (other.transport == flow.transport && other.outside == flow.outside && other.remote == flow.remote &&
        other.inside != flow.inside && other.holds)
      demand(other.kept_until <= now, "two inside endpoints never share an outside tuple and remote",
             text(flow.outside) + " to " + text(flow.remote));
}

/// Where the mapping, port, address and block of a new flow may lie.
void Observer::new_flow(const Flow& flow, Time now) {
  const TransportRules& r = rules(flow.transport, false);
  const bool forwarded = ever_forwarded_.contains(flow.inside);
  const bool takes = r.unsolicited == Unsolicited::accept || r.unsolicited == Unsolicited::commit_state;
  if (!evicting_ && !forwarded && !takes && !has_closed_ &&
      (r.reply == Reply::fresh || r.mapping == Mapping::endpoint_independent))
    for (const Flow& other : flows_)
      if (other.transport == flow.transport && other.inside == flow.inside && other.spoken[0] &&
          other.kept_until > now && key(other.remote, r.mapping) == key(flow.remote, r.mapping))
        demand(other.outside == flow.outside, "remotes that a mapping serves see one outside endpoint",
               text(flow.outside));
  for (const auto& [forward, inside] : forwards_)
    if (forward.transport == flow.transport && inside == flow.inside && !takes &&
        std::none_of(forwards_.begin(), forwards_.end(), [&](const auto& other) {
          return other.second == inside && other.first != forward &&
                 other.first.transport == forward.transport;
        }))
      demand(flow.outside == Host{outside_[0], forward.outside_port} ||
                 knows_from_inside(flow.transport, flow.inside, flow.remote, now),
             "what a forward leads to leaves from its port", text(flow.outside));
  if (forwarded) return;
  port_of(flow, now);
  block_of(flow, now);
  if (evicting_ || behaviour_.pooling == Pooling::arbitrary) return;
  for (const Flow& other : flows_)
    if (!other.inside.ipv6() && other.inside.address == flow.inside.address && other.kept_until > now &&
        other.spoken[0] && !ever_forwarded_.contains(other.inside))
      demand(other.outside.address == flow.outside.address, "a paired host has one outside address",
             flow.outside.address);
}

void Observer::port_of(const Flow& flow, Time now) {
  const TransportRules& r = rules(flow.transport, false);
  const std::uint16_t port = flow.outside.port;
  for (const Flow& other : flows_)  // it may be an older mapping's
    if (other.transport == flow.transport && other.outside == flow.outside && other.inside == flow.inside &&
        other.gone_at > now)
      return;
  const bool kept = r.ports == Ports::preserve && port == flow.inside.port;
  if (kept || r.contiguity) return;
  demand(r.ports != Ports::preserve || r.contention != Contention::drop, "strict preservation keeps the port",
         text(flow.outside));
  const auto is_in = [&](PortRange range) { return range.first <= port && port <= range.last; };
  demand(is_in(r.port_range) || (r.port_classes && is_in(class_of(flow.inside.port))),
         "ports are of the range", text(flow.outside));
  demand(!r.parity || (port ^ flow.inside.port) % 2 == 0, "parity is kept", text(flow.outside));
}

void Observer::block_of(const Flow& flow, Time now) {
  const TransportRules& r = rules(flow.transport, false);
  const unsigned size = behaviour_.port_block;
  if (size == 0 || evicting_ || r.contention == Contention::overload) return;
  const auto block = [&](const Host& outside) {
    return std::pair(outside.address, (outside.port - r.port_range.first) / static_cast<int>(size));
  };
  demand(
      flow.outside.port >= r.port_range.first &&
          block(flow.outside).second < (r.port_range.last - r.port_range.first + 1) / static_cast<int>(size),
      "ports are of a block", text(flow.outside));
  std::set<std::pair<std::string, int>> own{block(flow.outside)};
  for (const Flow& other : flows_) {
    if (other.transport != flow.transport || other.inside.ipv6() || other.kept_until <= now ||
        !other.spoken[0] || ever_forwarded_.contains(other.inside))
      continue;
    if (other.inside.address == flow.inside.address)
      own.insert(block(other.outside));
    else
      demand(block(other.outside) != block(flow.outside), "a block belongs to one host", text(flow.outside));
  }
  demand(own.size() <= behaviour_.port_blocks, "a host has no more blocks than that");
}

/// Mappings that the box must have now, against its limits.
void Observer::limits(const Flow& flow, Time now) {
  if (evicting_) return;
  const bool seen_full = is_full(flow.inside.address, now);
  if (seen_full && behaviour_.when_full == WhenFull::evict_oldest) return evict(now);
  std::set<std::tuple<Transport, Host, Host>> all, own;
  for (const Flow& each : flows_) {
    if (each.kept_until <= now || !each.spoken[0]) continue;
    all.insert({each.transport, each.inside, each.outside});
    if (each.inside.address == flow.inside.address) own.insert({each.transport, each.inside, each.outside});
  }
  demand(behaviour_.max_mappings == 0 || all.size() <= behaviour_.max_mappings, "the table's limit holds");
  demand(behaviour_.max_mappings_per_host == 0 || own.size() <= behaviour_.max_mappings_per_host,
         "the host's limit holds");
}

/// From now on any flow may have made room for another one.
void Observer::evict(Time now) {
  evicting_ = true;
  for (Flow& flow : flows_) flow.kept_until = std::min(flow.kept_until, now);
}

/// A packet that is dropped has a reason that an observer understands.
void Observer::outbound_drop(const Seen& seen, Rule rule, Time now) {
  const TransportRules& r = rules(seen);
  const Host& inside = seen.packet.source;
  const Host& remote = seen.packet.destination;
  const bool to_us = !seen.v6 && is_own(remote.address);
  if (to_us || seen.kind == Kind::error || seen.packet.ttl <= 1 || behaviour_.captive || r.blocked) return;
  const auto why = [&](bool holds, const char* what) {
    demand(holds, what, text(inside) + " to " + text(remote) + ", " + std::string(to_string(rule)));
  };
  switch (rule) {
    case Rule::blocked:
      return why(!r.allowed_ports.empty() && std::find(r.allowed_ports.begin(), r.allowed_ports.end(),
                                                       remote.port) == r.allowed_ports.end(),
                 "what is allowed passes");
    case Rule::denied:
      return why(maybe_denied(remote, now), "only who is denied is not talked to");
    case Rule::table_full:
      return why(is_full(inside.address, now), "there is room until the limit is reached");
    case Rule::no_port: {
      if (is_fixed(seen)) return unseen(seen.transport, inside, remote, now);
      std::size_t used = forwards_.size();
      for (const Flow& flow : flows_)
        used += flow.transport == seen.transport && !flow.inside.ipv6() && flow.gone_at > now;
      for (const auto& [tuple, until] : unseen_) used += until > now;
      const std::size_t ports = r.port_range.last - r.port_range.first + 1u;
      return why(behaviour_.port_block > 0 ||
                     (r.ports == Ports::preserve && r.contention == Contention::drop) ||
                     used >= ports / (r.parity ? 2 : 1),
                 "there are free ports");
    }
    case Rule::out_of_state: {
      const bool opens = seen.kind == Kind::udp || seen.kind == Kind::echo_request ||
                         (is_opening(seen.flags) && !(seen.flags & FIN));
      why(!opens || knows_from_inside(seen.transport, inside, remote, now),
          "what opens a flow is not out of state");
      for (const Flow& flow : flows_)
        why(!(!evicting_ && flow.transport == seen.transport && flow.inside == inside &&
              flow.remote == remote && flow.spoken[0] && flow.kept_until > now && flow.orderly &&
              is_usual(seen.flags) && established(flow) && !(seen.flags & SYN)),
            "packets of a connection pass");
      return;
    }
    case Rule::syn_ack:
      return why((seen.flags & (SYN | ACK)) == (SYN | ACK), "inspection drops SYN-ACKs only");
    case Rule::fragment:
      return;
    default:
      return why(false, "an outbound packet is dropped for no reason");
  }
}

void Observer::outbound_error(const Seen& before, const Bytes& after, Time) {
  demand(side(before.v6).icmp_errors ||
             (before.v6 ? is_open(Transport::icmp, true) : is_open(Transport::icmp, false)),
         "ICMP errors are not translated here");
  if (before.v6 || behaviour_.translate == Translate::off) return;
  const Seen about = look(quoted(after));
  const Read error = read(after);
  if (side(false).out_of_state == OutOfState::leak && error.source == before.packet.source) return;
  demand(is_own(error.source.address), "errors leave from an address of the box");
  if (is_fixed(before)) fixed_.try_emplace(before.packet.source.address, error.source.address);
  demand(is_own(about.packet.destination.address), "what an error quotes is as it was outside",
         text(about.packet.destination));
}

/// What comes back to the inside. Filters have their say, but from where the box saw it sent we do not know.
void Observer::hairpin(const Seen& before, const Seen& after, Time now) {
  const TransportRules& r = rules(before);
  const Host& target = before.packet.destination;
  const Host& inside = after.packet.destination;
  demand(r.hairpin == Hairpin::internal || r.hairpin == Hairpin::external, "hairpins are off");
  demand(!is_own(inside.address), "a hairpinned packet goes inside", text(inside));
  unseen(before.transport, inside, target, now);
  if (before.kind == Kind::error) return;
  if (r.hairpin == Hairpin::internal)
    demand(after.packet.source == before.packet.source, "internal hairpins keep their source",
           text(after.packet.source));
  else
    demand(is_own(after.packet.source.address), "external hairpins come from outside",
           text(after.packet.source));
  const auto leads = [&](const Flow& flow) {
    return flow.transport == before.transport && flow.inside == inside && flow.outside == target &&
           flow.gone_at > now;
  };
  const Forward* forward = forward_at(before.transport, target);
  demand(is_fixed(before) || forward != nullptr || std::any_of(flows_.begin(), flows_.end(), leads) ||
             unseen_inside_.contains(inside),
         "a hairpin reaches who holds the port", text(inside));
}

// Outside to inside

void Observer::inbound(const Bytes& before, const Verdict& verdict, const Bytes& after, Time now) {
  const Seen seen = look(before);
  packet_and_answer(seen, before, verdict, after);
  if (!violation_.empty()) return;
  if (!verdict.forward) return inbound_drop(seen, verdict.rule, now);
  const Seen out = look(after);
  demand(!surely_denied(seen.packet.source, now), "who is denied is not heard");
  demand(out.packet.source == seen.packet.source, "inbound packets keep their source");
  if (seen.kind == Kind::error) return inbound_error(seen, after, now);
  arrives(seen, out, now);
}

void Observer::arrives(const Seen& before, const Seen& after, Time now) {
  const Host& inside = after.packet.destination;
  const Host& outside = before.packet.destination;
  const Host& remote = before.packet.source;
  demand(translates(before) || is_fixed(before) || inside == outside, "nothing is translated here",
         text(inside));
  demand(before.v6 || behaviour_.translate == Translate::off || !is_own(inside.address),
         "what comes in goes inside", text(inside));
  if (is_fixed(before)) {
    const auto hairpinned = [&](const auto& entry) { return entry.first.address == inside.address; };
    if (std::any_of(unseen_inside_.begin(), unseen_inside_.end(), hairpinned))
      fixed_.try_emplace(inside.address, outside.address);
    const auto found = fixed_.find(inside.address);
    demand(found != fixed_.end() && found->second == outside.address && inside.port == outside.port,
           "1:1 is 1:1", text(inside));
  }
  if (is_open(before.transport, before.v6)) return;
  demand(may_let_in(before, inside, now), "nothing passes that the filter forbids",
         text(remote) + " to " + text(outside) + " reached " + text(inside));
  if (const Flow* flow = must_let_in(before, now))
    demand(flow->inside == inside, "a reply reaches who asked", text(inside));
  const Forward* forward = forward_at(before.transport, outside);
  const bool begins = before.kind == Kind::tcp || forward != nullptr ||
                      rules(before).reply == Reply::session ||
                      side(before.v6).udp_refresh != Refresh::outbound;
  const Flow key{.transport = before.transport, .inside = inside, .outside = outside, .remote = remote};
  const Flow* known = find(key);
  if ((known != nullptr && known->gone_at > now) || (begins && before.kind != Kind::echo_reply)) {
    touch(key, false, before.flags, now);
    limits(key, now);
    holders_[{before.transport, outside}].insert(inside);
  }
}

void Observer::inbound_drop(const Seen& seen, Rule rule, Time now) {
  note_unsolicited(seen, rule, now);
  const TransportRules& r = rules(seen);
  const Host& remote = seen.packet.source;
  if (rule == Rule::denied) {
    const bool listed = maybe_denied(remote, now);
    const Time until = now + to_time(behaviour_.deny_list);
    if (listed) denied_[deny_key(remote)] = {until, until};
    return demand(listed, "only who is denied is not heard", text(remote));
  }
  if (seen.packet.ttl <= 1 || behaviour_.captive || (r.blocked && seen.kind != Kind::error) ||
      rule == Rule::fragment)
    return;
  const auto why = [&](bool holds, const char* what) {
    demand(holds, what,
           text(remote) + " to " + text(seen.packet.destination) + ", " + std::string(to_string(rule)));
  };
  why(rule != Rule::blocked && rule != Rule::captive, "what is not blocked passes");
  if (seen.kind == Kind::error) {
    if (!side(seen.v6).icmp_errors || seen.v6) return;
    const Seen about = look(Bytes(seen.packet.transport.begin() + 8, seen.packet.transport.end()));
    for (const Flow& flow : flows_)
      why(!(translates(seen) && !evicting_ && flow.transport == about.transport &&
            flow.outside == about.packet.source && flow.remote == about.packet.destination &&
            flow.spoken[0] && flow.kept_until > now && flow.orderly && r.contention != Contention::overload &&
            rules(about).contention != Contention::overload),
          "errors about a flow return");
    return;
  }
  why(must_let_in(seen, now) == nullptr, "reply traffic of a permitted flow returns");
  const Forward* forward = forward_at(seen.transport, seen.packet.destination);
  const bool opens = seen.kind == Kind::udp || seen.flags == SYN;
  const bool takes = r.unsolicited == Unsolicited::accept || r.unsolicited == Unsolicited::commit_state;
  if (forward == nullptr || !opens || takes) return;
  const auto met = [&](const Flow& flow) {
    return flow.transport == seen.transport && flow.outside == seen.packet.destination &&
           flow.remote == remote && flow.gone_at > now;
  };
  const auto inside = std::find_if(forwards_.begin(), forwards_.end(), [&](const auto& f) {
                        return &f.first == forward;
                      })->second;
  if (rule == Rule::table_full)
    return why(is_full(inside.address, now), "there is room until the limit is reached");
  why(std::any_of(flows_.begin(), flows_.end(), met) || !unseen_.empty(), "a forward is open to everybody");
}

void Observer::inbound_error(const Seen& before, const Bytes& after, Time now) {
  if (is_open(Transport::udp, before.v6) || is_open(Transport::tcp, before.v6) ||
      is_open(Transport::icmp, before.v6))
    return;
  demand(side(before.v6).icmp_errors, "ICMP errors are not translated here");
  const Seen outside = look(Bytes(before.packet.transport.begin() + 8, before.packet.transport.end()));
  const Seen inside = look(quoted(after));
  const auto is_about = [&](const Flow& flow) {
    return flow.transport == outside.transport && flow.inside == inside.packet.source &&
           flow.outside == outside.packet.source && flow.remote == outside.packet.destination &&
           flow.gone_at > now;
  };
  demand(std::any_of(flows_.begin(), flows_.end(), is_about), "only errors about a flow come in",
         text(outside.packet.source) + " to " + text(outside.packet.destination));
  demand(look(after).packet.destination.address == inside.packet.source.address,
         "an error goes to whom it quotes");
}

void Observer::emitted(const Bytes& packet, Time now) {
  demand(checksums_valid(packet), "checksums of late answers are valid");
  const Seen about = look(quoted(packet));
  const auto asked = late_.find({about.packet.source, about.packet.destination});
  demand(asked != late_.end() && asked->second <= now, "late answers are late, and asked for");
  if (asked != late_.end()) late_.erase(asked);
}

// What must be there, and what may

Flow* Observer::find(const Flow& key) {
  const auto found = std::find_if(flows_.begin(), flows_.end(), [&](const Flow& flow) {
    return flow.transport == key.transport && flow.inside == key.inside && flow.outside == key.outside &&
           flow.remote == key.remote;
  });
  return found == flows_.end() ? nullptr : &*found;
}

/// The flow that a packet from outside answers, where it must be there and the packet is by the book.
const Flow* Observer::must_let_in(const Seen& seen, Time now) const {
  if (evicting_) return nullptr;
  const bool overloads = rules(seen).contention == Contention::overload;
  for (const Flow& flow : flows_) {
    if (flow.transport != seen.transport || flow.outside != seen.packet.destination ||
        flow.remote != seen.packet.source || !flow.spoken[0] || !flow.holds || flow.kept_until <= now ||
        seen.kind == Kind::echo_request)
      continue;
    const auto holders = holders_.find({flow.transport, flow.outside});
    if (overloads && holders != holders_.end() && holders->second.size() > 1) continue;
    if (seen.kind != Kind::tcp) return &flow;
    const bool asked = flow.flags[0] == SYN && flow.flags[1] == 0;
    const bool by_the_book =
        asked ? is_syn_ack(seen.flags) || (seen.flags == SYN && side(seen.v6).simultaneous_open)
              : established(flow) && (seen.flags == ACK || seen.flags == (ACK | FIN));
    if (flow.orderly && by_the_book) return &flow;
  }
  return nullptr;
}

bool Observer::may_let_in(const Seen& seen, const Host& inside, Time now) const {
  const Host& outside = seen.packet.destination;
  const auto filtering = rules(seen).filtering;
  if (seen.kind == Kind::echo_request) return false;
  for (const auto& [forward, to] : forwards_)
    if (forward.transport == seen.transport && to == inside &&
        outside == Host{outside_[0], forward.outside_port})
      return true;
  if (filtering == Filtering::endpoint_independent && unseen_inside_.contains(inside) &&
      unseen_inside_.at(inside) > now)
    return true;
  return std::any_of(flows_.begin(), flows_.end(), [&](const Flow& flow) {
    return flow.transport == seen.transport && flow.inside == inside && flow.outside == outside &&
           flow.gone_at > now && flow.holds &&
           key(flow.remote, filtering) == key(seen.packet.source, filtering);
  });
}

const Forward* Observer::forward_at(Transport transport, const Host& outside) const {
  for (const auto& [forward, inside] : forwards_)
    if (forward.transport == transport && outside == Host{outside_[0], forward.outside_port}) return &forward;
  return nullptr;
}

bool Observer::knows_from_inside(Transport transport, const Host& inside, const Host& remote,
                                 Time now) const {
  return std::any_of(flows_.begin(), flows_.end(), [&](const Flow& flow) {
    return flow.transport == transport && flow.inside == inside && flow.remote == remote &&
           flow.gone_at > now;
  });
}

// Timers

void Observer::touch(const Flow& key, bool outbound, std::uint8_t flags, Time now) {
  if (flows_.size() > 400) std::erase_if(flows_, [&](const Flow& flow) { return flow.gone_at <= now; });
  Flow* flow = find(key);
  const bool is_new = flow == nullptr || flow->gone_at <= now;
  if (flow == nullptr) flow = &flows_.emplace_back(key);
  if (is_new) {
    *flow = key;
    flow->began = now;
  } else if (evicting_ || flow->kept_until <= now || (outbound && !flow->holds)) {
    flow->doubtful = true;
  }
  const bool v6 = key.inside.ipv6();
  const Timers all = timers(key.transport, v6);
  if (key.transport == Transport::udp) touch_udp(*flow, outbound, is_new, now);
  if (key.transport == Transport::tcp) touch_tcp(*flow, outbound, flags, now);
  if (key.transport == Transport::icmp) touch_icmp(*flow, outbound, is_new, now);
  flow->spoken[outbound ? 0 : 1] = true;
  if (!flow->doubtful) return;
  flow->kept_until = now;
  flow->gone_at = std::max(flow->gone_at, now + all.longest);
}

void Observer::touch_icmp(Flow& flow, bool outbound, bool is_new, Time now) {
  const Behaviour& here = side(flow.inside.ipv6());
  const bool extends =
      here.icmp_refresh == Refresh::both || (here.icmp_refresh == Refresh::outbound) == outbound;
  flow.holds = true;
  if (is_new || extends) flow.kept_until = flow.gone_at = now + to_time(here.icmp_timeout);
}

void Observer::touch_udp(Flow& flow, bool outbound, bool is_new, Time now) {
  const Behaviour& here = side(flow.inside.ipv6());
  const bool was_answered = flow.spoken[0] && flow.spoken[1];
  const bool answered = was_answered || flow.spoken[outbound ? 1 : 0];
  const bool extends =
      here.udp_refresh == Refresh::both || (here.udp_refresh == Refresh::outbound) == outbound;
  flow.holds |= outbound || extends;
  if (!is_new && !extends) return;
  const Time stream_from = flow.began + to_time(here.udp_stream_after);
  const Time opening = to_time(here.udp_unreplied_timeout), stream = to_time(here.udp_timeout);
  if (flow.lasting || (was_answered && now > stream_from) ||
      (answered && here.udp_stream_after == Seconds{})) {
    flow.lasting = true;
    flow.kept_until = flow.gone_at = now + stream;
  } else if (!answered || now < stream_from) {
    flow.kept_until = flow.gone_at = now + opening;
  } else {  // on the very edge
    flow.kept_until = now + std::min(opening, stream);
    flow.gone_at = now + std::max(opening, stream);
    flow.doubtful |= opening != stream;
  }
}

void Observer::touch_tcp(Flow& flow, bool outbound, std::uint8_t flags, Time now) {
  const bool v6 = flow.inside.ipv6();
  const Timers all = timers(Transport::tcp, v6);
  const bool first = flow.flags[0] == 0 && flow.flags[1] == 0;
  const bool restarts = (flags & SYN) != 0 && established(flow);
  if (!is_usual(flags) || (first && flags != SYN) || restarts ||
      (flags == SYN && (flow.flags[outbound ? 0 : 1] & ~SYN)))
    flow.orderly = false;
  if ((flow.flags[0] | flow.flags[1]) & FIN && flags & SYN) flow.orderly = false;
  if (side(v6).tcp_tracking == TcpTracking::conntrack && !is_next(flow, outbound, flags))
    flow.orderly = false;
  flow.flags[outbound ? 0 : 1] |= flags;
  flow.holds = true;
  if (!flow.orderly) {
    flow.kept_until = now;
    flow.gone_at = now + all.longest;
  } else if (flow.flags[0] == SYN && flow.flags[1] == 0) {
    flow.kept_until = flow.gone_at = now + to_time(side(v6).tcp_transitory_timeout);
  } else if (established(flow)) {
    flow.kept_until = flow.gone_at = now + to_time(side(v6).tcp_established_timeout);
  } else {
    flow.kept_until = now + all.shortest;
    flow.gone_at = now + all.longest;
  }
}

Observer::Timers Observer::timers(Transport transport, bool v6) const {
  return timers_[static_cast<int>(transport)][v6];
}

Time Observer::all_gone_after(Time now) const {
  Time longest = to_time(behaviour_.deny_list);
  for (const auto& transport : timers_)
    for (const Timers& timers : transport) longest = std::max(longest, timers.longest);
  return now + longest;
}

// What the box may know by packets that nobody saw outside

void Observer::unseen(Transport transport, const Host& a, const Host& b, Time now) {
  if (behaviour_.when_full == WhenFull::evict_oldest &&
      (behaviour_.max_mappings > 0 || behaviour_.max_mappings_per_host > 0))
    evict(now);
  const Time until = now + timers(transport, a.ipv6()).longest;
  Time& tuple = unseen_[{transport, a, b}];
  tuple = std::max(tuple, until);
  Time& inside = unseen_inside_[a];
  inside = std::max(inside, until);
}

void Observer::note_unsolicited(const Seen& seen, Rule rule, Time now) {
  const Host& remote = seen.packet.source;
  const Host& outside = seen.packet.destination;
  if (seen.transport == Transport::icmp || seen.packet.ttl <= 1) return;
  const auto answer = rules(seen).unsolicited;
  if (answer == Unsolicited::accept || answer == Unsolicited::commit_state)
    unseen(seen.transport, outside, remote, now);
  if (answer == Unsolicited::delayed_icmp && is_opening(seen.flags))
    late_.try_emplace({remote, outside}, now + to_time(side(seen.v6).unsolicited_delay));
  const bool strange = rule == Rule::no_mapping || rule == Rule::filtered || rule == Rule::out_of_state ||
                       rule == Rule::simultaneous_open || rule == Rule::committed || rule == Rule::accepted;
  if (!strange || behaviour_.deny_list == Seconds{}) return;
  const Time until = now + to_time(behaviour_.deny_list);
  const bool surely = !is_fixed(seen) || fixed_.size() >= outside_.size();
  auto& listed = denied_[deny_key(remote)];
  listed = {surely ? until : listed.first, until};
}

Host Observer::deny_key(const Host& remote) const {
  return behaviour_.deny_key == DenyKey::address ? Host{remote.address, 0} : remote;
}

bool Observer::surely_denied(const Host& remote, Time now) const {
  const auto found = denied_.find(deny_key(remote));
  return found != denied_.end() && found->second.first > now;
}

bool Observer::maybe_denied(const Host& remote, Time now) const {
  const auto found = denied_.find(deny_key(remote));
  return found != denied_.end() && found->second.second > now;
}

/// As many mappings as the box may have now, of one host or of all.
std::size_t Observer::most_mappings(Time now, const std::string& inside_address) const {
  std::size_t most = 0;
  for (const Flow& flow : flows_)
    most += flow.gone_at > now && (inside_address.empty() || flow.inside.address == inside_address);
  for (const auto& [tuple, until] : unseen_) most += until > now;
  return most;
}

bool Observer::is_full(const std::string& inside_address, Time now) const {
  return (behaviour_.max_mappings > 0 && most_mappings(now) >= behaviour_.max_mappings) ||
         (behaviour_.max_mappings_per_host > 0 &&
          most_mappings(now, inside_address) >= behaviour_.max_mappings_per_host);
}

void Observer::counted(std::size_t size, Time now) {
  demand(size <= most_mappings(now), "what has expired is gone",
         std::to_string(size) + " of at most " + std::to_string(most_mappings(now)));
  std::size_t tuples = 0;
  for (const auto& [tuple, until] : unseen_) tuples += until > now;
  demand(behaviour_.max_mappings == 0 || size <= behaviour_.max_mappings + tuples, "the table's limit holds",
         std::to_string(size));
}

// Forwards

void Observer::opened(const Forward& forward, const Host& inside, std::error_code error, Time now) {
  const Host outside{outside_[0], forward.outside_port};
  const Forward* other = forward_at(forward.transport, outside);
  bool surely_held = other != nullptr && *other != forward, maybe_held = surely_held;
  for (const Flow& flow : flows_) {
    if (flow.transport != forward.transport || flow.outside != outside || flow.inside == inside) continue;
    surely_held |= flow.kept_until > now && flow.spoken[0] && !evicting_;
    maybe_held |= flow.gone_at > now;
  }
  if (behaviour_.translate != Translate::on)
    return demand(error == std::errc::invalid_argument, "only a NAT forwards ports");
  demand(!error || error == std::errc::address_in_use, "a forward opens, or its port is in use",
         error.message());
  demand(error || !surely_held, "a port that is in use is not forwarded", text(outside));
  demand(!error || maybe_held || !unseen_.empty(), "a free port can be forwarded", text(outside));
  if (error || other != nullptr) return;
  forwards_.emplace_back(forward, inside);
  ever_forwarded_.insert(inside);
}

void Observer::closed(const Forward& forward) {
  has_closed_ = true;
  std::erase_if(forwards_, [&](const auto& other) { return other.first == forward; });
}

}  // namespace flaresim::nat::test
