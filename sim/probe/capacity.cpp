#include <algorithm>
#include <set>

#include "sim/probe/ground.h"

namespace flaresim::probe {
namespace {

constexpr std::uint16_t first_port = 1024;

/// What one host got, in the order in which it asked.
struct Got {
  std::vector<std::optional<Flow>> flows;
  std::size_t opened = 0;
};

Got ask(Bench& bench, std::size_t host, std::size_t begin, std::size_t count, std::size_t per_host) {
  std::vector<io::Endpoint> from;
  const auto width = std::min(per_host, (65536 - first_port) / bench.hosts());
  for (std::size_t i = begin; i < begin + count; ++i) {
    const auto port = first_port + (host * width + i) % (65536 - first_port);
    from.push_back(bench.inside(host, static_cast<std::uint16_t>(port)));
  }
  Got got{bench.open_many(from, bench.remote(0, 0)), 0};
  got.opened = static_cast<std::size_t>(
      std::count_if(got.flows.begin(), got.flows.end(), [](const auto& flow) { return flow.has_value(); }));
  return got;
}

std::size_t alive(Bench& bench, const std::vector<std::optional<Flow>>& flows) {
  const auto reached = bench.reach_many(flows);
  return static_cast<std::size_t>(std::count(reached.begin(), reached.end(), true));
}

/// The size of the first block that these ports fill: so many, none missing, and the next one is elsewhere (or there
/// is none). 0 when the ports do not come in blocks.
std::size_t first_block(const std::vector<std::optional<Flow>>& flows) {
  std::uint16_t least = 65535, greatest = 0;
  std::size_t count = 0;
  for (const auto& flow : flows) {
    if (!flow) break;
    const auto port = flow->outside.port;
    const bool is_filled = count > 1 && std::size_t(greatest - least + 1) == count;
    if (is_filled && (port + 1 < least || port > greatest + 1)) return count;
    least = std::min(least, port);
    greatest = std::max(greatest, port);
    ++count;
  }
  return count > 1 && count < flows.size() && std::size_t(greatest - least + 1) == count ? count : 0;
}

Finding block_of(const std::vector<Got>& hosts, bool translates) {
  const std::string key = "port_block";
  if (!translates) return untold(key, "addresses are not translated");
  const auto size = first_block(hosts[0].flows);
  if (size == 0 || first_block(hosts[1].flows) != size) return told(key, 0.0);
  return told(key, double(size));
}

}  // namespace

/// All hosts have one flow each before one of them asks for more, so that no two blocks of a host lie side by side.
CapacityFindings capacity(const Ground& ground) {
  auto bench = ground.bench();
  const auto per_host = std::clamp<std::size_t>(ground.options.flows, 64, 60'000);
  std::vector<Got> hosts;
  for (std::size_t host = 0; host < bench.hosts(); ++host) hosts.push_back(ask(bench, host, 0, 1, per_host));
  CapacityFindings found;
  std::size_t opened = 0, living = 0;
  std::vector<std::optional<Flow>> all;
  for (std::size_t host = 0; host < bench.hosts(); ++host) {
    auto more = ask(bench, host, 1, per_host - 1, per_host);
    hosts[host].flows.insert(hosts[host].flows.end(), more.flows.begin(), more.flows.end());
    hosts[host].opened += more.opened;
    if (host == 0) {
      living = alive(bench, hosts[0].flows);
      found.per_host = told("flows_per_host", double(living), living == per_host ? "or more" : "");
    }
    opened += hosts[host].opened;
    all.insert(all.end(), hosts[host].flows.begin(), hosts[host].flows.end());
  }
  const auto total = alive(bench, all);
  const auto asked = per_host * bench.hosts();
  found.total = told("flows", double(total), total == asked ? "or more" : "");
  found.when_full = total == asked
                        ? untold("when_full", "nothing was full")
                        : told("when_full", std::string(opened == asked ? "evict-oldest" : "drop"));
  found.block = block_of(hosts, ground.translates);
  return found;
}

}  // namespace flaresim::probe
