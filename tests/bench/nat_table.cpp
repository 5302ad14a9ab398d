#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "sim/nat/nat.h"
#include "tests/bench/measure.h"

namespace flaresim::bench {
namespace {

/// As in nated_packets: 200 bytes of UDP.
constexpr std::size_t packet_bytes = 228;
/// Few enough for the packets themselves to stay in the first caches.
constexpr std::size_t batch = 256;

using Packet = std::vector<std::uint8_t>;

void write(Packet& packet, std::size_t at, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    packet[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> 8 * (bytes - 1 - i));
}

/// The packet of one of a million flows: 250 inside hosts, 60 000 ports, as many remotes as it takes.
Packet packet_of(std::size_t flow) {
  Packet packet(packet_bytes, 0);
  packet[0] = 0x45;
  packet[8] = 64;
  packet[9] = 17;
  write(packet, 2, packet_bytes, 2);
  write(packet, 12, (10u << 24) + static_cast<std::uint32_t>(flow % 250), 4);
  write(packet, 16, (32u << 24) + static_cast<std::uint32_t>(flow / 60'000), 4);
  write(packet, 20, static_cast<std::uint32_t>(1024 + flow % 60'000), 2);
  write(packet, 22, 443, 2);
  write(packet, 24, packet_bytes - 20, 2);
  return packet;
}

nat::Address outside() {
  nat::Address address{};
  address[10] = address[11] = 0xff;
  address[12] = 84;
  return address;
}

/// A NAT with mappings, as Linux would hold them.
struct Filled {
  explicit Filled(std::size_t mappings)
      : nat(nat::parse_behaviour("APDM/APDF/preserve").value(), outside(), 1), flows(mappings) {
    for (std::size_t flow = 0; flow < flows; ++flow) {
      auto packet = packet_of(flow);
      if (!nat.outbound(packet, now).forward) throw std::logic_error("no mapping");
    }
  }

  /// CPU nanoseconds a packet, of flows at random.
  double translate() {
    std::vector<Packet> packets;
    for (std::size_t i = 0; i < batch; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      packets.push_back(packet_of((state >> 33) % flows));
    }
    const auto took = cpu_of([&] {
      for (auto& packet : packets) {
        now += std::chrono::microseconds(1);
        benchmark::DoNotOptimize(nat.outbound(packet, now).forward);
      }
    });
    return took.count() * 1e9 / batch;
  }

  nat::Nat nat;
  std::size_t flows;
  nat::Time now{};
  std::uint64_t state = 1;
};

/// The best of many short batches, which is what the code takes when no neighbour is in the way.
void nat_translation(benchmark::State& state, const Sizes& sizes) {
  const double before = memory_now().resident;
  Filled large(sizes.mappings);
  const double bytes = (memory_now().resident - before) / static_cast<double>(sizes.mappings);
  Filled small(1000);
  double at_small = std::numeric_limits<double>::max(), at_large = at_small;
  std::vector<double> over_stock;
  for (auto _ : state) {
    for (int i = 0; i < 2000; ++i) {
      at_small = std::min(at_small, small.translate());
      at_large = std::min(at_large, large.translate());
    }
    over_stock.push_back(at_small * 1e-9 * stock_network_packets_per_second(sizes));
  }
  state.counters["ns_at_1000"] = at_small;
  state.counters["ns_at_most"] = at_large;
  state.counters["at_most_over_at_1000"] = at_large / at_small;
  state.counters["at_1000_over_stock_network"] = median(over_stock);
  state.counters["mappings_at_most"] = static_cast<double>(sizes.mappings);
  state.counters["bytes/mapping"] = bytes;
}

}  // namespace

void register_nat_table(const Sizes& sizes) {
  benchmark::RegisterBenchmark("nat_translation", nat_translation, sizes)
      ->Iterations(std::min(sizes.rounds, 3))
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
