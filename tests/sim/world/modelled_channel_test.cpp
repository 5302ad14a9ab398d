#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/world/network_scenario.h"

namespace flaresim::world {
namespace {

using test::network_scenario;
using test::world_data;

/// One packet as the core saw it.
struct Seen {
  io::TimePoint at;
  std::string packet;  ///< addresses, ports, flags
  std::uint32_t sequence;
  std::size_t bytes;
  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << std::chrono::duration<double>(seen.at.time_since_epoch()).count() << " s: " << seen.packet << ", "
       << seen.bytes << " bytes from " << seen.sequence;
}

/// Worlds of a thousand send millions of packets: a number stands for all of them, and the first ones are kept, to say
/// what differs.
class Record {
 public:
  void add(io::TimePoint at, const net::PacketSummary& packet) {
    ++packets;
    const auto endpoint = [&](const io::Endpoint& each) {
      mix(std::hash<std::string>{}(each.address.to_string()));
      mix(each.port);
    };
    endpoint(packet.source);
    endpoint(packet.destination);
    mix(static_cast<std::uint64_t>(at.time_since_epoch().count()));
    mix(static_cast<std::uint64_t>(packet.tcp_flags) << 8 | packet.protocol);
    mix(packet.tcp_sequence);
    mix(packet.bytes);
    if (kept.size() < max_kept)
      kept.push_back({at, net::to_string(packet), packet.tcp_sequence, packet.bytes});
  }

  std::uint64_t packets = 0;
  std::uint64_t digest = 0xcbf29ce484222325u;
  std::vector<Seen> kept;

 private:
  void mix(std::uint64_t value) {
    digest = (digest ^ value) * 0x9e3779b97f4a7c15u;
    digest ^= digest >> 31;
  }

  static constexpr std::size_t max_kept = 200'000;
};

struct Run {
  Record record;
  NetworkResult result;
};

Run run(std::size_t nodes, const std::string& channel) {
  const auto scenario = network_scenario(nodes, "6 min",
                                         {{"network.channel", channel},
                                          {"network.churn",
                                           "{from: 3 min, session: {median: 10 min, p80: 40 min}, "
                                           "off: {median: 2 min, p80: 5 min}}"},
                                          {"network.pairs", "{attempts: 10, from: 3 min, limit: 1 min}"}});
  Run out;
  NetworkOptions options;
  options.on_packet = [&](io::TimePoint at, const net::PacketSummary& packet) { out.record.add(at, packet); };
  out.result = run_network(scenario, world_data(), 5, 0, options);
  return out;
}

/// Sizes and instants of all packets, and everything that the world came to.
void expect_the_same_with_either(std::size_t nodes) {
  const auto full = run(nodes, "full");
  const auto modelled = run(nodes, "modelled");
  EXPECT_GT(full.record.packets, nodes * 100);
  EXPECT_GT(full.result.report.funnel.connected, 0u);

  const auto [a, b] = std::ranges::mismatch(full.record.kept, modelled.record.kept);
  ASSERT_EQ(a == full.record.kept.end(), b == modelled.record.kept.end());
  if (a != full.record.kept.end()) {
    ASSERT_EQ(*a, *b);
  }
  EXPECT_EQ(full.record.packets, modelled.record.packets);
  EXPECT_EQ(full.record.digest, modelled.record.digest);
  EXPECT_EQ(full.result.report, modelled.result.report);
  ASSERT_EQ(full.result.rows.size(), modelled.result.rows.size());
  for (std::size_t i = 0; i < full.result.rows.size(); ++i) {
    EXPECT_EQ(full.result.rows[i].outcome, modelled.result.rows[i].outcome);
    EXPECT_EQ(full.result.rows[i].phases, modelled.result.rows[i].phases);
    EXPECT_EQ(full.result.rows[i].direct_rtt, modelled.result.rows[i].direct_rtt);
  }
}

TEST(ModelledChannel, OfSixtyNodesIsTheSameAsTheFullOne) { expect_the_same_with_either(60); }
TEST(ModelledChannelLong, OfThreeHundredNodesIsTheSameAsTheFullOne) { expect_the_same_with_either(300); }
TEST(ModelledChannelLong, OfAThousandNodesIsTheSameAsTheFullOne) { expect_the_same_with_either(1000); }

}  // namespace
}  // namespace flaresim::world
