#include <algorithm>
#include <set>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

using PortPair = std::pair<std::uint16_t, std::uint16_t>;  // inside, outside

constexpr std::uint16_t base = 40000;
constexpr int largest_step = 1024;

std::vector<PortPair> pairs(const std::vector<std::optional<Flow>>& flows) {
  std::vector<PortPair> all;
  for (const auto& flow : flows)
    if (flow) all.emplace_back(flow->inside.port, flow->outside.port);
  return all;
}

std::vector<io::Endpoint> endpoints(const Bench& bench, std::size_t host, std::uint16_t first, int stride,
                                    int count) {
  std::vector<io::Endpoint> all;
  for (int i = 0; i < count; ++i)
    all.push_back(bench.inside(host, static_cast<std::uint16_t>(first + i * stride)));
  return all;
}

std::size_t unchanged(const std::vector<PortPair>& ports) {
  return static_cast<std::size_t>(
      std::count_if(ports.begin(), ports.end(), [](auto p) { return p.first == p.second; }));
}

/// From one chosen port to the next, where that is a step forward; most of them, since a range wraps.
std::vector<int> steps(const std::vector<PortPair>& ports) {
  std::vector<int> all;
  for (std::size_t i = 1; i < ports.size(); ++i) all.push_back(ports[i].second - ports[i - 1].second);
  return all;
}

/// The step that all but one of the ports are apart; 0 for none.
int common_step(const std::vector<PortPair>& ports) {
  auto all = steps(ports);
  if (all.size() < 4) return 0;
  auto sorted = all;
  std::sort(sorted.begin(), sorted.end());
  const int median = sorted[sorted.size() / 2];
  const auto agree = static_cast<std::size_t>(std::count(all.begin(), all.end(), median));
  return median > 0 && median <= 2 * largest_step && agree + 2 >= all.size() ? median : 0;
}

bool keeps_parity(const std::vector<PortPair>& ports) {
  return std::all_of(ports.begin(), ports.end(), [](auto p) { return p.first % 2 == p.second % 2; });
}

/// Whether the box keeps the inside port when it can: a block may hold only ports near those that were seen.
bool preserves(const Ground& ground) {
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  const auto far = pairs(bench.open_many(endpoints(bench, 0, base, 11, 16), remote));
  if (unchanged(far) >= 2) return true;
  if (far.empty()) return false;
  const std::uint16_t seen = far.back().second;
  const auto near =
      pairs(bench.open_many(endpoints(bench, 0, static_cast<std::uint16_t>(seen - 1), -1, 8), remote));
  return unchanged(near) >= 3;
}

/// Ports that the box chose itself: those that two more hosts hold already, unless it chooses all.
struct Chosen {
  std::size_t refused = 0;
  std::size_t shared = 0;
  std::vector<PortPair> ports;  ///< consecutive inside ports first, then every tenth
};

/// Another host holds the ports `first`, `first + stride`, …; what this one gets for them, one after the other.
std::vector<std::optional<Flow>> contend(Bench& bench, const io::Endpoint& remote, std::uint16_t first,
                                         int stride, int count, bool contended) {
  if (contended) bench.open_many(endpoints(bench, 1, first, stride, count), remote);
  return bench.open_many(endpoints(bench, 0, first, stride, count), remote);
}

/// RFC 4787 §4.2.3: a pair n, n+1 becomes a pair although other mappings were made between the two.
Finding contiguity(const Ground& ground, bool contended) {
  constexpr int pair_count = 8;
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  const auto even = pairs(contend(bench, remote, 44000, 20, pair_count, contended));
  contend(bench, remote, 47000, 10, 3, contended);
  const auto odd = pairs(contend(bench, remote, 44001, 20, pair_count, contended));
  if (even.size() != pair_count || odd.size() != pair_count)
    return untold("contiguity", "a taken port is refused");
  bool contiguous = true;
  for (int i = 0; i < pair_count; ++i) contiguous = contiguous && odd[i].second == even[i].second + 1;
  return on_off("contiguity", contiguous);
}

