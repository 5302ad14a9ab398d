#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/nat/large_memory.h"

/// Storage of a table whose entries refer to each other: entries live in a pool and are named by a number,
/// indexes hold only numbers, and rings run through the entries. All operations are O(1) amortised, and
/// nothing depends on addresses in memory, so the same calls give the same numbers.
namespace flaresim::nat {

using Id = std::uint32_t;
inline constexpr Id nobody = 0xffffffff;

/// Entries named by number, each with a part that is touched by every packet and one that is not, so that the
/// former stays in as few cache lines as it fits. An entry never moves; a pool that becomes empty gives its
/// memory back. Entries come in small chunks while there are few, then in chunks of huge pages.
template <typename Hot, typename Cold>
class Pool {
 public:
  Id add(const Hot& value) {
    if (free_.empty()) grow();
    const Id id = free_.back();
    free_.pop_back();
    (*this)[id] = value;
    cold(id) = {};
    ++size_;
    return id;
  }

  void remove(Id id) {
    free_.push_back(id);
    if (--size_ != 0) return;
    chunks_ = decltype(chunks_)();
    free_ = decltype(free_)();
    capacity_ = 0;
  }

  Hot& operator[](Id id) { return chunks_[chunk_of(id)].hot[place_of(id)]; }
  const Hot& operator[](Id id) const { return chunks_[chunk_of(id)].hot[place_of(id)]; }
  Cold& cold(Id id) { return chunks_[chunk_of(id)].cold[place_of(id)]; }
  const Cold& cold(Id id) const { return chunks_[chunk_of(id)].cold[place_of(id)]; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t small = 32, large = 32768;
  struct Chunk {
    std::vector<Hot, LargeAllocator<Hot>> hot;
    std::vector<Cold, LargeAllocator<Cold>> cold;
  };
  static std::size_t chunk_of(Id id) { return id < large ? id / small : large / small - 1 + id / large; }
  static std::size_t place_of(Id id) { return id < large ? id % small : id % large; }

  void grow() {
    const std::size_t more = capacity_ < large ? small : large;
    chunks_.push_back({decltype(Chunk::hot)(more), decltype(Chunk::cold)(more)});
    free_.reserve(more);
    for (std::size_t i = more; i-- > 0;) free_.push_back(static_cast<Id>(capacity_ + i));
    capacity_ += more;
  }

  std::vector<Chunk> chunks_;
  std::vector<Id> free_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

/// From a hash to the numbers of entries: open addressing with linear probing, at most 7/8 full, growing by a
/// quarter. An index that becomes empty gives its memory back.
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
    std::size_t hole = slot_of(hash, id);
    for (std::size_t at = next(hole); slots_[at].id != nobody; at = next(at)) {
      if (distance(home(slots_[at].hash), at) < distance(hole, at))
        continue;  // would leave its probe sequence
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
  }

  /// Another entry takes the place of one that is there.
  void replace(std::uint32_t hash, Id id, Id by) { slots_[slot_of(hash, id)].id = by; }

  /// Every entry, in an order that only depends on what was called before.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_)
      if (slot.id != nobody) visit(slot.id);
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
  std::size_t slot_of(std::uint32_t hash, Id id) const {
    std::size_t at = home(hash);
    while (slots_[at].id != id) at = next(at);
    return at;
  }
  void place(Slot slot) {
    std::size_t at = home(slot.hash);
    while (slots_[at].id != nobody) at = next(at);
    slots_[at] = slot;
  }
  void grow() {
    decltype(slots_) old(slots_.size() + slots_.size() / 4 + 8);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.id != nobody) place(slot);
  }

  std::vector<Slot, LargeAllocator<Slot>> slots_;
  std::size_t size_ = 0;
};

/// An entry's place in one ring.
struct Link {
  Id previous = nobody;
  Id next = nobody;
};

/// A ring of entries in the order in which they came, named by its first one; `nobody` is the empty ring.
/// `link_of(id)` gives an entry's link in it.
template <typename LinkOf>
void ring_insert(Id& first, Id id, LinkOf link_of) {
  if (first == nobody) {
    first = id;
    link_of(id) = {id, id};
    return;
  }
  const Id last = link_of(first).previous;
  link_of(id) = {last, first};
  link_of(last).next = id;
  link_of(first).previous = id;
}

template <typename LinkOf>
void ring_remove(Id& first, Id id, LinkOf link_of) {
  const Link gone = link_of(id);
  if (gone.next == id) {
    first = nobody;
    return;
  }
  link_of(gone.previous).next = gone.next;
  link_of(gone.next).previous = gone.previous;
  if (first == id) first = gone.next;
}

}  // namespace flaresim::nat
