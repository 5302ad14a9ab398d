#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/nat/nat.h"
#include "sim/nat/store.h"

namespace flaresim::nat {

/// When entries with one and the same timeout end, to the nanosecond, without any work for an entry whose
/// deadline moves: that costs the owner one store.
///
/// Entries wait in one of some slots of time, by the deadline they had when they were put there. A slot is
/// looked at when its time begins: entries whose deadline has moved on go to their new slot, the others are
/// put in order. So each entry is looked at about once a timeout, however many packets it carries.
///
/// An `Owner` knows the entries: `deadline(id)`, `due_link(id)` (a Link&), `due_slot(id)` (a std::uint8_t&),
/// and `expire(id)`, which removes the entry from here, too.
class Wheel {
 public:
  static constexpr Time never = Time::max();

  Wheel() : Wheel(Time(1)) {}
  explicit Wheel(Time timeout)
      : timeout_(std::max(timeout, Time(1))), width_(std::max<Time::rep>(timeout_.count() / slots, 1)) {}

  Time timeout() const { return timeout_; }
  /// Before then there is nothing to do.
  Time next_check() const { return next_check_; }

  /// The entry's deadline is now and the timeout.
  template <typename Owner>
  void add(Owner& owner, Id id, Time now) {
    if (size_++ == 0) {
      first_.assign(rows + 1, nobody);
      open_ = now.count() / width_;
      next_check_ = end_of(open_);
    }
    put(owner, id);
  }

  template <typename Owner>
  void remove(Owner& owner, Id id) {
    take(owner, id);
    if (--size_ != 0) return;
    next_check_ = never;
    first_ = {};
  }

  /// Ends what is due.
  template <typename Owner>
  void advance(Owner& owner, Time now) {
    if (now < next_check_) return;
    const Time::rep current = now.count() / width_;
    while (size_ != 0) {
      expire_open(owner, now);
      if (open_ >= current || size_ == 0) break;
      open_ = std::max(open_ + 1, current - static_cast<Time::rep>(rows));
      open(owner);
    }
    if (size_ == 0) return;
    next_check_ = end_of(open_);
    if (first_[in_order] != nobody) next_check_ = std::min(next_check_, owner.deadline(first_[in_order]));
  }

 private:
  static constexpr std::size_t slots = 32;
  static constexpr std::size_t rows = slots + 2;  // deadlines of now and the timeout reach so far
  static constexpr std::size_t in_order = rows;   // the slot whose time it is, sorted

  Time end_of(Time::rep slot) const { return Time((slot + 1) * width_); }

  template <typename Owner>
  void put(Owner& owner, Id id) {
    place(owner, id, static_cast<std::size_t>(owner.deadline(id).count() / width_) % rows);
  }
  template <typename Owner>
  void place(Owner& owner, Id id, std::size_t slot) {
    owner.due_slot(id) = static_cast<std::uint8_t>(slot);
    ring_insert(first_[slot], id, [&](Id other) -> Link& { return owner.due_link(other); });
  }
  template <typename Owner>
  void take(Owner& owner, Id id) {
    ring_remove(first_[owner.due_slot(id)], id, [&](Id other) -> Link& { return owner.due_link(other); });
  }

  /// A deadline that moves while its slot is open is a timeout away, and so outside of that slot.
  template <typename Owner>
  void expire_open(Owner& owner, Time now) {
    while (size_ != 0 && first_[in_order] != nobody) {
      const Id id = first_[in_order];
      if (owner.deadline(id) <= now) {
        owner.expire(id);
      } else if (owner.deadline(id).count() / width_ > open_) {
        take(owner, id);
        put(owner, id);
      } else {
        return;
      }
    }
  }

  template <typename Owner>
  void open(Owner& owner) {
    std::vector<std::pair<Time, Id>> due;
    Id& first = first_[static_cast<std::size_t>(open_) % rows];
    std::vector<Id> all;
    for (Id id = first; id != nobody; id = owner.due_link(id).next) {
      if (!all.empty() && id == first) break;
      all.push_back(id);
    }
    first = nobody;
    for (const Id id : all) {
      const Time deadline = owner.deadline(id);
      if (deadline.count() / width_ > open_)
        put(owner, id);
      else
        due.emplace_back(deadline, id);
    }
    std::sort(due.begin(), due.end());
    for (const auto& [deadline, id] : due) place(owner, id, in_order);
  }

  Time timeout_;
  Time::rep width_;
  Time::rep open_ = 0;
  Time next_check_ = never;
  std::size_t size_ = 0;
  std::vector<Id> first_;  // of each slot's ring; empty while nothing waits, as most do in most NATs
};

}  // namespace flaresim::nat
