#pragma once

#include <ns3/scheduler.h>

#include <array>
#include <cstdint>
#include <vector>

namespace flaresim::engine {

/// The events to come, for worlds with millions of them: most are timers that lie seconds ahead and are cancelled before
/// their time, yet in one heap each event that is due now is sifted past them, through memory that no cache holds.
///
/// 1. Only the events of the present slice of time are in a heap. Later ones lie unsorted in a ring of slices, those beyond
///    the ring in a heap of their own.
/// 2. The order is ns-3's: by instant, then in the order of scheduling.
/// 3. ns-3 numbers the events of a world with 32 bits, and once these have wrapped it would run events of one instant in
///    the wrong order. Instead, the last number is refused: Insert throws std::length_error.
class EventQueue final : public ns3::Scheduler {
 public:
  static ns3::TypeId GetTypeId();
  ns3::TypeId GetInstanceTypeId() const override;

  void Insert(const Event& event) override;
  bool IsEmpty() const override { return size_ == 0; }
  Event PeekNext() const override { return present_.front(); }
  Event RemoveNext() override;
  void Remove(const Event& event) override;

 private:
  using Heap = std::vector<Event>;
  static constexpr unsigned slice_bits = 24;   // of the nanosecond clock: 17 ms
  static constexpr std::size_t slices = 4096;  // 69 s

  static std::uint64_t slice_of(const Event& event) { return event.key.m_ts >> slice_bits; }
  void place(const Event& event);
  void advance();

  std::uint64_t slice_ = 0;  // the present one
  Heap present_;             // empty only when everything is
  std::array<std::vector<Event>, slices> ring_;
  std::size_t in_ring_ = 0;
  Heap beyond_;
  std::size_t size_ = 0;
};

}  // namespace flaresim::engine
