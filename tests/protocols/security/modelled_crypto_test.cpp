#include "protocols/security/modelled_crypto.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "protocols/security/noise_handshake.h"

namespace flaresim::security::modelled {
namespace {

io::Bytes some_bytes(std::size_t count) {
  io::Bytes bytes(count);
  io::Random(4).derive("some bytes").fill(bytes);
  return bytes;
}

Block some_block(std::string_view name) {
  Block block;
  io::Random(5).derive(name).fill(block);
  return block;
}

int differing_bits(const Block& a, const Block& b) {
  int bits = 0;
  for (std::size_t i = 0; i < a.size(); ++i) bits += std::popcount(static_cast<unsigned>(a[i] ^ b[i]));
  return bits;
}

TEST(ModelledCrypto, KeysAreNoneThatX25519Gives) {
  io::Random random(6);
  for (int i = 0; i < 200; ++i) {
    Block secret;
    random.fill(secret);
    EXPECT_FALSE(is_public_key(KeyPair::from_secret(secret).shared));
    EXPECT_TRUE(is_public_key(public_key(secret)));
    EXPECT_EQ(public_key(secret).back() & 0x80, 0x80);
  }
  EXPECT_FALSE(is_public_key({}));
}

TEST(ModelledCrypto, BothSidesAgreeAndAThirdDoesNot) {
  const auto a = public_key(some_block("a")), b = public_key(some_block("b")),
             c = public_key(some_block("c"));
  EXPECT_EQ(agree(a, b), agree(b, a));
  EXPECT_NE(agree(a, b), agree(a, c));
  EXPECT_NE(agree(a, a), agree(a, b));
}

TEST(ModelledCrypto, EveryBitOfTheDataChangesAboutHalfOfADigest) {
  const auto key = some_block("key");
  auto data = some_bytes(83);
  const auto before = digest(key, data, 1);
  for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
    data[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    const auto changed = differing_bits(before, digest(key, data, 1));
    EXPECT_GT(changed, 70) << bit;  // of 256; 128 ± 8 if every bit were a coin
    EXPECT_LT(changed, 186) << bit;
    data[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
}

TEST(ModelledCrypto, EveryBitOfTheKeyCounts) {
  auto key = some_block("key");
  const auto data = some_bytes(40);
  std::set<Block> seen{digest(key, data, 1)};
  for (std::size_t bit = 0; bit < 256; ++bit) {
    key[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_TRUE(seen.insert(digest(key, data, 1)).second) << bit;
  }
}

TEST(ModelledCrypto, ZerosAtTheEndPurposesNoncesAndOrderCount) {
  const auto key = some_block("key");
  std::set<Block> seen;
  for (std::size_t length = 0; length < 64; ++length)
    EXPECT_TRUE(seen.insert(digest(key, io::Bytes(length), 1)).second) << length;
  for (std::uint64_t purpose = 2; purpose < 64; ++purpose)
    EXPECT_TRUE(seen.insert(digest(key, {}, purpose)).second) << purpose;

  auto swapped = some_bytes(64);
  std::swap_ranges(swapped.begin(), swapped.begin() + 16, swapped.begin() + 32);
  EXPECT_NE(digest(key, some_bytes(64), 1), digest(key, swapped, 1));
  EXPECT_NE(tag(key, 0, {}, some_bytes(9)), tag(key, 1, {}, some_bytes(9)));
  EXPECT_NE(tag(key, 0, some_bytes(1), some_bytes(9)), tag(key, 0, {}, some_bytes(9)));
  EXPECT_NE(tag(key, 0, some_bytes(1), some_bytes(9)), tag(key, 0, some_bytes(2), some_bytes(9)));
}

TEST(ModelledCrypto, SignaturesAreOfOneSignerAndOneMessage) {
  const auto message = some_bytes(60);
  EXPECT_EQ(sign(some_bytes(36), message), sign(some_bytes(36), message));
  EXPECT_NE(sign(some_bytes(36), message), sign(some_bytes(37), message));
  EXPECT_NE(sign(some_bytes(36), message), sign(some_bytes(36), some_bytes(61)));
}

}  // namespace
}  // namespace flaresim::security::modelled
