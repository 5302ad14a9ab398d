#include <algorithm>
#include <array>
#include <optional>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

constexpr std::uint16_t port = 40000, other_port = 41002, unused_port = 9;

/// How one inside endpoint is seen by address 0 port 0, address 0 port 1, address 1 port 0, address 1 port 1.
using Views = std::array<std::optional<io::Endpoint>, 4>;

/// Another host has taken the same inside port towards the first remote before: a NAT that preserves ports while it
/// can, and maps each remote apart, would otherwise look as if it mapped all remotes alike.
Views contended_views(const Ground& ground, std::optional<io::Endpoint>& holder) {
  auto bench = ground.bench();
  if (const auto flow = bench.open(bench.inside(1, port), bench.remote(0, 0))) holder = flow->outside;
  Views views;
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (i % 2 == 1 && !ground.has_two_ports()) continue;
    const auto flow = bench.open(bench.inside(0, port), bench.remote(i / 2, i % 2));
    if (flow) views[i] = flow->outside;
  }
  if (!ground.has_two_ports()) views[1] = views[0], views[3] = views[2];
  return views;
}

/// A box that takes the port of an endpoint's last mapping for the next one looks endpoint-independent, until another
/// host gets that port towards another remote first: so does it get it, and is the endpoint then seen elsewhere?
bool is_displaced(const Ground& ground, std::size_t address, std::size_t remote_port) {
  auto bench = ground.bench();
  bench.open(bench.inside(1, port), bench.remote(0, 0));
  const auto flow = bench.open(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return false;
  const auto remote = bench.remote(address, remote_port);
  bench.open(bench.inside(1, flow->outside.port), remote);
  const auto next = bench.open(bench.inside(0, port), remote);
  return next && next->outside != flow->outside;
}

/// Where the port is refused to the second host instead of another being found: towards whom it is refused.
Finding mapping_of_refusals(const std::string& key, const Views& views, const std::string& filtering) {
  if (!views[0] && views[1]) return told(key, std::string("APDM"));
  if (!views[0] && views[2]) {
    if (filtering == "APDF") return told(key, std::string("ADM"));
    return untold(key, "a taken port is refused, and the filter looks at addresses: ADM and APDM look alike");
  }
  if (filtering != "EIF") return told(key, std::string("EIM"));
  return untold(key, "a taken port is refused towards everybody: EIM, ADM and APDM look alike");
}

bool lets_in(const Ground& ground, std::size_t address, std::size_t remote_port) {
  auto bench = ground.bench();
  const auto flow = bench.establish(bench.inside(0, port), bench.remote(0, 0));
  if (!flow) return false;
  const auto outcome = bench.knock(bench.remote(address, remote_port), flow->outside);
  return outcome && outcome.arrived->destination == flow->inside;
}

/// What became of packets round the box: the first that came back inside, or that the box itself answered.
struct Around {
  std::optional<Packet> seen{};
  bool refused = false;
};

bool is_refusal(const Packet& packet) {
  return (packet.quoted && packet.icmp == IcmpKind::unreachable) ||
         (packet.protocol == Protocol::tcp && (packet.flags & flag::rst) != 0);
}

/// Both hosts of a hairpin send to each other's outside endpoints, so that filters that need it are opened.
Around send_around(Bench& bench, const Flow& a, const Flow& b, bool open_addresses) {
  Around around;
  const auto send = [&](const Flow& from, const Flow* to, const io::Endpoint& target) {
    const auto outcome = bench.around(bench.opener(from.inside, target));
    if (to != nullptr && outcome && outcome.arrived->destination == to->inside) around.seen = outcome.arrived;
    around.refused |= std::any_of(outcome.answers.begin(), outcome.answers.end(), is_refusal);
    return around.seen.has_value();
  };
  const io::Endpoint nobody{a.outside.address, unused_port};
  if (open_addresses) {
    send(a, nullptr, nobody);
    send(b, nullptr, nobody);
  }
  for (int round = 0; round < 2; ++round)
    if (send(a, &b, b.outside) || send(b, &a, a.outside)) break;
  return around;
}

}  // namespace