/// What the box does where the inside port is not to be had, or never is.
Finding contention_word(const Chosen& chosen, int step) {
  if (chosen.ports.size() < chosen.refused) return told("contention", std::string("drop"));
  if (chosen.shared > 0) return told("contention", std::string("overload"));
  std::set<int> above;
  for (const auto& [inside, outside] : chosen.ports) above.insert(outside - inside);
  const bool next_above = *above.begin() > 0 && *above.rbegin() <= 2 * largest_step;
  return told("contention", std::string(next_above || step != 0 ? "sequential" : "random"));
}

std::string range_text(const std::vector<PortPair>& ports) {
  std::uint16_t first = 65535, last = 0;
  for (const auto& port : ports) first = std::min(first, port.second), last = std::max(last, port.second);
  return std::to_string(first) + "-" + std::to_string(last);
}

Chosen choices(const Ground& ground, bool preserving) {
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  Chosen chosen;
  for (const auto& flow : contend(bench, remote, base, 10, 16, preserving)) {
    chosen.refused += !flow;
    if (!flow) continue;
    chosen.shared += preserving && flow->outside.port == flow->inside.port;
    chosen.ports.emplace_back(flow->inside.port, flow->outside.port);
  }
  return chosen;
}

/// Enough of both parities that chance keeps none of them.
std::vector<PortPair> mixed_parities(const Ground& ground, bool contended) {
  auto bench = ground.bench();
  return pairs(contend(bench, bench.remote(0, 0), 42000, 11, 32, contended));
}

/// The least and the greatest port that was chosen, of many.
Finding range_seen(const Ground& ground, bool contended) {
  auto bench = ground.bench();
  const int count = static_cast<int>(std::min<std::size_t>(ground.options.flows, 60'000));
  const auto seen = pairs(contend(bench, bench.remote(0, 0), 2000, 1, count, contended));
  if (seen.empty()) return untold("port_range_seen", "no port was chosen");
  return told("port_range_seen", range_text(seen), "of " + std::to_string(seen.size()) + " flows");
}

/// The distance between chosen ports, or from the taken port to the one chosen instead.
int step_of(const Chosen& chosen, bool contended) {
  if (!contended) return common_step(chosen.ports);
  std::vector<int> above;
  for (const auto& [inside, outside] : chosen.ports) above.push_back(outside - inside);
  std::sort(above.begin(), above.end());
  const int median = above.empty() ? 0 : above[above.size() / 2];
  const auto agree = static_cast<std::size_t>(std::count(above.begin(), above.end(), median));
  return median > 0 && median <= 2 * largest_step && agree + 2 >= above.size() ? median : 0;
}

Finding step_finding(const std::string& assignment, int step, bool parity) {
  if (step == 0)
    return untold("step", assignment == "preserve" ? "a taken port is not followed by another" : "no order");
  if (parity && step % 2 == 0)
    return told("step", double(step),
                "parity is kept: a step of " + std::to_string(step / 2) + " may look the same");
  return told("step", double(step));
}

}  // namespace

PortFindings port_assignment(const Ground& ground) {
  PortFindings found;
  if (!ground.translates) {
    const std::string why = "addresses are not translated";
    return {untold("port_assignment", why), untold("step", why),       untold("contention", why),
            untold("parity", why),          untold("contiguity", why), untold("port_range_seen", why)};
  }
  const bool preserving = preserves(ground);
  const auto chosen = choices(ground, preserving);
  const bool nothing_chosen = preserving && (chosen.ports.empty() || chosen.shared > 0);
  const int step = nothing_chosen ? 0 : step_of(chosen, preserving);
  const std::string assignment = preserving ? "preserve" : step != 0 ? "sequential" : "random";
  found.assignment = told("port_assignment", assignment);
  found.contention = !preserving          ? untold("contention", "the box chooses all ports itself")
                     : chosen.refused > 0 ? told("contention", std::string("drop"))
                                          : contention_word(chosen, step);
  if (nothing_chosen) {
    const std::string why = "the box chooses no port itself";
    found.parity = untold("parity", why);
    found.contiguity = untold("contiguity", why);
    found.range = untold("port_range_seen", why);
  } else {
    found.parity = on_off("parity", keeps_parity(mixed_parities(ground, preserving)));
    found.contiguity = contiguity(ground, preserving);
    found.range = range_seen(ground, preserving);
  }
  found.step = step_finding(assignment, step, word(found.parity) == "on");
  return found;
}

}  // namespace flaresim::probe
