#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "tests/protocols/transport/quic_fixture.h"

namespace flaresim::quic {
namespace {

/// How long handshakes take, 25 ms one way, when each datagram is lost with the same probability.
struct Handshakes {
  std::vector<io::Duration> at_client;  ///< until the dial is done; in ascending order, as the other
  std::vector<io::Duration> at_both;    ///< until the server has accepted it
};

double share(const std::vector<io::Duration>& took, io::Duration limit) {
  const auto end = std::upper_bound(took.begin(), took.end(), limit);
  return static_cast<double>(end - took.begin()) / static_cast<double>(took.size());
}

struct QuicLoss : QuicTest, testing::WithParamInterface<int> {
  double loss() const { return GetParam() / 100.0; }

  Handshakes shake_hands(std::size_t count) {
    QuicProfile profile;
    profile.handshake_timeout = limit;
    make_nodes(profile);
    net.loss = loss();
    Handshakes result;
    for (std::size_t i = 0; i < count; ++i) {
      const auto begun = scheduler.now();
      const auto accepting = start(scheduler, bob->endpoint->accept());
      auto dialled = run_task(scheduler, alice->endpoint->dial(bob->endpoint->local(), bob->peer(), limit));
      EXPECT_TRUE(dialled) << dialled.error().message();
      result.at_client.push_back(scheduler.now() - begun);
      EXPECT_TRUE(scheduler.run_until([&] { return accepting.done(); }, limit));
      EXPECT_TRUE(accepting.value());
      result.at_both.push_back(scheduler.now() - begun);
      accepting.value() = io::fail(std::errc::operation_canceled);
    }
    std::sort(result.at_client.begin(), result.at_client.end());
    std::sort(result.at_both.begin(), result.at_both.end());
    print("client", result.at_client);
    print("both", result.at_both);
    return result;
  }

  void print(const char* who, const std::vector<io::Duration>& took) const {
    const auto quantile = [&](double q) {
      const auto rank = std::ceil(q * static_cast<double>(took.size()));
      return std::chrono::duration<double, std::milli>(took[static_cast<std::size_t>(rank) - 1]).count();
    };
    fmt::print("{} handshakes, {} % loss, {}: median {:.0f}, p90 {:.0f}, p99 {:.0f}, max {:.0f} ms\n",
               took.size(), GetParam(), who, quantile(0.5), quantile(0.9), quantile(0.99), quantile(1));
  }

  /// Within four standard deviations of what this probability gives.
  void expect_share(const std::vector<io::Duration>& took, io::Duration within, double probability) const {
    const double sigma = std::sqrt(probability * (1 - probability) / static_cast<double>(took.size()));
    EXPECT_NEAR(share(took, within), probability, 4 * sigma + 1e-9) << within / 1ms << " ms";
  }
  void expect_none(const std::vector<io::Duration>& took, io::Duration above, io::Duration below) const {
    EXPECT_EQ(share(took, above), share(took, below - 1ns)) << above / 1ms << " … " << below / 1ms << " ms";
  }

  /// The client's Initial, the server's answer and the client's Finished are a datagram each. RFC 9002 §6.2.2: until
  /// there is a sample of the round trip, a lost one costs 333 + 4 · 333/2 = 999 ms, then twice that. The client's
  /// Finished is sent when it has a sample of 50 ms: 50 + 4 · 50/2 = 150 ms, then twice that. §6.2.4: a probe may be
  /// one datagram, or two.
  void expect_rfc_9002(const Handshakes& took) const {
    const double arrives = 1 - loss();
    const double round_trip = arrives * arrives;
    expect_share(took.at_client, 50ms, round_trip);
    expect_none(took.at_client, 50ms, 50ms + 999ms);
    expect_share(took.at_both, 75ms, round_trip * arrives);
    expect_none(took.at_both, 75ms, 75ms + 150ms);
    expect_none(took.at_both, 75ms + 150ms, 75ms + 150ms + 300ms);
    expect_none(took.at_both, 75ms + 450ms, 75ms + 999ms);
    // With one datagram a probe. The server's own timer may run 25 ms behind the client's.
    const double second = 1 - (1 - round_trip) * (1 - round_trip);
    EXPECT_GE(share(took.at_client, 50ms + 999ms + 30ms), second - 0.02);
    EXPECT_GE(share(took.at_client, 50ms + 3 * 999ms + 30ms), 0.98);
    EXPECT_GE(share(took.at_both, limit), 1);
  }

  static constexpr io::Duration limit = 60s;
};

TEST_P(QuicLoss, FiveHundredHandshakesCompleteInTheTimeOfTheirProbes) { expect_rfc_9002(shake_hands(500)); }

INSTANTIATE_TEST_SUITE_P(Percent, QuicLoss, testing::Values(0, 1, 5, 10));

}  // namespace
}  // namespace flaresim::quic
