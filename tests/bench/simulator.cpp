#include <benchmark/benchmark.h>
#include <ns3/priority-queue-scheduler.h>

#include <vector>

#include "protocols/io/random.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/simulation.h"
#include "sim/net/tcp_socket.h"
#include "tests/bench/measure.h"

namespace flaresim::bench {
namespace {

/// Events run and scheduled anew, as a network does: one in two is a packet's that arrives within a tenth of a second, the
/// others are timers of up to half a minute.
class Hold {
 public:
  Hold(ns3::Ptr<ns3::Scheduler> queue, std::size_t pending) : queue_(std::move(queue)) {
    for (std::size_t i = 0; i < pending; ++i) insert(random_.below(timer_limit));
  }
  ~Hold() {
    while (!queue_->IsEmpty()) queue_->RemoveNext();
  }

  /// CPU nanoseconds an event.
  double run(std::size_t events) {
    const auto took = cpu_of([&] {
      for (std::size_t i = 0; i < events; ++i) {
        now_ = queue_->RemoveNext().key.m_ts;
        insert(now_ + 1 + random_.below(i % 2 == 0 ? packet_limit : timer_limit));
      }
    });
    return took.count() * 1e9 / static_cast<double>(events);
  }

 private:
  static constexpr std::uint64_t packet_limit = 100'000'000, timer_limit = 30'000'000'000;

  void insert(std::uint64_t at) { queue_->Insert({nullptr, {at, next_uid_++, 0}}); }

  ns3::Ptr<ns3::Scheduler> queue_;
  io::Random random_{1};
  std::uint64_t now_ = 0;
  std::uint32_t next_uid_ = 4;
};

void event_queue(benchmark::State& state, const Sizes& sizes) {
  Hold stock(ns3::CreateObject<ns3::PriorityQueueScheduler>(), sizes.pending_events);
  Hold ours(ns3::CreateObject<engine::EventQueue>(), sizes.pending_events);
  std::vector<double> event, over_stock;
  for (auto _ : state) {
    const auto stock_ns = stock.run(sizes.pending_events);
    event.push_back(ours.run(sizes.pending_events));
    over_stock.push_back(event.back() / stock_ns);
  }
  state.counters["ns/event"] = median(event);
  state.counters["over_stock"] = median(over_stock);
}

void tcp_sockets(benchmark::State& state) {
  constexpr std::size_t batch = 1000;
  const engine::Simulation simulation;  // sockets end with it
  std::vector<double> socket, over_stock;
  for (auto _ : state) {
    const auto of = [&](auto&& make) {
      std::vector<ns3::Ptr<net::TcpSocket>> made;
      made.reserve(batch);
      return cpu_of([&] {
               for (std::size_t i = 0; i < batch; ++i) made.push_back(make());
             }).count() *
             1e9 / batch;
    };
    const auto stock_ns = of([] { return ns3::CreateObject<net::TcpSocket>(); });
    socket.push_back(of([] { return net::TcpSocket::make(); }));
    over_stock.push_back(socket.back() / stock_ns);
  }
  state.counters["ns/socket"] = median(socket);
  state.counters["over_stock"] = median(over_stock);
}

}  // namespace

void register_simulator(const Sizes& sizes) {
  benchmark::RegisterBenchmark("event_queue", event_queue, sizes)
      ->Iterations(sizes.rounds)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("tcp_sockets", tcp_sockets)
      ->Iterations(sizes.rounds)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
