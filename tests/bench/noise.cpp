#include "tests/bench/noise.h"

#include <benchmark/benchmark.h>

#include <stdexcept>

#include "protocols/crypto/peer_record.h"
#include "protocols/security/noise.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::bench {
namespace {

using security::NoiseMode;

struct Ends {
  security::Secured client;
  security::Secured server;
};

/// Two peers on a pipe in memory.
class NoisePair {
 public:
  NoisePair()
      : random_(1),
        client_(crypto::PrivateKey::generate(random_)),
        server_(crypto::PrivateKey::generate(random_)) {}

  Ends shake_hands(NoiseMode mode) {
    const auto ends = support::pipe(scheduler_);
    const auto expected = server_.public_key().peer_id();
    const std::vector<std::string> muxers{"/yamux/1.0.0"};
    const auto accepting = support::start(
        scheduler_, security::noise(scheduler_, ends.b, server_, io::Random(random_.seed_bytes()),
                                    {security::Role::server, {}, muxers}, mode));
    auto dialled = support::run_task(
        scheduler_, security::noise(scheduler_, ends.a, client_, io::Random(random_.seed_bytes()),
                                    {security::Role::client, expected, muxers}, mode));
    scheduler_.run_for({});
    if (!dialled || !accepting.done() || !accepting.value()) throw std::logic_error("Noise handshake");
    return {std::move(*dialled), std::move(*accepting.value())};
  }

  /// Writes and reads that many bytes in pieces of one size.
  void carry(const Ends& ends, std::size_t bytes, std::size_t piece) {
    io::Bytes out(piece, 0x5a), in(piece);
    for (std::size_t carried = 0; carried < bytes; carried += piece) {
      if (!support::run_task(scheduler_, ends.client.stream->write(out)) ||
          !support::run_task(scheduler_, io::read_exactly(*ends.server.stream, in)))
        throw std::logic_error("Noise stream");
    }
  }

 private:
  support::TestScheduler scheduler_;
  io::Random random_;
  crypto::PrivateKey client_, server_;
};

/// Both modes in turns, `times` a round.
template <class Work>
void compare(benchmark::State& state, int times, Work work) {
  std::vector<double> real_us, modelled_us, ratio;
  const auto measure = [&](NoiseMode mode) {
    return 1e6 * cpu_of([&] { work(mode, times); }).count() / times;
  };
  for (auto _ : state) {
    real_us.push_back(measure(NoiseMode::real));
    modelled_us.push_back(measure(NoiseMode::modelled));
    ratio.push_back(real_us.back() / modelled_us.back());
  }
  state.counters["real_us"] = median(real_us);
  state.counters["modelled_us"] = median(modelled_us);
  state.counters["real_over_modelled"] = median(ratio);
}

void noise_handshake(benchmark::State& state, const Sizes& sizes) {
  NoisePair pair;
  compare(state, sizes.handshakes_per_round, [&](NoiseMode mode, int times) {
    for (int i = 0; i < times; ++i) pair.shake_hands(mode);
  });
}

void noise_stream(benchmark::State& state, const Sizes& sizes, std::size_t piece) {
  NoisePair pair;
  compare(state, sizes.handshakes_per_round, [&](NoiseMode mode, int times) {
    const auto ends = pair.shake_hands(mode);
    pair.carry(ends, static_cast<std::size_t>(times) * piece, piece);
  });
}

/// What identify adds to each side of a new connection; no mode changes it.
void signed_record(benchmark::State& state, const Sizes& sizes) {
  io::Random random(2);
  const auto key = crypto::PrivateKey::generate(random);
  const std::vector addresses{
      multiformats::Multiaddr::from_string("/ip4/192.0.2.1/tcp/4001").value(),
      multiformats::Multiaddr::from_string("/ip4/192.0.2.1/udp/4001/quic-v1").value()};
  std::vector<double> open_us, seal_us;
  std::uint64_t seq = 0;
  for (auto _ : state) {
    const auto times = sizes.handshakes_per_round;
    // Each is new: a signature that was found good before costs a look at a table.
    std::vector<io::Bytes> sealed;
    seal_us.push_back(1e6 / times * cpu_of([&] {
                                      for (int i = 0; i < times; ++i)
                                        sealed.push_back(crypto::seal_peer_record(key, ++seq, addresses));
                                    }).count());
    open_us.push_back(1e6 / times * cpu_of([&] {
                                      for (const auto& record : sealed)
                                        if (!crypto::open_peer_record(record))
                                          throw std::logic_error("record");
                                    }).count());
  }
  state.counters["open_us"] = median(open_us);
  state.counters["seal_us"] = median(seal_us);
}

}  // namespace

void register_noise(const Sizes& sizes) {
  const auto add = [&](const char* name, auto... arguments) {
    benchmark::RegisterBenchmark(name, arguments...)
        ->Iterations(sizes.rounds)
        ->MeasureProcessCPUTime()
        ->Unit(benchmark::kMillisecond);
  };
  add("noise_handshake", noise_handshake, sizes);
  add("noise_stream_small", noise_stream, sizes, std::size_t{200});
  add("noise_stream_large", noise_stream, sizes, std::size_t{60'000});
  add("signed_record", signed_record, sizes);
}

}  // namespace flaresim::bench
