#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace flaresim::bench {

/// How much each benchmark does.
struct Sizes {
  int rounds = 7;                          ///< of which the median counts
  std::size_t hosts = 100;                 ///< that exchange datagrams
  std::uint32_t datagrams_per_host = 250;  ///< in one round
  int trials_per_round = 10;               ///< of the pair
  std::size_t idle_hosts = 10'000;
  std::size_t relayed_pairs = 100;
  std::uint64_t population_trials = 200;
  int handshakes_per_round = 100;
  std::size_t meshed_hosts = 142;  ///< each connected to every other: 10 011 connections

  /// Nodes of a network, and simulated minutes.
  std::vector<std::pair<std::uint64_t, int>> networks = {{1'000, 60}, {3'000, 60}, {10'000, 60}};

  std::size_t mappings = 1'000'000;  ///< of the largest NAT
  std::size_t pending_events = 4'000'000;

  /// Enough to see that everything works.
  static Sizes smoke();
};

using CpuTime = std::chrono::duration<double>;

/// CPU time of this process so far, user and system.
CpuTime cpu_now();

/// CPU time of one call.
template <class F>
CpuTime cpu_of(F&& call) {
  const auto before = cpu_now();
  call();
  return cpu_now() - before;
}

/// Of at least one value; the lower one of the two in the middle.
double median(std::vector<double> values);

/// Memory of this process in bytes, after what is free has been given back.
struct Memory {
  double heap = 0;      ///< handed out by malloc
  double resident = 0;  ///< held by the kernel, fragmentation and the allocator's own included
};
Memory memory_now();

/// How many datagrams ns-3 carries from host to host a second of CPU, as in nated_packets.
double stock_network_packets_per_second(const Sizes& sizes);

void register_packets(const Sizes& sizes);
void register_nat_table(const Sizes& sizes);
void register_trial(const Sizes& sizes);
void register_memory(const Sizes& sizes);
void register_handshakes(const Sizes& sizes);
void register_networks(const Sizes& sizes);
void register_simulator(const Sizes& sizes);

}  // namespace flaresim::bench
