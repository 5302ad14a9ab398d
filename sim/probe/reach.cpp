#include <algorithm>
#include <set>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

constexpr std::uint16_t inside_port = 40000;
/// Ports that some firewalls pass and others do not, and some that nobody asks for.
constexpr std::uint16_t tried_ports[] = {4001, 3478, 40001, 443,  80,   22,   53,   25,
                                         123,  500,  993,   1194, 4500, 5060, 8080, 8443};

std::string joined(const std::vector<std::uint16_t>& ports) {
  std::string text;
  for (const auto port : ports) text += (text.empty() ? "" : "+") + std::to_string(port);
  return text;
}

}  // namespace

std::string word(const Finding& finding) {
  const auto* text = finding.value ? std::get_if<std::string>(&*finding.value) : nullptr;
  return text == nullptr ? std::string() : *text;
}

std::vector<std::uint16_t> passable_ports(const Ground& ground) {
  if (ground.subject.is_icmp()) {
    Bench bench(ground.make({}), ground.subject, {0});
    const bool passes = bench.open(bench.inside(0, inside_port), bench.remote(0, 0)).has_value();
    return passes ? std::vector<std::uint16_t>{0} : std::vector<std::uint16_t>{};
  }
  std::vector<std::uint16_t> ports;
  for (const auto port : tried_ports) {
    Bench bench(ground.make({}), ground.subject, {port});
    if (bench.open(bench.inside(0, inside_port), bench.remote(0, 0))) ports.push_back(port);
  }
  return ports;
}

Finding remote_ports(const Ground& ground, const std::vector<std::uint16_t>& passable) {
  const std::string key = "remote_ports";
  if (ground.subject.is_icmp()) return told(key, std::string(passable.empty() ? "none" : "any"));
  const auto note = "of " + std::to_string(std::size(tried_ports)) + " that were tried";
  if (passable.size() == std::size(tried_ports)) return told(key, std::string("any"), note);
  if (passable.empty()) return told(key, std::string("none"), note);
  auto sorted = passable;
  std::sort(sorted.begin(), sorted.end());
  return told(key, joined(sorted), note);
}

bool translates(const Ground& ground) {
  auto bench = ground.bench();
  const auto inside = bench.inside(0, inside_port);
  const auto flow = bench.open(inside, bench.remote(0, 0));
  return flow && flow->outside != inside && flow->outside.address != inside.address;
}

namespace {

/// How the hosts, their ports so far apart, come out of a box that has so many addresses.
std::vector<io::Endpoint> hosts_seen(const Ground& ground, std::unique_ptr<Lab> lab, std::size_t stride) {
  Bench bench(std::move(lab), ground.subject, ground.remote_ports);
  std::vector<io::Endpoint> seen;
  for (std::size_t host = 0; host < bench.hosts(); ++host) {
    const auto flow = bench.open(bench.inside(host, static_cast<std::uint16_t>(inside_port + host * stride)),
                                 bench.remote(0, 0));
    if (flow) seen.push_back(flow->outside);
  }
  return seen;
}

}  // namespace

/// 1:1 gives each host an address where there are enough of them, although all use the same port; where there are two,
/// only two hosts get out at all, although no two use the same port.
Finding translation(const Ground& ground) {
  const std::string key = "translate";
  if (!ground.translates) return told(key, std::string("off"));
  const auto hosts = ground.bench().hosts();
  auto plenty = ground.make({.outside_addresses = hosts});
  if (!plenty || hosts < 3) return told(key, std::string("on"), "1:1 was not looked for");
  std::set<io::IpAddress> addresses;
  for (const auto& seen : hosts_seen(ground, std::move(plenty), 0))
    if (seen.port == inside_port) addresses.insert(seen.address);
  const auto few = hosts_seen(ground, ground.make({.outside_addresses = 2}), 10);
  return told(key, std::string(addresses.size() == hosts && few.size() == 2 ? "static" : "on"));
}

Finding pooling(const Ground& ground) {
  const std::string key = "pooling";
  constexpr std::size_t pool = 4, flows = 16;
  if (!ground.translates) return untold(key, "addresses are not translated");
  auto lab = ground.make({.outside_addresses = pool});
  if (!lab) return untold(key, "the box can be given one outside address only");
  Bench bench(std::move(lab), ground.subject, ground.remote_ports);
  std::set<io::IpAddress> addresses;
  for (std::uint16_t i = 0; i < flows; ++i) {
    const auto port = static_cast<std::uint16_t>(inside_port + 7 * i);
    const auto flow = bench.open(bench.inside(0, port), bench.remote(i % 2, 0));
    if (flow) addresses.insert(flow->outside.address);
  }
  return told(key, std::string(addresses.size() > 1 ? "arbitrary" : "paired"));
}

/// A portal answers in the place of a web server that never heard of it.
Finding captive(const MakeLab& make) {
  Bench bench(make({}), {Protocol::tcp, false}, {80});
  const auto outcome = bench.outward(bench.opener(bench.inside(0, inside_port), bench.remote(0, 0)));
  const bool answered = std::any_of(outcome.answers.begin(), outcome.answers.end(), [](const Packet& packet) {
    return packet.protocol == Protocol::tcp && packet.flags == (flag::syn | flag::ack);
  });
  return on_off("captive", !outcome && answered);
}

}  // namespace flaresim::probe
