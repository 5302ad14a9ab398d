#include "sim/nat/large_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace flaresim::nat {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t small_page = 4096;

std::size_t in_pages(std::size_t bytes) { return (bytes + small_page - 1) / small_page * small_page; }

}  // namespace

void* allocate_large(std::size_t bytes, std::size_t alignment) {
  if (bytes < huge_page) return ::operator new(bytes, std::align_val_t(alignment));
  const std::size_t size = in_pages(bytes), mapped = size + huge_page;
  void* const begin = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t aligned = (address + huge_page - 1) / huge_page * huge_page;
  const std::size_t before = aligned - address, after = mapped - before - size;
  if (before > 0) munmap(begin, before);
  if (after > 0) munmap(reinterpret_cast<void*>(aligned + size), after);
  madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);  // without it all works, too
  return reinterpret_cast<void*>(aligned);
}

void release_large(void* memory, std::size_t bytes, std::size_t alignment) {
  if (bytes < huge_page)
    ::operator delete(memory, std::align_val_t(alignment));
  else
    munmap(memory, in_pages(bytes));
}

}  // namespace flaresim::nat
