#include "protocols/swarm/dial_backoff.h"

#include <gmock/gmock.h>

#include "tests/protocols/swarm/swarm_world.h"

namespace flaresim::swarm {
namespace {

using namespace std::chrono_literals;

class Backoff : public testing::Test {
 protected:
  bool is_backed_off(io::TimePoint when) const { return backoff.is_backed_off(peer, address, when); }

  const multiformats::Multiaddr address = parsed("/ip4/1.2.3.4/tcp/1");
  const multiformats::PeerId peer = *parsed(circuit_address).relay()->peer_id();
  DialBackoff backoff{{}};
  io::TimePoint now{1h};
};

TEST_F(Backoff, GrowsWithTheSquareOfTheFailuresBefore) {
  EXPECT_FALSE(is_backed_off(now));
  for (const auto expected : {5s, 6s, 9s, 14s, 21s}) {
    backoff.add_failure(peer, address, now);
    EXPECT_TRUE(is_backed_off(now + expected - 1ns));
    EXPECT_FALSE(is_backed_off(now + expected));
    now += expected;
  }
}

TEST_F(Backoff, IsNeverLongerThanFiveMinutes) {
  for (int i = 0; i < 18; ++i) backoff.add_failure(peer, address, now);  // the 18th: 5 s and 17² s, or 294 s
  EXPECT_FALSE(is_backed_off(now + 294s));
  backoff.add_failure(peer, address, now);  // 5 s and 18² s would be 329 s
  EXPECT_TRUE(is_backed_off(now + 5min - 1ns));
  EXPECT_FALSE(is_backed_off(now + 5min));
}

TEST_F(Backoff, IsOfOneAddressOfOnePeer) {
  backoff.add_failure(peer, address, now);
  EXPECT_FALSE(backoff.is_backed_off(peer, parsed("/ip4/1.2.3.4/tcp/2"), now));
  auto random = io::Random(7);
  const auto stranger = crypto::PrivateKey::generate(random).public_key().peer_id();
  EXPECT_FALSE(backoff.is_backed_off(stranger, address, now));
}

TEST_F(Backoff, IsForgottenWithThePeer) {
  backoff.add_failure(peer, address, now);
  backoff.forget(peer);
  EXPECT_FALSE(is_backed_off(now));
  EXPECT_EQ(backoff.peers(), 0u);
}

TEST_F(Backoff, OfPeersThatAreNotDialledAnyMoreIsNotKept) {
  auto random = io::Random(7);
  for (int i = 0; i < 20; ++i) {
    backoff.add_failure(crypto::PrivateKey::generate(random).public_key().peer_id(), address, now);
  }
  EXPECT_EQ(backoff.peers(), 20u);
  backoff.add_failure(peer, address, now + 5min);
  EXPECT_EQ(backoff.peers(), 1u);
}

}  // namespace
}  // namespace flaresim::swarm
