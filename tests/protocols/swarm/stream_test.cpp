#include <gmock/gmock.h>

#include "tests/protocols/support/error_of.h"
#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

io::Task<io::Result<std::size_t>> read_byte(io::StreamPtr stream) {
  std::array<std::uint8_t, 1> byte;
  co_return co_await stream->read(byte);
}

io::Task<> answer_after(io::Scheduler& scheduler, IncomingStream in, io::Duration delay) {
  co_await scheduler.sleep_for(delay);
  const io::Bytes answer{42};
  if (co_await in.stream->write(answer)) co_await in.stream->close_write();
}

StreamHandler slow_answer(io::Scheduler& scheduler) {
  return [&scheduler](IncomingStream in) { return answer_after(scheduler, std::move(in), 100ms); };
}

TEST(Stream, ReachesTheHandlerOfTheFirstProtocolThatBothKnow) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/second", slow_answer(world.scheduler));
  world.connect(a, b);
  const auto opened = world.run(a.swarm->open_stream(b.id(), {"/first", "/second"}));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->protocol, "/second");
  EXPECT_EQ(world.run(read_byte(opened->stream)), 1u);
}

TEST(Stream, OfAnUnknownProtocolIsGone) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/known", slow_answer(world.scheduler));
  world.connect(a, b);
  const auto opened = world.run(a.swarm->open_stream(b.id(), {"/unknown"}));
  EXPECT_EQ(error_of(opened), negotiation::Error::no_protocol);
  world.scheduler.run_for(1s);
  EXPECT_EQ(a.connection()->streams(), 0u);
  EXPECT_EQ(b.connection()->streams(), 0u);
}

TEST(Stream, NeedsAConnection) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  EXPECT_EQ(error_of(world.run(a.swarm->open_stream(b.id(), {"/any"}))), Error::not_connected);
}

TEST(Stream, ThatIsNotNegotiatedInTimeIsGoneOnBothSides) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  world.connect(a, b);
  const auto began = world.scheduler.now();
  const auto opened = world.run(a.connection()->open_stream({"/any"}, 5ms));
  EXPECT_EQ(error_of(opened), std::errc::timed_out);
  EXPECT_EQ(world.scheduler.now() - began, 5ms);
  world.scheduler.run_for(1s);
  EXPECT_EQ(b.connection()->streams(), 0u);
}

TEST(Handler, RunsOnAfterItsProtocolWasTakenOff) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/slow", slow_answer(world.scheduler));
  world.connect(a, b);
  const auto opened = world.run(a.swarm->open_stream(b.id(), {"/slow"}));
  ASSERT_TRUE(opened);
  b.swarm->unhandle("/slow");
  EXPECT_EQ(world.run(read_byte(opened->stream)), 1u);
  EXPECT_EQ(error_of(world.run(a.swarm->open_stream(b.id(), {"/slow"}))), negotiation::Error::no_protocol);
}

TEST(Handler, TakenOffDuringTheNegotiationLeavesNoStream) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  auto& b = world.add("2.2.2.2");
  b.swarm->handle("/gone", slow_answer(world.scheduler));
  world.connect(a, b);
  for (int delay = 0; delay < 25; ++delay) {
    b.swarm->handle("/gone", slow_answer(world.scheduler));
    const auto opening = support::start(world.scheduler, a.swarm->open_stream(b.id(), {"/gone"}));
    world.scheduler.run_for(std::chrono::milliseconds(delay));
    b.swarm->unhandle("/gone");
    world.scheduler.run_for(1s);
    EXPECT_TRUE(opening.done());
    if (opening.value()) opening.value()->stream->reset();
    world.scheduler.run_for(1s);
    EXPECT_EQ(b.connection()->streams(), 0u) << delay;
  }
}

TEST(Handlers, AreListedInAlphabeticalOrder) {
  SwarmWorld world;
  auto& a = world.add("1.1.1.1");
  for (const auto* name : {"/b", "/c", "/a"}) a.swarm->handle(name, slow_answer(world.scheduler));
  EXPECT_THAT(a.swarm->protocols(), ElementsAre("/a", "/b", "/c"));
}

}  // namespace
}  // namespace flaresim::swarm
