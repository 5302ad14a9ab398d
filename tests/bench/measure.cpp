#include "tests/bench/measure.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace flaresim::bench {

Sizes Sizes::smoke() {
  return {.rounds = 1,
          .hosts = 10,
          .datagrams_per_host = 5,
          .trials_per_round = 1,
          .idle_hosts = 20,
          .relayed_pairs = 2,
          .population_trials = 3,
          .handshakes_per_round = 2,
          .meshed_hosts = 3,
          .networks = {{20, 40}},
          .mappings = 20'000,
          .pending_events = 20'000};
}

CpuTime cpu_now() {
  timespec time{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) throw std::runtime_error("no CPU clock");
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Memory memory_now() {
  malloc_trim(0);
  const auto heap = mallinfo2();
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0;
  double resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) throw std::runtime_error("cannot read /proc/self/statm");
  return {.heap = static_cast<double>(heap.uordblks + heap.hblkhd),
          .resident = resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE))};
}

}  // namespace flaresim::bench
