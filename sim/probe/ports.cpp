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

/// Whether the box keeps the inside port when it can: a block may hold only ports near those that were seen. They are
/// asked for from above, so that a box that counts upwards meets at most one.
bool preserves(const Ground& ground) {
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  const auto far = pairs(bench.open_many(endpoints(bench, 0, base, 11, 4), remote));
  if (unchanged(far) >= 2) return true;
  if (far.empty()) return false;
  const int highest = std::min(far.back().second + 8, 65535);
  const auto near =
      pairs(bench.open_many(endpoints(bench, 0, static_cast<std::uint16_t>(highest), -1, 16), remote));
  return unchanged(near) >= 3;
}

/// What became of flows for which the box had to choose a port: another host holds the inside ports already, unless
/// the box chooses all ports anyway.
struct Chosen {
  std::size_t refused = 0;
  std::size_t shared = 0;  ///< the same port again
  bool apart = false;      ///< the hosts have addresses of their own, so that nothing is contended
  std::vector<PortPair> ports{};
};

/// Another host holds the ports `first`, `first + stride`, …; what this one gets for them, one after the other.
std::vector<std::optional<Flow>> contend(Bench& bench, const io::Endpoint& remote, std::uint16_t first,
                                         int stride, int count, bool contended) {
  if (contended) bench.open_many(endpoints(bench, 1, first, stride, count), remote);
  return bench.open_many(endpoints(bench, 0, first, stride, count), remote);
}

/// RFC 4787 §4.2.3: does a pair n, n+1 become a pair?
Finding contiguity(const Ground& ground, bool contended, int step) {
  constexpr int pair_count = 8;
  const std::string key = "contiguity";
  if (step == 1 || (contended && step != 0))
    return untold(key, "the next port makes a pair of neighbours anyway");
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  bool contiguous = true;
  for (int i = 0; i < pair_count; ++i) {
    const auto pair =
        pairs(contend(bench, remote, static_cast<std::uint16_t>(44000 + 20 * i), 1, 2, contended));
    if (pair.size() != 2) return untold(key, "too few ports to see a pair");
    contiguous = contiguous && pair[1].second == pair[0].second + 1;
  }
  return on_off(key, contiguous);
}

/// What the box does where the inside port is not to be had, or never is.
Finding contention_word(const Chosen& chosen, int step) {
  if (chosen.apart) return untold("contention", "each host has an address of its own");
  if (chosen.ports.empty()) return told("contention", std::string("drop"));
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

Chosen choices(const Ground& ground, bool preserving, int stride) {
  auto bench = ground.bench();
  const auto remote = bench.remote(0, 0);
  const auto holder = bench.open(bench.inside(1, 39000), remote);
  Chosen chosen;
  for (const auto& flow : contend(bench, remote, base, stride, 16, preserving)) {
    chosen.refused += !flow;
    if (!flow) continue;
    chosen.apart = holder && flow->outside.address != holder->outside.address;
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

/// The distance that most chosen ports have from the taken ones.
int distance_from_taken(const std::vector<PortPair>& ports) {
  if (ports.size() < 4) return 0;
  std::vector<int> above;
  for (const auto& [inside, outside] : ports) above.push_back(outside - inside);
  std::sort(above.begin(), above.end());
  const int median = above[above.size() / 2];
  const auto agree = static_cast<std::size_t>(std::count(above.begin(), above.end(), median));
  return median > 0 && median <= 2 * largest_step && agree + 2 >= above.size() ? median : 0;
}

/// Inside ports of both parities in turn, and then of one. A box that keeps parity passes over ports of the wrong one:
/// with an odd step only the first run shows it, with an even one only the second, the first being one longer.
int step_of(const Ground& ground, bool preserving) {
  int of_run[2] = {0, 0};
  for (const int run : {0, 1}) {
    const auto ports = choices(ground, preserving, run == 0 ? 11 : 10).ports;
    const int above = preserving ? distance_from_taken(ports) : 0;
    of_run[run] = above != 0 ? above : common_step(ports);
  }
  const auto [both, one] = of_run;
  return both == 0 || both == one + 1 ? one : both;
}

Finding step_finding(bool preserving, int step) {
  if (step == 0)
    return untold("step", preserving ? "a taken port is not followed by another" : "there is no order");
  if (preserving && step % 2 == 0)
    return told("step", double(step), "or half of it, if ports of the other parity are left out");
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
  const auto chosen = choices(ground, preserving, 10);
  const bool chooses = !preserving || (!chosen.ports.empty() && chosen.shared == 0);
  const int step = chooses ? step_of(ground, preserving) : 0;
  found.assignment = told("port_assignment", std::string(preserving  ? "preserve"
                                                         : step != 0 ? "sequential"
                                                                     : "random"));
  found.contention =
      preserving ? contention_word(chosen, step) : untold("contention", "the box chooses all ports itself");
  if (chooses) {
    const bool kept = keeps_parity(mixed_parities(ground, preserving));
    found.parity = kept && preserving && step % 2 == 0 && step != 0
                       ? untold("parity", "an even step from the taken port keeps it anyway")
                       : on_off("parity", kept);
    found.contiguity = contiguity(ground, preserving, step);
    found.range = range_seen(ground, preserving);
  } else {
    const std::string why = "the box chooses no port itself";
    found.parity = untold("parity", why);
    found.contiguity = untold("contiguity", why);
    found.range = untold("port_range_seen", why);
  }
  found.step = step_finding(preserving, step);
  return found;
}

}  // namespace flaresim::probe
