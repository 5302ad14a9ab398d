#include "tests/protocols/node/world.h"

#include <algorithm>
#include <array>
#include <utility>

namespace flaresim::support {

using multiformats::Multiaddr;
using namespace std::chrono_literals;

namespace {

crypto::PrivateKey key_number(std::uint64_t number) {
  auto random = io::Random(number).derive("identity");
  return crypto::PrivateKey::generate(random);
}

io::Task<> answer(io::StreamPtr stream, io::Bytes bytes) {
  if (co_await stream->write(bytes)) co_await stream->close_write();
  std::array<std::uint8_t, 64> ignored;
  for (;;) {
    const auto got = co_await stream->read(ignored);
    if (!got || *got == 0) co_return;
  }
}

io::Task<> reply(io::StreamPtr stream, io::Bytes bytes) {
  const auto request = co_await io::read_delimited(*stream, 100000);
  if (!request) co_return;
  if (!co_await stream->write(bytes)) co_return;
  const auto rest = co_await read_all(stream);
  if (rest) co_await stream->close_write();
}

io::Task<> swallow(io::StreamPtr stream) {
  const auto all = co_await read_all(stream);
  if (!all) co_return;
  std::array<std::uint8_t, 1> never;
  co_await stream->read(never);
}

}  // namespace

Peer::Peer(MemoryHost& on, std::uint16_t on_port, std::uint64_t number, const node::NodeProfile& profile)
    : host(on), port(on_port), node(on, key_number(number), profile) {
  node.swarm().set_trace([this](std::string_view what, const std::string& detail) {
    events.push_back({host.scheduler().now(), std::string(what), detail});
  });
  const auto wildcard = on.addresses().front().is_v4() ? "0.0.0.0" : "::";
  const io::Endpoint listening{boost::asio::ip::make_address(wildcard), port};
  EXPECT_TRUE(node.swarm().listen(Multiaddr::from_endpoint(listening, multiformats::Transport::tcp)));
}

Multiaddr Peer::address() const {
  return Multiaddr::from_endpoint({host.outside(), port}, multiformats::Transport::tcp);
}

std::vector<Multiaddr> Peer::addresses() const { return std::vector<Multiaddr>(1, address()); }

std::vector<io::TimePoint> Peer::times_of(std::string_view what) const {
  std::vector<io::TimePoint> out;
  for (const auto& event : events) {
    if (event.what == what) out.push_back(event.at);
  }
  return out;
}

void World::end(io::Duration settling) {
  if (std::exchange(ended_, true)) return;
  for (const auto& peer : peers) peer->node.shut_down();
  scheduler.run_for(settling);
  for (const auto& peer : peers) expect_nothing_left(*peer);
  EXPECT_EQ(scheduler.armed_timers(), 0u);
}

void World::expect_nothing_left(Peer& peer) {
  auto& node = peer.node;
  EXPECT_EQ(node.active(), 0u);
  EXPECT_EQ(peer.host.listeners(), 0u);
  EXPECT_EQ(peer.host.open_sockets(), 0u);
  if (const auto* finder = node.auto_relay()) {
    EXPECT_FALSE(finder->running());
    EXPECT_TRUE(finder->relays().empty());
  }
}

Peer& World::add(const std::string& address, const std::string& outside, const node::NodeProfile& profile,
                 std::uint16_t port) {
  auto& host = internet.add_host(address, outside);
  peers.push_back(std::make_unique<Peer>(host, port, peers.size() + 1, profile));
  return *peers.back();
}

swarm::ConnectionPtr World::connect(Peer& from, Peer& to) {
  const auto report = run(from.swarm().dial({to.id(), to.addresses(), true}));
  EXPECT_TRUE(report.connection) << report.error.message();
  if (!report.connection) throw std::runtime_error("no connection");
  scheduler.run_for(1s);
  return report.connection;
}

io::StreamPtr World::open(Peer& from, Peer& to, std::string_view protocol) {
  const auto connection = from.swarm().connection_to(to.id());
  auto opened = run(connection->open_stream(std::vector<std::string>(1, std::string(protocol))));
  EXPECT_TRUE(opened) << opened.error().message();
  return opened.value().stream;
}

swarm::ConnectionPtr World::connect_through(Peer& relay, Peer& from, Peer& to) {
  if (relay.node.relay_service() == nullptr) relay.node.start_relay_service();
  const auto reservation = run(to.node.relay_client().reserve(relay.id(), relay.addresses()));
  EXPECT_TRUE(reservation) << reservation.error().message();
  connect(from, relay);
  const auto circuit = relay.address().with_peer(relay.id()).encapsulate(Multiaddr::circuit());
  std::vector<Multiaddr> through(1, circuit);
  const auto report = run(from.swarm().dial({to.id(), through, false}));
  EXPECT_TRUE(report.connection) << report.error.message();
  return report.connection;
}

io::Bytes varint(std::uint64_t value) {
  io::Bytes out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
  return out;
}

io::Bytes field(int number, io::BytesView bytes) {
  auto out = varint(static_cast<std::uint64_t>(number) << 3 | 2);
  io::append(out, varint(bytes.size()));
  io::append(out, bytes);
  return out;
}

io::Bytes field(int number, std::string_view text) { return field(number, io::as_bytes(text)); }

io::Bytes number_field(int number, std::uint64_t value) {
  auto out = varint(static_cast<std::uint64_t>(number) << 3);
  io::append(out, varint(value));
  return out;
}

io::Bytes framed(io::BytesView message) {
  auto out = varint(message.size());
  io::append(out, message);
  return out;
}

io::Bytes joined(std::initializer_list<io::Bytes> parts) {
  io::Bytes out;
  for (const auto& part : parts) io::append(out, part);
  return out;
}

swarm::StreamHandler answers(io::Bytes bytes) {
  return [bytes](swarm::IncomingStream in) { return answer(in.stream, bytes); };
}

swarm::StreamHandler replies(io::Bytes bytes) {
  return [bytes](swarm::IncomingStream in) { return reply(in.stream, bytes); };
}

swarm::StreamHandler silence() {
  return [](swarm::IncomingStream in) { return swallow(in.stream); };
}

io::Task<io::Result<io::Bytes>> read_all(io::StreamPtr stream) {
  io::Bytes out;
  std::array<std::uint8_t, 4096> chunk;
  for (;;) {
    const auto got = co_await stream->read(chunk);
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) co_return out;
    io::append(out, io::BytesView(chunk).first(*got));
  }
}

io::Task<io::Result<>> write_all(io::StreamPtr stream, io::Bytes bytes) {
  co_return co_await stream->write(bytes);
}

io::Task<io::Result<io::Bytes>> read_frame(io::StreamPtr stream) {
  co_return co_await io::read_delimited(*stream, 100000);
}

}  // namespace flaresim::support
