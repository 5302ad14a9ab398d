#include "sim/engine/event_queue.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace flaresim::engine {
namespace {

using Event = ns3::Scheduler::Event;

/// For the standard library's heaps, whose first element is the greatest.
bool later(const Event& a, const Event& b) { return b.key < a.key; }

void push(std::vector<Event>& heap, const Event& event) {
  heap.push_back(event);
  std::push_heap(heap.begin(), heap.end(), later);
}

Event pop(std::vector<Event>& heap) {
  std::pop_heap(heap.begin(), heap.end(), later);
  const auto event = heap.back();
  heap.pop_back();
  return event;
}

}  // namespace

ns3::TypeId EventQueue::GetTypeId() {
  static const ns3::TypeId id =
      ns3::TypeId("flaresim::engine::EventQueue").SetParent<ns3::Scheduler>().AddConstructor<EventQueue>();
  return id;
}
ns3::TypeId EventQueue::GetInstanceTypeId() const { return GetTypeId(); }

void EventQueue::Insert(const Event& event) {
  if (event.key.m_uid == std::numeric_limits<std::uint32_t>::max()) {
    throw std::length_error(
        "a world of more than 4 294 967 290 events: simulate fewer nodes, or a shorter time");
  }
  ++size_;
  place(event);
  if (present_.empty()) advance();
}

void EventQueue::place(const Event& event) {
  const auto slice = slice_of(event);
  if (slice <= slice_) {
    push(present_, event);
  } else if (slice < slice_ + slices) {
    ring_[slice % slices].push_back(event);
    ++in_ring_;
  } else {
    push(beyond_, event);
  }
}

Event EventQueue::RemoveNext() {
  const auto event = pop(present_);
  if (--size_ > 0 && present_.empty()) advance();
  return event;
}

/// To the next slice that has events. There is one.
void EventQueue::advance() {
  while (present_.empty()) {
    slice_ = in_ring_ > 0 ? slice_ + 1 : slice_of(beyond_.front());
    present_ = std::exchange(ring_[slice_ % slices], {});  // no memory stays behind in the past
    in_ring_ -= present_.size();
    std::make_heap(present_.begin(), present_.end(), later);
    while (!beyond_.empty() && slice_of(beyond_.front()) < slice_ + slices) place(pop(beyond_));
  }
}

void EventQueue::Remove(const Event& event) {
  const auto take_from = [&](std::vector<Event>& events) {
    const auto found = std::find_if(events.begin(), events.end(),
                                    [&](const Event& e) { return e.key.m_uid == event.key.m_uid; });
    if (found == events.end()) return false;
    *found = events.back();
    events.pop_back();
    return true;
  };
  --size_;
  const auto slice = slice_of(event);
  if (slice > slice_ && slice < slice_ + slices && take_from(ring_[slice % slices])) {
    --in_ring_;
    return;
  }
  auto& heap = slice <= slice_ ? present_ : beyond_;
  take_from(heap);
  std::make_heap(heap.begin(), heap.end(), later);
  if (size_ > 0 && present_.empty()) advance();
}

}  // namespace flaresim::engine
