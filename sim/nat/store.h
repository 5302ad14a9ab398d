#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

/// Storage of a table whose entries refer to each other: entries live in a pool and are named by a number,
/// indexes hold only numbers, and lists run through the entries. All operations are O(1) amortised, and
/// nothing depends on addresses in memory, so the same calls give the same numbers.
namespace flaresim::nat {

using Id = std::uint32_t;
inline constexpr Id nobody = 0xffffffff;

/// Entries named by number. An entry never moves; a pool that becomes empty gives its memory back.
template <typename T>
class Pool {
 public:
  Id add(const T& value) {
    if (free_.empty()) {
      for (std::size_t i = chunk_size; i-- > 0;)
        free_.push_back(static_cast<Id>(chunks_.size() * chunk_size + i));
      chunks_.push_back(std::make_unique<std::array<T, chunk_size>>());
    }
    const Id id = free_.back();
    free_.pop_back();
    (*this)[id] = value;
    ++size_;
    return id;
  }

  void remove(Id id) {
    free_.push_back(id);
    if (--size_ != 0) return;
    chunks_ = decltype(chunks_)();
    free_ = decltype(free_)();
  }

  T& operator[](Id id) { return (*chunks_[id / chunk_size])[id % chunk_size]; }
  const T& operator[](Id id) const { return (*chunks_[id / chunk_size])[id % chunk_size]; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t chunk_size = 32;
  std::vector<std::unique_ptr<std::array<T, chunk_size>>> chunks_;
  std::vector<Id> free_;
  std::size_t size_ = 0;
};

/// From a hash to the numbers of entries: open addressing with linear probing, at most 80 % full, growing by
/// half. An index that becomes empty gives its memory back.
class Index {
 public:
  /// The entry with this hash for which `matches(id)` holds, or `nobody`.
  template <typename Matches>
  Id find(std::uint32_t hash, Matches matches) const {
    if (size_ == 0) return nobody;
    for (std::size_t at = home(hash); slots_[at].id != nobody; at = next(at))
      if (slots_[at].hash == hash && matches(slots_[at].id)) return slots_[at].id;
    return nobody;
  }

  void insert(std::uint32_t hash, Id id) {
    if ((size_ + 1) * 8 > slots_.size() * 7) grow();
    place({hash, id});
    ++size_;
  }

  /// The entry must be there.
  void erase(std::uint32_t hash, Id id) {
    if (--size_ == 0) {
      slots_ = decltype(slots_)();
      return;
    }
    std::size_t hole = home(hash);
    while (slots_[hole].id != id) hole = next(hole);
    for (std::size_t at = next(hole); slots_[at].id != nobody; at = next(at)) {
      if (distance(home(slots_[at].hash), at) < distance(hole, at))
        continue;  // would leave its probe sequence
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
  }

  std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    Id id = nobody;
  };

  std::size_t home(std::uint32_t hash) const { return (std::uint64_t{hash} * slots_.size()) >> 32; }
  std::size_t next(std::size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
  std::size_t distance(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }
  void place(Slot slot) {
    std::size_t at = home(slot.hash);
    while (slots_[at].id != nobody) at = next(at);
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() + slots_.size() / 4 + 8);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.id != nobody) place(slot);
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

/// An entry's place in one list.
struct Link {
  Id previous = nobody;
  Id next = nobody;
};

/// Entries in the order in which they came, linked by `link` of the entries themselves.
template <typename T, Link T::*link>
class Queue {
 public:
  Id front() const { return front_; }

  void push_back(Pool<T>& pool, Id id) {
    pool[id].*link = {back_, nobody};
    (back_ == nobody ? front_ : (pool[back_].*link).next) = id;
    back_ = id;
  }

  void remove(Pool<T>& pool, Id id) {
    const Link gone = pool[id].*link;
    (gone.previous == nobody ? front_ : (pool[gone.previous].*link).next) = gone.next;
    (gone.next == nobody ? back_ : (pool[gone.next].*link).previous) = gone.previous;
  }

 private:
  Id front_ = nobody;
  Id back_ = nobody;
};

/// Entries in no order that matters, linked likewise; the latest is in front.
template <typename T, Link T::*link>
class Group {
 public:
  Id front() const { return front_; }

  void push(Pool<T>& pool, Id id) {
    pool[id].*link = {nobody, front_};
    if (front_ != nobody) (pool[front_].*link).previous = id;
    front_ = id;
  }

  void remove(Pool<T>& pool, Id id) {
    const Link gone = pool[id].*link;
    (gone.previous == nobody ? front_ : (pool[gone.previous].*link).next) = gone.next;
    if (gone.next != nobody) (pool[gone.next].*link).previous = gone.previous;
  }

 private:
  Id front_ = nobody;
};

}  // namespace flaresim::nat