MappingFindings mapping(const Ground& ground, const std::string& filtering) {
  const std::string key = "mapping";
  const auto not_looked_for = untold("reuse", "ports differ from remote to remote, or are not translated");
  if (!ground.translates) return {untold(key, "addresses are not translated"), not_looked_for};
  std::optional<io::Endpoint> holder;
  const auto views = contended_views(ground, holder);
  for (const auto& view : views)
    if (!view) return {mapping_of_refusals(key, views, filtering), not_looked_for};
  const bool alike = views[0] == views[1] && views[0] == views[2] && views[0] == views[3];
  if (alike && (views[0] == holder || views[0]->address != holder->address))
    return {untold(key, "each host keeps its port whoever else has it: EIM, ADM and APDM look alike"),
            not_looked_for};
  if (alike && !is_displaced(ground, 2, 0)) return {told(key, std::string("EIM")), not_looked_for};
  const auto reuse = on_off("reuse", alike);
  if (ground.subject.is_icmp())
    return {untold(key, "echo has no remote port: ADM and APDM look alike"), reuse};
  if (!ground.has_two_ports())
    return {untold(key, "one remote port passes only: ADM and APDM look alike"), reuse};
  const bool by_address = alike ? !is_displaced(ground, 0, 1) : views[0] == views[1] && views[2] == views[3];
  return {told(key, std::string(by_address ? "ADM" : "APDM")), reuse};
}

Finding filtering(const Ground& ground) {
  const std::string key = "filtering";
  if (lets_in(ground, 1, 0)) return told(key, std::string("EIF"));
  if (ground.subject.is_icmp()) return untold(key, "echo has no remote port: ADF and APDF look alike");
  if (!ground.has_two_ports()) return untold(key, "one remote port passes only: ADF and APDF look alike");
  return told(key, std::string(lets_in(ground, 0, 1) ? "ADF" : "APDF"));
}

Finding reply(const Ground& ground, const std::string& mapping, const std::string& filtering) {
  const std::string key = "reply";
  const bool differs =
      mapping == "APDM" ? filtering == "EIF" || filtering == "ADF" : mapping == "ADM" && filtering == "EIF";
  if (!differs) return untold(key, "no remote is let in to a mapping that is not its own");
  auto bench = ground.bench();
  const auto remote = filtering == "EIF" ? bench.remote(1, 0) : bench.remote(0, 1);
  const auto first = bench.remote(0, 0);
  // Another host holds the port towards both, so that a fresh mapping cannot get the same port by preserving it.
  bench.open(bench.inside(1, port), first);
  bench.open(bench.inside(1, port), remote);
  const auto flow = bench.establish(bench.inside(0, port), first);
  if (!flow) return untold(key, "a taken port is refused");
  const auto came = bench.knock(remote, flow->outside);
  if (!came) return untold(key, "nothing came in");
  const auto answer = ground.subject.is_tcp() ? bench.tcp(flow->inside, remote, flag::syn | flag::ack, 0,
                                                          came.arrived->sequence + 1)
                                              : bench.opener(flow->inside, remote);
  const auto outcome = bench.outward(answer);
  if (!outcome) return untold(key, "no answer left");
  return told(key, std::string(outcome.arrived->source == flow->outside ? "session" : "fresh"));
}

Finding hairpin(const Ground& ground, const HairpinContext& known) {
  const std::string key = "hairpin";
  if (!ground.translates) return untold(key, "addresses are not translated");
  auto bench = ground.bench();
  const auto a = bench.open(bench.inside(0, port), bench.remote(0, 0));
  const auto b = bench.open(bench.inside(1, other_port), bench.remote(0, 0));
  if (!a || !b) return untold(key, "two hosts cannot be mapped at once");
  const auto around = send_around(bench, *a, *b, known.filtering == "ADF");
  if (around.seen) {
    const bool inside_source = around.seen->source == a->inside || around.seen->source == b->inside;
    return told(key, std::string(inside_source ? "internal" : "external"));
  }
  if (around.refused && (known.filtering == "EIF" || !known.answers_strangers))
    return told(key, std::string("refuse"));
  if (known.ports_limited)
    return untold(key, "few remote ports pass, and the outside ones of hosts are not among them");
  if (known.filtering == "EIF") return told(key, std::string("off"));
  if (known.mapping != "EIM" && known.ports != "preserve")
    return untold(key, "nobody could foretell the endpoint from which the other will come");
  if (known.early_packets_harm)
    return untold(key, "the first packet, which the filter refuses, spoils the rest");
  return told(key, std::string(around.refused ? "refuse" : "off"));
}

}  // namespace flaresim::probe
