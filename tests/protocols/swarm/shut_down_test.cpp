#include <gmock/gmock.h>

#include "tests/protocols/support/error_of.h"
#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using testing::SizeIs;

io::Task<> wait_for_the_end(IncomingStream in) {
  std::array<std::uint8_t, 1> byte;
  while (co_await in.stream->read(byte)) {
  }
}

/// Direct addresses of both kinds of trouble, a working one last, and a circuit that waits for its turn.
DialRequest busy_request(const Party& to) {
  return request_for(
      to.id(), {"/ip4/5.5.5.5/tcp/4001", "/ip4/2.2.2.2/tcp/9", to.address().to_string(), circuit_address});
}

/// The world expects by itself that nothing is left, in the instant of shutting down.
TEST(ShutDown, OfTheDiallerAtAnyInstantLeavesNothing) {
  for (int delay = 0; delay < 150; delay += 2) {
    SwarmWorld world;
    auto& a = world.add("1.1.1.1");
    auto& b = world.add("2.2.2.2");
    const auto dial = world.dial(a, busy_request(b));
    world.scheduler.run_for(std::chrono::milliseconds(delay));
    const bool was_done = dial.done();
    a.swarm->shut_down();
    world.scheduler.settle();
    ASSERT_TRUE(dial.done()) << delay;
    EXPECT_TRUE(was_done || dial.value().error == Error::shut_down) << delay;
    EXPECT_EQ(a.host.open_sockets(), 0u) << delay;
    EXPECT_THAT(a.swarm->connections(), SizeIs(0)) << delay;
  }
}

TEST(ShutDown, OfTheAcceptingSideAtAnyInstantLeavesNothing) {
  for (int delay = 0; delay < 150; delay += 2) {
    SwarmWorld world;
    auto& a = world.add("1.1.1.1");
    auto& b = world.add("2.2.2.2");
    auto request = request_for(b.id(), {b.address().to_string()});
    const auto dial = world.dial(a, std::move(request));
    world.scheduler.run_for(std::chrono::milliseconds(delay));
    b.swarm->shut_down();
    world.scheduler.settle();
    EXPECT_THAT(b.swarm->connections(), SizeIs(0)) << delay;
    world.scheduler.run_for(1s);
    ASSERT_TRUE(dial.done()) << delay;
    EXPECT_EQ(b.host.open_sockets(), 0u) << delay;
    EXPECT_EQ(a.host.open_sockets(), 0u) << delay;
    EXPECT_THAT(a.swarm->connections(), SizeIs(0)) << delay;
  }
}

TEST(ShutDown, InTheMiddleOfACircuitLeavesNothing) {
  for (int delay = 0; delay < 400; delay += 5) {
    SwarmWorld world;
    auto& a = world.add("1.1.1.1");
    auto& b = world.add("2.2.2.2");
    world.join_by_circuits(a, b, {});
    const auto dial = world.dial(a, request_for(b.id(), {circuit_address}));
    world.scheduler.run_for(std::chrono::milliseconds(delay));
    (delay % 2 == 0 ? a : b).swarm->shut_down();
    world.scheduler.run_for(1s);
    EXPECT_TRUE(dial.done()) << delay;
  }
}

TEST(ShutDown, BeforeAnythingHasRunLeavesNothing) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  const auto dial = world.dial(a, busy_request(b));
  const auto ends = support::pipe(world.scheduler);
  const auto accepting =
      support::start(world.scheduler, a.swarm->accept_circuit({ends.a, {}}, parsed(circuit_address)));
  a.swarm->shut_down();
  world.scheduler.settle();
  ASSERT_TRUE(dial.done());
  EXPECT_EQ(dial.value().error, Error::shut_down);
  ASSERT_TRUE(accepting.done());
  EXPECT_EQ(error_of(accepting.value()), Error::shut_down);
  EXPECT_TRUE(ends.a->ended());
}

TEST(ShutDown, EndsStreamsAndConnectionsOnBothSides) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  int disconnected = 0;
  for (auto* party : {&a, &b}) {
    party->swarm->handle("/wait", wait_for_the_end);
    party->swarm->on_disconnected([&](const ConnectionPtr&) { ++disconnected; });
  }
  world.connect(a, b);
  const auto opened = world.run(a.swarm->open_stream(b.id(), {"/wait"}));
  ASSERT_TRUE(opened);
  const auto connection = a.connection();
  a.swarm->shut_down();
  world.scheduler.run_for(1s);
  EXPECT_EQ(disconnected, 2);
  EXPECT_EQ(connection->streams(), 0u);
  EXPECT_EQ(b.host.open_sockets(), 0u);
}

TEST(ShutDown, HappensToASwarmThatIsDestroyed) {
  support::TestScheduler scheduler;
  support::MemoryInternet internet(scheduler);
  auto& host_a = internet.add_host("1.1.1.1");
  auto& host_b = internet.add_host("2.2.2.2");
  for (int delay = 0; delay < 150; delay += 3) {
    auto a = std::make_unique<Party>(host_a, 1, SwarmProfile());
    auto b = std::make_unique<Party>(host_b, 2, SwarmProfile());
    const auto dial = support::start(scheduler, a->swarm->dial(busy_request(*b)));
    const auto open = support::start(scheduler, a->swarm->open_stream(b->id(), {"/any"}));
    scheduler.run_for(std::chrono::milliseconds(delay));
    a.reset();
    b.reset();
    scheduler.settle();
    EXPECT_TRUE(dial.done() && open.done()) << delay;
    EXPECT_EQ(scheduler.armed_timers(), 0u) << delay;
    EXPECT_EQ(host_a.listeners() + host_b.listeners(), 0u);
    scheduler.run_for(1s);
  }
}

}  // namespace
}  // namespace flaresim::swarm
