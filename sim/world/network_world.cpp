#include "sim/world/network_world.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "sim/world/draw.h"
#include "sim/world/nat_presets.h"
#include "sim/world/node_profile.h"

namespace flaresim::world {
namespace {

using multiformats::Multiaddr;

template <class T>
T require(io::Result<T> result, const char* what) {
  if (!result) throw std::logic_error(fmt::format("{}: {}", what, result.error().message()));
  return std::move(*result);
}

net::DelayMatrix delays_between_all(Geography& geography) {
  net::DelayMatrix delays;
  for (std::size_t from = 0; from < geography.names().size(); ++from) {
    auto& row = delays.emplace_back();
    for (std::size_t to = 0; to < geography.names().size(); ++to) row.push_back(geography.delay(from, to));
  }
  return delays;
}

/// Whether a stranger's SYN reaches a host behind it that has dialled others from the port that it listens on.
bool lets_strangers_in(const nat::Behaviour& behaviour) {
  if (behaviour.captive || behaviour.tcp.blocked) return false;
  if (behaviour.tcp.filtering != nat::Filtering::endpoint_independent) return false;
  return behaviour.translate != nat::Translate::on ||
         behaviour.tcp.mapping == nat::Mapping::endpoint_independent;
}

/// That many of all, chosen at random, the first `certain` always among them.
std::vector<bool> choose(std::size_t members, std::size_t count, std::size_t certain, io::Random random) {
  std::vector<bool> chosen(members, false);
  for (std::size_t i = 0; i < certain; ++i) chosen[i] = true;
  std::vector<std::size_t> others(members - certain);
  std::iota(others.begin(), others.end(), certain);
  for (std::size_t i = 0; i < others.size() && i + certain < count; ++i) {
    std::swap(others[i], others[i + random.below(others.size() - i)]);
    chosen[others[i]] = true;
  }
  return chosen;
}

}  // namespace

NetworkWorld::NetworkWorld(const Scenario& scenario, const WorldData& data, Geography& geography,
                           const io::Random& random)
    : scenario_(scenario),
      data_(data),
      geography_(geography),
      random_(random),
      internet_(std::make_unique<net::Internet>(simulation_, delays_between_all(geography),
                                                random.derive("internet"))) {
  const auto is_public =
      choose(spec().nodes, public_nodes(spec()), spec().bootstrap, random_.derive("draw/public"));
  for (std::size_t i = 0; i < spec().nodes; ++i) {
    members_.push_back(draw_member(i, is_public[i]));
    numbers_.emplace(members_[i].id, i);
    if (!is_public[i]) add_gateway(i);
    if (i >= spec().bootstrap) continue;
    const io::Endpoint endpoint{members_[i].address, port};
    bootstrap_.push_back(
        {members_[i].id, {Multiaddr::from_endpoint(endpoint, multiformats::Transport::tcp)}});
  }
  if (spec().pairs) choose_studied();
}

NetworkWorld::~NetworkWorld() {
  shut_down();
  for (auto& member : members_) member.node.reset();
  simulation_.drain();
}

void NetworkWorld::choose_studied() {
  std::vector<Member*> nated;
  for (auto& member : members_) {
    if (member.nat) nated.push_back(&member);
  }
  const auto chosen = choose(nated.size(), spec().pairs->peers, 0, random_.derive("draw/studied"));
  for (std::size_t i = 0; i < nated.size(); ++i) nated[i]->studied = chosen[i];
}

Member NetworkWorld::draw_member(std::size_t number, bool is_public) {
  const auto random = random_.derive(fmt::format("node/{}", number));
  auto identity = random.derive("identity");
  auto kind = draw_peer(scenario_.a, geography_.drawable(), random.derive("draw"));
  if (is_public) {
    kind.nat.clear();
    kind.access = spec().public_access;
  }
  Member member{.is_public = is_public,
                .kind = std::move(kind),
                .dialable = is_public,
                .address = {},
                .random = random,
                .id = crypto::PrivateKey::generate(identity).public_key().peer_id()};
  draw_address(member);
  addresses_.emplace(member.address, number);
  return member;
}

/// Anywhere among the public addresses: nodes that share a network are as rare as chance has it.
void NetworkWorld::draw_address(Member& member) {
  auto random = member.random.derive("address");
  constexpr std::uint32_t lowest = 0x01000000, highest = 0xdfffffff;
  do {
    const auto number = lowest + static_cast<std::uint32_t>(random.below(highest - lowest + 1ull));
    member.address = boost::asio::ip::address_v4(number);
  } while (!io::is_public(member.address) || addresses_.contains(member.address));
}

net::Site NetworkWorld::site_of(const Member& member, const std::string& name) {
  return {.name = name,
          .region = geography_.find(member.kind.region),
          .link = data_.access(member.kind.access),
          .addresses = {member.address}};
}

void NetworkWorld::add_gateway(std::size_t number) {
  auto& member = members_[number];
  const auto behaviour = parse_nat(member.kind.nat).value();
  member.dialable = lets_strangers_in(behaviour);
  member.nat =
      std::make_unique<net::NatBox>(simulation_, behaviour, member.address, member.random.derive("gateway"));
  require(internet_->attach(member.nat->outside(), site_of(member, fmt::format("gateway/{}", number))),
          "attach");
}

std::optional<std::size_t> NetworkWorld::find(const multiformats::PeerId& id) const {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

void NetworkWorld::plug_in(std::size_t number) {
  auto& member = members_[number];
  const auto name = fmt::format("host/{}/{}", number, member.lives);
  // Every home numbers its hosts alike.
  const auto inside = boost::asio::ip::make_address("192.168.1.10");
  const auto own = member.nat ? inside : member.address;
  member.host = std::make_unique<net::Host>(simulation_, std::vector<io::IpAddress>{own},
                                            member.random.derive(fmt::format("life/{}", member.lives)));
  if (member.nat) {
    if (auto plugged = member.nat->attach(member.host->port(), {own}, {}); !plugged)
      throw std::logic_error("attach: " + plugged.error().message());
  } else {
    require(internet_->attach(member.host->port(), site_of(member, name)), "attach");
  }
}

void NetworkWorld::listen(node::Node& node) {
  for (const auto transport : scenario_.transports) {
    const auto wire =
        transport == Transport::quic ? multiformats::Transport::quic_v1 : multiformats::Transport::tcp;
    require(node.swarm().listen(Multiaddr::from_endpoint({boost::asio::ip::address_v4::any(), port}, wire)),
            "listen");
  }
}

void NetworkWorld::start(std::size_t number) {
  auto& member = members_.at(number);
  if (member.online()) throw std::logic_error("started twice");
  bury();
  ++member.lives;
  member.started = simulation_.now();
  member.first_verdict.reset();
  plug_in(number);
  auto identity = member.random.derive("identity");
  auto profile = network_profile(scenario_, member.studied);
  if (number < spec().bootstrap) profile.forced_reachability = swarm::Reachability::reachable;
  member.node = std::make_unique<node::Node>(*member.host, crypto::PrivateKey::generate(identity), profile);
  member.node->on_reachability([this, number](swarm::Reachability verdict) {
    auto& self = members_[number];
    if (verdict == swarm::Reachability::unknown) return;
    if (!self.first_verdict) self.first_verdict = simulation_.now();
    self.ever_public |= verdict == swarm::Reachability::reachable;
  });
  member.ever_public |= member.node->reachability() == swarm::Reachability::reachable;
  for (const auto& observer : on_start_) observer(number);
  listen(*member.node);
  auto others = bootstrap_;
  std::erase_if(others, [&](const auto& info) { return info.peer == member.id; });
  member.node->bootstrap(std::move(others));
}

void NetworkWorld::leave(std::size_t number, Leave how) {
  auto& member = members_.at(number);
  if (!member.online()) return;
  bury();
  for (const auto& observer : on_leave_) observer(number);
  member.host->port().set_link(how == Leave::closing);
  member.node->shut_down();
  gone_.push_back({std::move(member.node), std::move(member.host), simulation_.now() + linger});
}

/// Takes apart whoever left long enough ago that nothing of theirs runs any more.
void NetworkWorld::bury() {
  const auto ripe =
      std::ranges::find_if(gone_, [&](const Gone& gone) { return gone.at > simulation_.now(); });
  for (auto gone = gone_.begin(); gone != ripe; ++gone) {
    left_by_gone_ += gone->node->active();
    gone->node.reset();
    gone->host->port().unplug();  // its addresses are free again
  }
  gone_.erase(gone_.begin(), ripe);
}

void NetworkWorld::shut_down() {
  for (auto& member : members_) {
    if (member.online()) member.node->shut_down();
  }
  simulation_.drain();
  for (const auto& gone : gone_) left_by_gone_ += gone.node->active();
  gone_.clear();
}

std::uint64_t NetworkWorld::left_behind() {
  auto left = left_by_gone_ + simulation_.armed_timers();
  for (const auto& member : members_) {
    if (member.online()) left += member.node->active();
  }
  return left;
}

}  // namespace flaresim::world
