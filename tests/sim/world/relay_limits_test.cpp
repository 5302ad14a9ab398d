// The limits of a relay with its default profile, over simulated TCP and NATs. Where bytes are counted, both
// ends speak hop and stop by hand, so that every byte on the circuit is one of theirs.

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "protocols/relay/relay_error.h"
#include "sim/world/pair_world.h"
#include "tests/sim/world/pair_scenario.h"

namespace flaresim::test {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;

constexpr std::uint64_t limit_bytes = 131'072;  // libp2p/specs relay/circuit-v2.md: 128 KiB
constexpr io::Duration limit_duration = 120s;

/// libp2p/specs relay/circuit-v2.md, "Protobuf", with its length in front: HopMessage{CONNECT, peer}.
io::Bytes connect_message(const multiformats::PeerId& peer) {
  const auto& id = peer.bytes();
  const auto size = static_cast<std::uint8_t>(id.size());
  io::Bytes message{static_cast<std::uint8_t>(size + 6), 0x08, 1,   0x12,
                    static_cast<std::uint8_t>(size + 2), 0x0a, size};
  io::append(message, id);
  return message;
}
/// StopMessage{STATUS, OK}.
const io::Bytes stop_ok{4, 0x08, 1, 0x20, 100};

/// What arrived at one end of a circuit.
struct Arrived {
  std::uint64_t bytes = 0;
  std::optional<std::error_code> end;  // zero: the other side closed
  io::TimePoint at{};
};

io::Task<> count(io::Scheduler* scheduler, io::StreamPtr stream, Arrived* arrived) {
  std::array<std::uint8_t, 1000> chunk;
  for (;;) {
    const auto got = co_await stream->read(chunk);
    if (!got || *got == 0) {
      arrived->end = got ? std::error_code() : got.error();
      arrived->at = scheduler->now();
      co_return;
    }
    arrived->bytes += *got;
  }
}

io::Task<> take(io::StreamPtr stream, io::StreamPtr* to) {
  const auto request = co_await io::read_delimited(*stream, 4096);
  if (request && co_await stream->write(stop_ok)) *to = stream;
}

/// Two peers whose NATs let no punch through, and a relay between them.
struct RelayedPair : testing::Test {
  RelayedPair() {
    auto& b = world.b();
    run(connect(b));
    EXPECT_TRUE(run(b.node->relay_client().reserve(
        world.relay().node->id(), world.addresses_of(world.relay(), world::Transport::tcp))));
    run(connect(world.a()));
    world.simulation().run_for(5s);
  }

  template <class T>
  T run(io::Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    io::spawn(world.simulation().executor(), keep(std::move(task), result));
    EXPECT_TRUE(
        world.simulation().run_until([&] { return result->has_value(); }, world.simulation().now() + 1min));
    return std::move(result->value());
  }
  template <class T>
  static io::Task<> keep(io::Task<T> task, std::shared_ptr<std::optional<T>> into) {
    into->emplace(co_await std::move(task));
  }
  io::Task<swarm::ConnectionPtr> connect(world::Machine& peer) {
    auto& relay = world.relay();
    swarm::DialRequest request{relay.node->id(), world.addresses_of(relay, world::Transport::tcp), false};
    auto report = co_await peer.node->swarm().dial(std::move(request));
    co_return report.connection;
  }

  const relay::RelayCounters& counters() { return world.relay().node->relay_service()->counters(); }
  std::size_t circuits() { return world.relay().node->relay_service()->circuits(); }

