#include <benchmark/benchmark.h>

#include <stdexcept>

#include "protocols/security/tls.h"
#include "protocols/transport/quic/endpoint.h"
#include "tests/bench/bare_handshake.h"
#include "tests/bench/measure.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"
#include "tests/protocols/transport/datagram_net.h"

namespace flaresim::bench {
namespace {

using std::chrono::milliseconds;

/// One host's certificate, for the product and for the bare libraries. Nobody remembers a verified certificate.
struct Side {
  Side(std::uint64_t number, io::CalendarTime now) : random(number) {
    const auto key = crypto::PrivateKey::generate(random);
    peer = key.public_key().peer_id();
    const auto certificate = security::make_certificate(key, random, now);
    security::TlsOptions options;
    options.verifier = std::make_shared<security::CertificateVerifier>(0);
    identity = std::make_shared<const security::TlsIdentity>(certificate, options);
    bare = std::make_unique<BareHost>(certificate, now);
  }

  io::Random random;
  std::optional<multiformats::PeerId> peer;
  security::TlsIdentityPtr identity;
  std::unique_ptr<BareHost> bare;
};

/// Two endpoints on datagrams in memory, 25 ms apart.
class QuicPair {
 public:
  QuicPair(support::TestScheduler& scheduler, Side& client, Side& server)
      : scheduler_(scheduler),
        net_(scheduler, 1),
        expected_(server.peer),
        here_(open(client, "192.0.2.1")),
        there_(open(server, "192.0.2.2")) {}
  ~QuicPair() {
    here_->close();
    there_->close();
    scheduler_.run();
  }
  QuicPair(const QuicPair&) = delete;
  QuicPair& operator=(const QuicPair&) = delete;

  /// From the first datagram until both ends have forgotten the connection.
  void shake_hands() {
    {
      const auto accepting = support::start(scheduler_, there_->accept());
      auto dialled = support::run_task(scheduler_, here_->dial(there_->local(), expected_, limit));
      scheduler_.run_for(milliseconds(100));  // for the confirmation
      if (!dialled || !accepting.done() || !accepting.value()) throw std::logic_error("QUIC handshake");
      accepting.value() = io::fail(std::errc::operation_canceled);
    }
    scheduler_.run_for(std::chrono::seconds(2));
    if (here_->connections() + here_->lingering() + there_->connections() + there_->lingering() > 0)
      throw std::logic_error("a QUIC connection is left");
    net_.trace.clear();
  }

 private:
  static constexpr io::Duration limit = std::chrono::seconds(10);

  std::unique_ptr<quic::QuicEndpoint> open(Side& side, const std::string& address) {
    hosts_.push_back(net_.host(address));
    return std::move(quic::QuicEndpoint::open(*hosts_.back(), {boost::asio::ip::make_address(address), 4001},
                                              side.identity, {}, side.random)
                         .value());
  }

  support::TestScheduler& scheduler_;
  support::DatagramNet net_;
  std::vector<std::unique_ptr<io::Network>> hosts_;
  std::optional<multiformats::PeerId> expected_;
  std::unique_ptr<quic::QuicEndpoint> here_;
  std::unique_ptr<quic::QuicEndpoint> there_;
};

/// Both ends of an upgrade to TLS, over a pipe in memory.
void upgrade_to_tls(support::TestScheduler& scheduler, const Side& client, const Side& server) {
  const std::vector<std::string> muxers{"/yamux/1.0.0"};
  const auto ends = support::pipe(scheduler, {.latency = milliseconds(25)});
  const auto accepting = support::start(
      scheduler,
      security::tls(scheduler, ends.b, server.identity, {security::Role::server, std::nullopt, muxers}));
  const auto dialled = support::run_task(
      scheduler,
      security::tls(scheduler, ends.a, client.identity, {security::Role::client, server.peer, muxers}));
  scheduler.run_for(milliseconds(25));
  if (!dialled || !accepting.done() || !accepting.value()) throw std::logic_error("TLS handshake");
}

template <class Ours, class Bare>
void compare(benchmark::State& state, int handshakes, Ours ours, Bare bare) {
  std::vector<double> ours_ms, bare_ms, ratio;
  const auto repeat = [&](auto& handshake) {
    const auto took = cpu_of([&] {
      for (int i = 0; i < handshakes; ++i) handshake();
    });
    return 1e3 * took.count() / handshakes;
  };
  for (auto _ : state) {
    ours_ms.push_back(repeat(ours));
    bare_ms.push_back(repeat(bare));
    ratio.push_back(ours_ms.back() / bare_ms.back());
  }
  state.counters["ours_ms"] = median(ours_ms);
  state.counters["bare_ms"] = median(bare_ms);
  state.counters["over_bare"] = median(ratio);
}

void quic_handshake(benchmark::State& state, const Sizes& sizes) {
  support::TestScheduler scheduler;
  Side client(1, scheduler.calendar()), server(2, scheduler.calendar());
  QuicPair pair(scheduler, client, server);
  compare(
      state, sizes.handshakes_per_round, [&] { pair.shake_hands(); },
      [&] { bare_quic_handshake(*client.bare, *server.bare); });
}

void tls_handshake(benchmark::State& state, const Sizes& sizes) {
  support::TestScheduler scheduler;
  Side client(1, scheduler.calendar()), server(2, scheduler.calendar());
  compare(
      state, sizes.handshakes_per_round, [&] { upgrade_to_tls(scheduler, client, server); },
      [&] { bare_tls_handshake(*client.bare, *server.bare); });
}

}  // namespace

void register_handshakes(const Sizes& sizes) {
  benchmark::RegisterBenchmark("quic_handshake", quic_handshake, sizes)
      ->Iterations(sizes.rounds)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("tls_handshake", tls_handshake, sizes)
      ->Iterations(sizes.rounds)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace flaresim::bench
