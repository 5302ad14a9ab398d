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

/// The newest first: what is left of a host's flows is heard before what is forgotten.
std::size_t alive(Bench& bench, std::vector<std::optional<Flow>> flows) {
  std::reverse(flows.begin(), flows.end());
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

namespace {

/// All hosts have one flow each before one of them asks for more, so that no two blocks of a host lie side by side.
std::vector<Got> ask_all(Bench& bench, std::size_t hosts_with_many, std::size_t per_host) {
  std::vector<Got> hosts;
  for (std::size_t host = 0; host < bench.hosts(); ++host) hosts.push_back(ask(bench, host, 0, 1, per_host));
  for (std::size_t host = 0; host < hosts_with_many; ++host) {
    const auto more = ask(bench, host, 1, per_host - 1, per_host);
    hosts[host].flows.insert(hosts[host].flows.end(), more.flows.begin(), more.flows.end());
    hosts[host].opened += more.opened;
  }
  return hosts;
}

Finding limit(const std::string& key, std::size_t found, std::size_t asked) {
  return told(key, double(found), found == asked ? "or more" : "");
}

}  // namespace

CapacityFindings capacity(const Ground& ground, bool denies) {
  const auto per_host = std::clamp<std::size_t>(ground.options.flows, 64, 60'000);
  CapacityFindings found;
  {
    auto bench = ground.bench();
    const auto hosts = ask_all(bench, 2, per_host);
    found.block = block_of(hosts, ground.translates);
    found.per_host = limit("flows_per_host", alive(bench, hosts[1].flows), per_host);
  }
  if (denies) {
    const std::string why = "who asks for what is forgotten is not heard again";
    found.total = untold("flows", why);
    found.when_full = untold("when_full", why);
    return found;
  }
  auto bench = ground.bench();
  std::size_t opened = 0;
  std::vector<std::optional<Flow>> all;
  for (const auto& host : ask_all(bench, bench.hosts(), per_host)) {
    opened += host.opened;
    all.insert(all.end(), host.flows.begin(), host.flows.end());
  }
  const auto asked = per_host * bench.hosts();
  const auto total = alive(bench, all);
  found.total = limit("flows", total, asked);
  found.when_full = total == asked
                        ? untold("when_full", "nothing was full")
                        : told("when_full", std::string(opened == asked ? "evict-oldest" : "drop"));
  return found;
}

}  // namespace flaresim::probe
