#include "tests/protocols/kademlia/dht_world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace flaresim::kademlia {

using multiformats::Multiaddr;
using multiformats::PeerId;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t port = 4001;

crypto::PrivateKey key_number(std::uint64_t number) {
  auto random = io::Random(number).derive("identity");
  return crypto::PrivateKey::generate(random);
}

/// Curve arithmetic would take most of the time, and is none of the DHT's business.
swarm::SwarmProfile quick_profile() {
  swarm::SwarmProfile profile;
  profile.noise = security::NoiseMode::modelled;
  return profile;
}

}  // namespace

DhtPeer::DhtPeer(support::MemoryHost& on, std::uint64_t number, const DhtProfile& profile)
    : host(on),
      swarm(std::make_shared<swarm::Swarm>(on, key_number(number), quick_profile())),
      identify(swarm, {}),
      dht(swarm, identify, profile) {
  const io::Endpoint listening{boost::asio::ip::make_address("0.0.0.0"), port};
  EXPECT_TRUE(swarm->listen(Multiaddr::from_endpoint(listening, multiformats::Transport::tcp)));
  dht.on_lookup([this](const LookupReport& report) { lookups.push_back(report); });
}

Multiaddr DhtPeer::address() const {
  return Multiaddr::from_endpoint({host.outside(), port}, multiformats::Transport::tcp);
}

DhtWorld::~DhtWorld() {
  for (const auto& peer : peers) peer->dht.stop();
  for (const auto& peer : peers) peer->swarm->shut_down();
  scheduler.run_for(20s);
  for (const auto& peer : peers) EXPECT_EQ(peer->dht.active(), 0u);
  for (const auto& peer : peers) EXPECT_EQ(peer->swarm->connections().size(), 0u);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

DhtPeer& DhtWorld::add(Mode mode, const DhtProfile& profile) {
  const auto number = peers.size() + 1;
  const auto address = std::to_string(128 + number / 250) + "." + std::to_string(number % 250) + ".1.1";
  peers.push_back(std::make_unique<DhtPeer>(internet.add_host(address), number, profile));
  peers.back()->dht.set_mode(mode);
  return *peers.back();
}

swarm::ConnectionPtr DhtWorld::connect(DhtPeer& from, DhtPeer& to) {
  const auto report = run(from.swarm->dial({to.id(), {to.address()}, true}));
  EXPECT_TRUE(report.connection) << report.error.message();
  scheduler.run_for(2s);
  return report.connection;
}

io::StreamPtr DhtWorld::open(DhtPeer& from, DhtPeer& to) {
  std::vector<std::string> protocols(1, kad_protocol);
  auto opened = run(from.swarm->connection_to(to.id())->open_stream(std::move(protocols)));
  EXPECT_TRUE(opened) << opened.error().message();
  return opened.value().stream;
}

namespace {

io::Task<io::Result<Message>> exchange(io::StreamPtr stream, io::Bytes request) {
  const auto written = co_await io::write_delimited(*stream, request);
  if (!written) co_return tl::unexpected(written.error());
  const auto answer = co_await io::read_delimited(*stream, 1 << 20);
  if (!answer) co_return tl::unexpected(answer.error());
  co_return decode(*answer, {.max_closer_peers = 1000});
}

}  // namespace

io::Result<Message> DhtWorld::ask(DhtPeer& from, DhtPeer& to, const Message& request) {
  const auto stream = open(from, to);
  auto answer = run(exchange(stream, encode(request)));
  stream->reset();
  return answer;
}

std::vector<PeerId> DhtWorld::closest_servers(const Key& target, std::size_t count) const {
  std::vector<std::pair<Key, PeerId>> all;
  for (const auto& peer : peers) {
    if (peer->dht.mode() == Mode::server) all.emplace_back(distance(key_of(peer->id()), target), peer->id());
  }
  std::ranges::sort(all);
  std::vector<PeerId> out;
  for (const auto& [far, id] : all) {
    if (out.size() < count) out.push_back(id);
  }
  return out;
}

std::vector<PeerId> ids_of(const std::vector<swarm::AddressInfo>& infos) {
  std::vector<PeerId> out;
  for (const auto& info : infos) out.push_back(info.peer);
  return out;
}

std::vector<PeerId> ids_of(const std::vector<PeerEntry>& entries) {
  std::vector<PeerId> out;
  for (const auto& entry : entries) out.push_back(entry.peer);
  return out;
}

}  // namespace flaresim::kademlia
