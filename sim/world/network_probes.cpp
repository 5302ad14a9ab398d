#include "sim/world/network_probes.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <ranges>

namespace flaresim::world {
namespace {

bool is_server(const Member& member) {
  return member.online() && member.node->dht()->mode() == kademlia::Mode::server;
}

}  // namespace

NetworkProbes::NetworkProbes(NetworkWorld& world, io::Random random)
    : world_(world), random_(std::move(random)), k_(kademlia::DhtProfile{}.k) {}

void NetworkProbes::begin() {
  const auto& spec = *world_.spec().probes;
  for (std::uint64_t i = 0; i < spec.count; ++i) {
    timers_.push_back(std::make_unique<io::Timer>(world_.simulation()));
    const auto at =
        spec.at + spec.over * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(spec.count);
    timers_.back()->arm_after(at, [this] { io::spawn(world_.simulation().executor(), probe()); });
  }
}

io::Task<> NetworkProbes::probe() {
  if (std::ranges::none_of(world_.members(), &Member::online)) co_return;
  std::size_t prober = 0;
  do {
    prober = random_.below(world_.members().size());
  } while (!world_.members()[prober].online());
  const auto lives = world_.members()[prober].lives;
  io::Bytes key(32);
  random_.fill(key);
  const auto place = kademlia::key_of(key);
  const auto lookup = co_await world_.members()[prober].node->dht()->closest_peers(std::move(key));
  if (!world_.members()[prober].online() || world_.members()[prober].lives != lives) co_return;  // it left
  ++figures_.count;
  figures_.right += is_right(prober, place, lookup.closest);
  took_s_.push_back(std::chrono::duration<double>(lookup.took).count());
  hops_.push_back(static_cast<double>(lookup.hops));
}

bool NetworkProbes::is_right(std::size_t prober, const kademlia::Key& key,
                             const std::vector<swarm::AddressInfo>& closest) const {
  std::map<kademlia::Key, const Member*> servers;
  for (std::size_t i = 0; i < world_.members().size(); ++i) {
    const auto& member = world_.members()[i];
    if (i != prober && is_server(member))
      servers.emplace(kademlia::distance(key, kademlia::key_of(member.id)), &member);
  }
  const auto nearest = servers | std::views::values | std::views::take(k_);
  return std::ranges::all_of(nearest, [&](const Member* member) {
    return !member->dialable ||
           std::ranges::find(closest, member->id, &swarm::AddressInfo::peer) != closest.end();
  });
}

ProbeFigures NetworkProbes::figures() const {
  auto figures = figures_;
  figures.took_s = spread_of(took_s_);
  figures.hops = spread_of(hops_);
  return figures;
}

NetworkKill::NetworkKill(NetworkWorld& world, NetworkLives& lives, io::Random random)
    : world_(world), lives_(lives), random_(std::move(random)), timer_(world.simulation()) {}

void NetworkKill::begin() {
  timer_.arm_after(world_.spec().kill->at, [this] { strike(); });
}

void NetworkKill::stop() { timer_.cancel(); }

void NetworkKill::strike() {
  std::vector<bool> survives(world_.members().size(), false);
  auto& figures = figures_.emplace();
  std::vector<std::size_t> victims;
  for (std::size_t i = 0; i < survives.size(); ++i) {
    if (!world_.members()[i].online()) continue;
    survives[i] = random_.uniform() >= world_.spec().kill->share;
    if (!survives[i]) victims.push_back(i);
  }
  for (const auto number : largest_part(survives, Ties::connections)) {
    connected_.emplace_back(number, world_.members()[number].lives);
  }
  figures.killed = victims.size();
  figures.survivors = static_cast<std::uint64_t>(std::ranges::count(survives, true));
  for (const auto victim : victims) lives_.kill(victim);
  timer_.arm_after(world_.spec().kill->settle, [this] { look(); });
}

/// By union of sets, each named by its smallest member.
std::vector<std::size_t> NetworkKill::largest_part(const std::vector<bool>& among, Ties ties) const {
  std::vector<std::size_t> part(among.size());
  std::iota(part.begin(), part.end(), 0);
  const auto root = [&](std::size_t at) {
    while (part[at] != at) at = part[at] = part[part[at]];
    return at;
  };
  const auto tie = [&](std::size_t at, const multiformats::PeerId& peer) {
    const auto other = world_.find(peer);
    if (!other || !among[*other]) return;
    const auto a = root(at), b = root(*other);
    part[std::max(a, b)] = std::min(a, b);
  };
  for (std::size_t i = 0; i < among.size(); ++i) {
    if (!among[i]) continue;
    auto& node = *world_.members()[i].node;
    for (const auto& connection : node.swarm().connections()) {
      if (!connection->relayed()) tie(i, connection->remote());
    }
    if (ties == Ties::connections) continue;
    for (const auto& peer : node.dht()->table()) tie(i, peer);
  }
  std::map<std::size_t, std::vector<std::size_t>> parts;
  for (std::size_t i = 0; i < among.size(); ++i) {
    if (among[i]) parts[root(i)].push_back(i);
  }
  const auto largest =
      std::ranges::max_element(parts, {}, [](const auto& each) { return each.second.size(); });
  return largest == parts.end() ? std::vector<std::size_t>{} : largest->second;
}

void NetworkKill::look() {
  std::vector<bool> online;
  for (const auto& member : world_.members()) online.push_back(member.online());
  const auto rest = largest_part(online, Ties::connections_and_tables);
  for (const auto& [number, lives] : connected_) {
    const auto& member = world_.members()[number];
    if (!member.online() || member.lives != lives) continue;
    ++figures_->connected;
    figures_->lost += !std::ranges::binary_search(rest, number);
  }
}

}  // namespace flaresim::world
