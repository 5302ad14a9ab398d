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

/// Both hosts of a hairpin send to each other's outside endpoints, so that filters that need it are opened.
std::optional<Packet> seen_around(Bench& bench, const Flow& a, const Flow& b) {
  const io::Endpoint nobody{a.outside.address, unused_port};
  bench.around(bench.opener(a.inside, nobody));
  bench.around(bench.opener(b.inside, nobody));
  for (int round = 0; round < 2; ++round) {
    auto there = bench.around(bench.opener(a.inside, b.outside));
    if (there && there.arrived->destination == b.inside) return there.arrived;
    auto back = bench.around(bench.opener(b.inside, a.outside));
    if (back && back.arrived->destination == a.inside) return back.arrived;
  }
  return {};
}

}  // namespace

Finding mapping(const Ground& ground, const std::string& filtering) {
  const std::string key = "mapping";
  if (!ground.translates) return untold(key, "addresses are not translated");
  std::optional<io::Endpoint> holder;
  const auto views = contended_views(ground, holder);
  for (const auto& view : views)
    if (!view) return mapping_of_refusals(key, views, filtering);
  if (views[0] == views[1] && views[0] == views[2] && views[0] == views[3]) {
    if (views[0] != holder && views[0]->address == holder->address) return told(key, std::string("EIM"));
    return untold(key, "each host keeps its port whoever else has it: EIM, ADM and APDM look alike");
  }
  if (ground.subject.is_icmp()) return untold(key, "echo has no remote port: ADM and APDM look alike");
  if (!ground.has_two_ports()) return untold(key, "one remote port passes only: ADM and APDM look alike");
  return told(key, std::string(views[0] == views[1] && views[2] == views[3] ? "ADM" : "APDM"));
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
  if (const auto seen = seen_around(bench, *a, *b)) {
    const bool inside_source = seen->source == a->inside || seen->source == b->inside;
    return told(key, std::string(inside_source ? "internal" : "external"));
  }
  if (known.filtering == "EIF") return told(key, std::string("off"));
  if (known.mapping != "EIM" && known.ports != "preserve")
    return untold(key, "nobody could foretell the endpoint from which the other will come");
  if (known.early_packets_harm)
    return untold(key, "the first packet, which the filter refuses, spoils the rest");
  return told(key, std::string("off"));
}

}  // namespace flaresim::probe
