#include "protocols/io/random.h"

#include <gmock/gmock.h>
#include <sodium.h>

#include <numeric>
#include <set>
#include <vector>

namespace flaresim::io {
namespace {

using namespace std::chrono_literals;

std::vector<std::uint8_t> take(Random& random, std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  random.fill(bytes);
  return bytes;
}

std::vector<std::uint8_t> from_hex(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Random::Seed counting_seed() {
  Random::Seed seed;
  std::iota(seed.begin(), seed.end(), std::uint8_t{0});
  return seed;
}

TEST(Random, LibsodiumHasPickedItsFastImplementationsBeforeMain) {
  constexpr int was_ready = 1;
  EXPECT_EQ(sodium_init(), was_ready);
}

// RFC 8439 appendix A.1, test vectors 1 and 2: key and nonce of zeros, blocks 0 and 1.
TEST(Random, IsTheChaCha20KeyStream) {
  Random random(Random::Seed{});
  EXPECT_EQ(take(random, 128), from_hex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                                        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
                                        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                                        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"));
}

// Key 00 01 … 1f, nonce of zeros, blocks 1 and 2; computed by a separate implementation of RFC 8439 §2.3.
TEST(Random, TheSeedIsTheKey) {
  Random random(counting_seed());
  take(random, 64);
  EXPECT_EQ(take(random, 80), from_hex("18b84231ade6a6d113615c61af434e27f8b1f3f5e1ad5b5cecf8fc122a35755c"
                                       "7208086dd1ee3c5d9d815824640e003c9ba0f65ede5d59ce0d2a4a7f31955acd"
                                       "42f22ddca74a92d56ca78aef298e723b"));
}

TEST(Random, BytesDoNotDependOnHowTheyAreAskedFor) {
  Random whole(counting_seed());
  Random pieces(counting_seed());
  const auto expected = take(whole, 300);
  std::vector<std::uint8_t> got;
  for (const std::size_t size : {1, 63, 64, 65, 0, 7, 100}) {
    const auto piece = take(pieces, size);
    got.insert(got.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(got, expected);
}

// The name's BLAKE2b-256 under the parent's key is the child's key; the numbers are little-endian. Computed
// apart.
TEST(Random, DerivedStreamsFollowFromSeedAndName) {
  EXPECT_EQ(Random(counting_seed()).derive("noise").next(), 0x13987edb248ff531u);
  Random study(42);
  EXPECT_EQ(study.next(), 0xa897ec6d4b12d058u);
  EXPECT_EQ(study.next(), 0x22d7421f1e3b3e07u);
}

TEST(Random, DerivingNeitherAdvancesNorDependsOnTheParentsPosition) {
  Random parent(7);
  Random untouched(7);
  const auto early = parent.derive("a").next();
  EXPECT_EQ(parent.next(), untouched.next());
  EXPECT_EQ(parent.derive("a").next(), early);
}

TEST(Random, EachNameAndEachParentHasItsOwnStream) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {1, 2})
    for (const auto* name : {"", "a", "b", "ab"}) seen.insert(Random(seed).derive(name).next());
  seen.insert(Random(1).derive("a").derive("b").next());
  EXPECT_EQ(seen.size(), 9u);
}

TEST(Random, TheOperatingSystemGivesADifferentSeedEachTime) {
  EXPECT_NE(Random::from_entropy().next(), Random::from_entropy().next());
}

TEST(Random, BelowStaysBelow) {
  Random random(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(5));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(random.below(1), 0u);
}

// Taking the remainder alone would land in the lowest third half of the time.
TEST(Random, BelowHasNoModuloBias) {
  constexpr std::uint64_t third = 1ull << 62;
  constexpr int draws = 9000;
  Random random(1);
  int low = 0;
  for (int i = 0; i < draws; ++i) low += random.below(3 * third) < third ? 1 : 0;
  EXPECT_NEAR(low, draws / 3, 5 * 45);  // five standard deviations
}

TEST(Random, UniformFillsTheUnitInterval) {
  Random random(1);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto number = random.uniform();
    ASSERT_GE(number, 0.0);
    ASSERT_LT(number, 1.0);
    sum += number;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 5 * 0.0029);
}

TEST(Random, BetweenIncludesBothEnds) {
  Random random(1);
  std::set<Duration> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.between(-1ns, 2ns));
  EXPECT_EQ(seen, (std::set<Duration>{-1ns, 0ns, 1ns, 2ns}));
  EXPECT_EQ(random.between(5ms, 5ms), 5ms);
}

}  // namespace
}  // namespace flaresim::io