  const world::Scenario scenario = pair_scenario("symmetric", "symmetric");
  const io::Random random{9};
  world::Geography geography{scenario, world_data()};
  world::PairWorld world{scenario, world_data(), geography, world::draw(scenario, geography, random), random};
};

struct RawCircuit : RelayedPair {
  RawCircuit() {
    world.b().node->swarm().handle("/libp2p/circuit/relay/0.2.0/stop",
                                   [this](swarm::IncomingStream in) { return take(in.stream, &b_end); });
    const auto connection = world.a().node->swarm().connection_to(world.relay().node->id());
    a_end = run(connection->open_stream(std::vector<std::string>(1, "/libp2p/circuit/relay/0.2.0/hop")))
                .value()
                .stream;
    EXPECT_TRUE(run(write(a_end, connect_message(world.b().node->id()))));
    const auto answer = run(read_frame(a_end)).value();
    EXPECT_TRUE(answer.size() > 2 && answer[answer.size() - 2] == 0x28 && answer.back() == 100)
        << "status OK";
    granted_at = world.simulation().now();
    io::spawn(world.simulation().executor(), count(&world.simulation(), a_end, &at_a));
    io::spawn(world.simulation().executor(), count(&world.simulation(), b_end, &at_b));
  }
  static io::Task<io::Result<>> write(io::StreamPtr stream, io::Bytes bytes) {
    co_return co_await stream->write(bytes);
  }
  static io::Task<io::Result<io::Bytes>> read_frame(io::StreamPtr stream) {
    co_return co_await io::read_delimited(*stream, 4096);
  }

  io::StreamPtr a_end;
  io::StreamPtr b_end;
  io::TimePoint granted_at;  // when A heard of it
  Arrived at_a;
  Arrived at_b;
};

TEST_F(RawCircuit, Passes131072BytesEachWayAndNotOneMore) {
  ASSERT_TRUE(run(write(a_end, io::Bytes(limit_bytes, 1))));
  ASSERT_TRUE(run(write(b_end, io::Bytes(limit_bytes, 2))));
  world.simulation().run_for(20s);
  EXPECT_EQ(at_b.bytes, limit_bytes);
  EXPECT_EQ(at_a.bytes, limit_bytes);
  EXPECT_FALSE(at_a.end || at_b.end);
  EXPECT_EQ(circuits(), 1u);

  ASSERT_TRUE(run(write(a_end, io::Bytes(1, 3))));
  world.simulation().run_for(1s);
  EXPECT_EQ(at_b.bytes, limit_bytes);
  EXPECT_EQ(at_a.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_b.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(circuits(), 0u);
  EXPECT_EQ(counters().cut_by_data, 1u);
  EXPECT_EQ(counters().bytes_relayed, 2 * limit_bytes);
}

TEST_F(RawCircuit, IsCutExactly120SecondsAfterItWasGranted) {
  // The answer that grants it and the reset that cuts it take the same way to A, one frame each.
  world.simulation().run_until(granted_at + limit_duration - 1ns);
  EXPECT_FALSE(at_a.end);
  world.simulation().run_for(1s);
  EXPECT_EQ(at_a.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_b.end, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(at_a.at - granted_at, limit_duration);
  EXPECT_EQ(counters().cut_by_duration, 1u);
  EXPECT_EQ(counters().cut_by_data, 0u);
  EXPECT_EQ(circuits(), 0u);
}

TEST_F(RelayedPair, AConnectionBetweenPeersThatCannotPunchLivesForTwoMinutes) {
  auto& a = *world.a().node;
  const auto& b = world.b().node->id();
  std::optional<io::TimePoint> ended_at;
  a.swarm().on_disconnected([&](const swarm::ConnectionPtr& connection) {
    if (connection->remote() == b) ended_at = world.simulation().now();
  });
  const auto circuit = world.addresses_of(world.relay(), world::Transport::tcp)
                           .front()
                           .with_peer(world.relay().node->id())
                           .encapsulate(Multiaddr::circuit());
  swarm::DialRequest request{b, std::vector<Multiaddr>(1, circuit), false};
  const auto dial = run(a.swarm().dial(std::move(request)));
  ASSERT_TRUE(dial.connection);
  EXPECT_EQ(dial.connection->facts().limit.duration, limit_duration);
  EXPECT_EQ(dial.connection->facts().limit.bytes, limit_bytes);
  world.simulation().run_for(3min);
  ASSERT_TRUE(ended_at);
  // It was granted before both ends had secured it, which took a few round trips.
  EXPECT_LE(*ended_at - dial.connection->facts().opened_at, limit_duration);
  EXPECT_GT(*ended_at - dial.connection->facts().opened_at, limit_duration - 1s);
  EXPECT_EQ(counters().cut_by_duration, 1u);
  EXPECT_FALSE(a.swarm().direct_connection_to(b));
}

}  // namespace
}  // namespace flaresim::test
