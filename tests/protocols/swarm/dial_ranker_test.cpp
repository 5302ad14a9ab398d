#include "protocols/swarm/dial_ranker.h"

#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAreArray;
using Expected = std::vector<std::pair<std::string, io::Duration>>;

const std::string q1 = "/ip4/1.2.3.4/udp/1/quic-v1";
const std::string q2 = "/ip4/1.2.3.4/udp/2/quic-v1";
const std::string q3 = "/ip4/1.2.3.4/udp/3/quic-v1";
const std::string q1v6 = "/ip6/2001:4860::2/udp/1/quic-v1";
const std::string q2v6 = "/ip6/2001:4860::2/udp/2/quic-v1";
const std::string q3v6 = "/ip6/2001:4860::2/udp/3/quic-v1";
const std::string t1 = "/ip4/1.2.3.5/tcp/1";
const std::string t2 = "/ip4/1.2.3.4/tcp/2";
const std::string t3 = "/ip4/1.2.3.4/tcp/3";
const std::string t1v6 = "/ip6/2001:4860::2/tcp/1";
const std::string relay = "/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit";

Expected ranked(const std::vector<std::string>& addresses) {
  std::vector<multiformats::Multiaddr> all;
  for (const auto& address : addresses) all.push_back(parsed(address));
  Expected out;
  for (const auto& [address, delay] : rank_for_dialling(all, {}))
    out.emplace_back(address.to_string(), delay);
  return out;
}

// The tables of go-libp2p p2p/net/swarm/dial_ranker_test.go, as far as they are of TCP, QUIC v1 and circuits.

TEST(DialRanker, DialsTheFirstOfOneVersionAloneAndTheRestOneStepLater) {
  EXPECT_THAT(ranked({q3, q1, q2}), ElementsAreArray(Expected{{q1, 0ms}, {q2, 250ms}, {q3, 250ms}}));
  EXPECT_THAT(ranked({q3v6, q1v6, q2v6}),
              ElementsAreArray(Expected{{q1v6, 0ms}, {q2v6, 250ms}, {q3v6, 250ms}}));
  EXPECT_THAT(ranked({t3, t2, t1}), ElementsAreArray(Expected{{t1, 0ms}, {t2, 250ms}, {t3, 250ms}}));
}

TEST(DialRanker, GivesEachIpVersionAStepOfItsOwnBeforeTheRest) {
  EXPECT_THAT(ranked({q2, q1v6}), ElementsAreArray(Expected{{q1v6, 0ms}, {q2, 250ms}}));
  EXPECT_THAT(ranked({q1v6, q1, q2, q3}),
              ElementsAreArray(Expected{{q1v6, 0ms}, {q1, 250ms}, {q2, 500ms}, {q3, 500ms}}));
  EXPECT_THAT(ranked({q3v6, q1, q2v6, q1v6}),
              ElementsAreArray(Expected{{q1v6, 0ms}, {q1, 250ms}, {q2v6, 500ms}, {q3v6, 500ms}}));
  EXPECT_THAT(ranked({t1, t2, t1v6, t3}),
              ElementsAreArray(Expected{{t1v6, 0ms}, {t1, 250ms}, {t2, 500ms}, {t3, 500ms}}));
}

TEST(DialRanker, BeginsWithTcpOneStepAfterTheLastOfQuic) {
  EXPECT_THAT(ranked({q1, q1v6, q2v6, q3v6, q2, t1, t1v6, t2, t3}), ElementsAreArray(Expected{{q1v6, 0ms},
                                                                                              {q1, 250ms},
                                                                                              {q2v6, 500ms},
                                                                                              {q3v6, 500ms},
                                                                                              {q2, 500ms},
                                                                                              {t1v6, 750ms},
                                                                                              {t1, 1000ms},
                                                                                              {t2, 1250ms},
                                                                                              {t3, 1250ms}}));
  EXPECT_THAT(ranked({q1, t2, t1v6, t1}),
              ElementsAreArray(Expected{{q1, 0ms}, {t1v6, 250ms}, {t1, 500ms}, {t2, 750ms}}));
  EXPECT_THAT(ranked({q1, t2, t3, t1}),
              ElementsAreArray(Expected{{q1, 0ms}, {t1, 250ms}, {t2, 500ms}, {t3, 500ms}}));
}

TEST(DialRanker, DelaysCircuitsWhenThereIsAPublicAddress) {
  const auto by_tcp = "/ip4/1.2.3.4/tcp/1" + relay;
  const auto by_quic = q1 + relay;
  EXPECT_THAT(ranked({q1, q2, by_tcp, by_quic}),
              ElementsAreArray(Expected{{q1, 0ms}, {q2, 250ms}, {by_quic, 500ms}, {by_tcp, 750ms}}));
  EXPECT_THAT(ranked({by_tcp, by_quic}), ElementsAreArray(Expected{{by_quic, 0ms}, {by_tcp, 250ms}}));
}

TEST(DialRanker, DoesNotDelayCircuitsForPrivateAddresses) {
  const auto circuit = q1 + relay;
  const std::string home = "/ip4/192.168.1.2/tcp/4001";
  EXPECT_THAT(ranked({circuit, home}), ElementsAreArray(Expected{{home, 0ms}, {circuit, 0ms}}));
}

TEST(DialRanker, DialsPrivateAddressesBesidePublicOnesAndFaster) {
  const std::string home_quic = "/ip4/192.168.1.2/udp/4001/quic-v1";
  const std::string home_tcp = "/ip4/192.168.1.2/tcp/4001";
  const std::string other_tcp = "/ip4/10.0.0.2/tcp/4002";
  EXPECT_THAT(ranked({t2, q1, other_tcp, home_tcp, home_quic}),
              ElementsAreArray(
                  Expected{{home_quic, 0ms}, {q1, 0ms}, {home_tcp, 30ms}, {other_tcp, 60ms}, {t2, 250ms}}));
}

TEST(DialRanker, HasNothingToSayOfNothing) { EXPECT_TRUE(ranked({}).empty()); }

}  // namespace
}  // namespace flaresim::swarm
