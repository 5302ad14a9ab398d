#include "sim/engine/event_queue.h"

#include <gtest/gtest.h>
#include <ns3/map-scheduler.h>
#include <ns3/object.h>

#include <stdexcept>
#include <vector>

#include "protocols/io/random.h"

namespace flaresim::engine {
namespace {

using Event = ns3::Scheduler::Event;

/// ns-3's own queue, an ordered tree, is the oracle.
class EventQueueTest : public testing::Test {
 protected:
  void schedule(std::uint64_t at) {
    const Event event{nullptr, {at, next_uid_++, 0}};
    queue_->Insert(event);
    oracle_->Insert(event);
    waiting_.push_back(event);
  }
  void cancel(std::size_t which) {
    queue_->Remove(waiting_[which]);
    oracle_->Remove(waiting_[which]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  /// The instant of the event that is next in both.
  std::uint64_t run_next() {
    const auto expected = oracle_->RemoveNext();
    EXPECT_EQ(queue_->PeekNext().key.m_uid, expected.key.m_uid);
    EXPECT_EQ(queue_->RemoveNext().key.m_uid, expected.key.m_uid);
    std::erase_if(waiting_, [&](const Event& event) { return event.key.m_uid == expected.key.m_uid; });
    EXPECT_EQ(queue_->IsEmpty(), oracle_->IsEmpty());
    return expected.key.m_ts;
  }
  bool empty() const { return oracle_->IsEmpty(); }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  ns3::Ptr<EventQueue> queue_ = ns3::CreateObject<EventQueue>();
  ns3::Ptr<ns3::MapScheduler> oracle_ = ns3::CreateObject<ns3::MapScheduler>();
  std::vector<Event> waiting_;
  std::uint32_t next_uid_ = 4;
};

constexpr std::uint64_t second = 1'000'000'000;

TEST_F(EventQueueTest, EventsOfOneInstantKeepTheirOrder) {
  for (int i = 0; i < 100; ++i) schedule(5 * second);
  while (!empty()) run_next();
}

TEST_F(EventQueueTest, AnEventMayPrecedeThoseThatItsQueueHasComeTo) {
  schedule(3600 * second);
  EXPECT_EQ(run_next(), 3600 * second);
  schedule(7200 * second);
  schedule(3601 * second);
  schedule(3600 * second);
  EXPECT_EQ(run_next(), 3600 * second);
  EXPECT_EQ(run_next(), 3601 * second);
  EXPECT_EQ(run_next(), 7200 * second);
}

TEST_F(EventQueueTest, OrdersWhatASimulationSchedulesAndCancels) {
  io::Random random(1);
  // Now, within a slice, a round trip, a keep-alive, beyond the ring, hours.
  const std::vector<std::uint64_t> horizons{1,           1'000'000,    second / 10,
                                            30 * second, 100 * second, 9000 * second};
  std::uint64_t now = 0;
  for (int step = 0; step < 20000; ++step) {
    const auto kind = random.below(10);
    if (kind < 5 || empty()) {
      schedule(now + random.below(horizons[random.below(horizons.size())]));
    } else if (kind < 9) {
      now = run_next();
    } else {
      cancel(random.below(waiting()));
    }
  }
  while (!empty()) run_next();
}

TEST(EventQueueNumbers, TheLastIsRefusedBeforeTheyWrap) {
  const auto queue = ns3::CreateObject<EventQueue>();
  constexpr std::uint32_t last = 0xffffffff;
  queue->Insert({nullptr, {second, last - 1, 0}});
  EXPECT_THROW(queue->Insert({nullptr, {second, last, 0}}), std::length_error);
  EXPECT_EQ(queue->RemoveNext().key.m_uid, last - 1);
  EXPECT_TRUE(queue->IsEmpty());
}

}  // namespace
}  // namespace flaresim::engine
