#include "sim/probe/probe.h"

#include <algorithm>
#include <utility>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

std::string section_name(const Subject& subject) {
  const std::string name = subject.is_udp() ? "udp" : subject.is_tcp() ? "tcp" : "icmp";
  return subject.v6 ? "ipv6_" + name : name;
}

void add(Section& section, std::vector<Finding> findings) {
  for (auto& finding : findings) section.findings.push_back(std::move(finding));
}

bool is_told_above_zero(const Finding& finding) {
  const auto* number = finding.value ? std::get_if<double>(&*finding.value) : nullptr;
  return number != nullptr && *number > 0;
}

/// The questions that every transport is asked, then its own.
Section ask(const Ground& ground, const Finding& ports_passed) {
  Section section{section_name(ground.subject), {ports_passed}};
  if (ground.remote_ports.empty()) return section;
  const auto& subject = ground.subject;
  const auto filter = filtering(ground);
  const auto mapped = mapping(ground, word(filter));
  const auto& map = mapped.mapping;
  const auto ports = subject.v6 ? PortFindings{} : port_assignment(ground);
  if (!subject.v6) {
    add(section, {map, mapped.reuse, filter, ports.assignment, ports.step, ports.contention, ports.parity,
                  ports.contiguity, ports.range, reply(ground, word(map), word(filter))});
  } else {
    add(section, {filter});
  }
  if (subject.is_icmp()) {
    add(section, {echo_timer(ground)});
    return section;
  }
  const auto deny = deny_list(ground);
  const auto stranger = unsolicited(ground, word(map), word(filter), word(ports.assignment), deny);
  add(section, {stranger.policy, stranger.delay_s, deny.seconds, deny.key});
  if (subject.is_tcp())
    add(section, {simultaneous_open(ground), syn_ack_after_syn(ground), out_of_state(ground)});
  if (!subject.v6) {
    const auto policy = word(stranger.policy);
    const auto* crossing = section.find("simultaneous_open");
    const bool harm = policy == "commit-state" || policy == "reset" || policy == "accept" ||
                      is_told_above_zero(deny.seconds) || (crossing != nullptr && word(*crossing) == "off");
    const bool answers = policy != "drop" && policy != "delayed-icmp";
    add(section, {hairpin(ground, {word(map), word(filter), word(ports.assignment),
                                   word(ports_passed) != "any", answers, harm})});
  }
  add(section, subject.is_tcp() ? tcp_timers(ground) : udp_timers(ground));
  return section;
}

/// Through which transport the box as a whole is asked.
const Ground* first_that_passes(const std::vector<Ground>& grounds) {
  for (const auto& ground : grounds)
    if (!ground.remote_ports.empty()) return &ground;
  return nullptr;
}

Section ask_box(const std::vector<Ground>& grounds, const Finding& portal, const Finding& translated,
                bool denies) {
  Section section{"box", {portal, translated}};
  const auto* ground = first_that_passes(grounds);
  if (ground == nullptr) return section;
  const auto limits = capacity(*ground, denies);
  add(section,
      {pooling(*ground), limits.per_host, limits.total, limits.when_full, limits.block, icmp_errors(*ground),
       echo(*ground), ttl_expired(*ground), hop_limit(*ground), fragments(*ground), checksums(*ground)});
  return section;
}

struct Family {
  std::vector<Ground> grounds;
  std::vector<Finding> ports_passed;
};

Family scout(const MakeLab& make, const Options& options, bool v6) {
  Family family;
  for (const auto transport : {Protocol::udp, Protocol::tcp, v6 ? Protocol::icmpv6 : Protocol::icmp}) {
    Ground ground{make, options, {transport, v6}};
    ground.crossing = make({})->longest_crossing();
    ground.remote_ports = passable_ports(ground);
    family.ports_passed.push_back(remote_ports(ground, ground.remote_ports));
    ground.translates = !ground.remote_ports.empty() && translates(ground);
    family.grounds.push_back(std::move(ground));
  }
  return family;
}

/// Where each host has an address of its own, all that follows needs as many addresses as hosts.
Finding settle_translation(Family& family, std::size_t hosts) {
  const auto* ground = first_that_passes(family.grounds);
  if (ground == nullptr) return untold("translate", "nothing passes");
  auto found = translation(*ground);
  if (word(found) == "static")
    for (auto& each : family.grounds) each.request.outside_addresses = hosts;
  return found;
}

}  // namespace

Report probe(const MakeLab& make, const Options& options) {
  Report report;
  auto v4 = scout(make, options, false);
  const auto layout = make({})->layout();
  const auto translated = settle_translation(v4, layout.inside.size());
  for (std::size_t i = 0; i < v4.grounds.size(); ++i)
    report.sections.push_back(ask(v4.grounds[i], v4.ports_passed[i]));
  const bool denies = std::any_of(report.sections.begin(), report.sections.end(), [](const Section& section) {
    const auto* seconds = section.find("deny_list_s");
    return seconds != nullptr && is_told_above_zero(*seconds);
  });
  report.sections.push_back(ask_box(v4.grounds, captive(make), translated, denies));
  if (layout.inside_v6.empty()) return report;

  const auto v6 = scout(make, options, true);
  for (std::size_t i = 0; i < v6.grounds.size(); ++i)
    report.sections.push_back(ask(v6.grounds[i], v6.ports_passed[i]));
  Section box{"ipv6_box", {}};
  if (const auto* ground = first_that_passes(v6.grounds))
    add(box, {icmp_errors(*ground), ttl_expired(*ground)});
  report.sections.push_back(std::move(box));
  return report;
}

}  // namespace flaresim::probe
