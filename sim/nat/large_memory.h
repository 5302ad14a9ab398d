#pragma once

#include <cstddef>

namespace flaresim::nat {

/// Memory for arrays that are looked up at random: from 2 MiB on in huge pages where the system has them, since
/// otherwise most look-ups also miss the TLB. Throws std::bad_alloc.
void* allocate_large(std::size_t bytes, std::size_t alignment);
void release_large(void* memory, std::size_t bytes, std::size_t alignment);

/// The same for containers.
template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename Other>
  LargeAllocator(const LargeAllocator<Other>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(allocate_large(count * sizeof(T), alignof(T))); }
  void deallocate(T* memory, std::size_t count) { release_large(memory, count * sizeof(T), alignof(T)); }
  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};

}  // namespace flaresim::nat
