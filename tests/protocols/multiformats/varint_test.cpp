#include "protocols/multiformats/varint.h"

#include <gtest/gtest.h>

#include <utility>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::multiformats {
namespace {

// multiformats/unsigned-varint README, table of examples; the largest number of 63 bits; steps in length.
const std::pair<std::uint64_t, const char*> pairs[] = {
    {0, "00"},
    {1, "01"},
    {127, "7f"},
    {128, "8001"},
    {255, "ff01"},
    {300, "ac02"},
    {16383, "ff7f"},
    {16384, "808001"},
    {2097151, "ffff7f"},
    {2097152, "80808001"},
    {max_varint, "ffffffffffffffff7f"},
};

TEST(Varint, WritesThePublishedBytes) {
  for (const auto& [value, bytes] : pairs) {
    io::Bytes written{0xaa};
    append_varint(written, value);
    EXPECT_EQ(written, hex(std::string("aa") + bytes));
    EXPECT_EQ(varint_length(value), written.size() - 1);
  }
}

TEST(Varint, ReadsThePublishedBytesAndLeavesWhatFollows) {
  for (const auto& [value, bytes] : pairs) {
    const auto input = hex(std::string(bytes) + "ff");
    const auto number = decode_varint(input);
    ASSERT_TRUE(number) << bytes;
    EXPECT_EQ(number->value, value);
    EXPECT_EQ(number->length, input.size() - 1);
  }
}

TEST(Varint, HoldsNoMoreThan63Bits) {
  io::Bytes written;
  EXPECT_THROW(append_varint(written, max_varint + 1), std::out_of_range);
  EXPECT_TRUE(written.empty());
}

TEST(Varint, IsTakenOffTheFrontOnlyWhenItIsValid) {
  const auto good = hex("ac0205");
  io::BytesView rest = good;
  EXPECT_EQ(take_varint(rest).value(), 300u);
  EXPECT_EQ(rest.size(), 1u);

  const auto bad = hex("8100");
  rest = bad;
  EXPECT_EQ(error_of(take_varint(rest)), VarintError::not_minimal);
  EXPECT_EQ(rest.size(), 2u);
}

TEST(Varint, RefusesMalformedInputWithItsCause) {
  const std::pair<const char*, VarintError> cases[] = {
      {"", VarintError::truncated},
      {"80", VarintError::truncated},
      {"8181", VarintError::truncated},
      {"ffffffffffffffff", VarintError::truncated},
      {"8100", VarintError::not_minimal},
      {"8000", VarintError::not_minimal},
      {"ffffffffffffffff00", VarintError::not_minimal},
      {"ffffffffffffffffff", VarintError::too_long},
      {"ffffffffffffffffff01", VarintError::too_long},
      {"ffffffffffffffffffffff00", VarintError::too_long},
      {"808080808080808080808000", VarintError::too_long},
  };
  for (const auto& [bytes, error] : cases) EXPECT_EQ(error_of(decode_varint(hex(bytes))), error) << bytes;
}

TEST(Varint, WhateverIsReadIsWrittenBackTheSame) {
  io::Random random(1);
  int read = 0;
  for (int i = 0; i < 100'000; ++i) {
    io::Bytes bytes(random.below(12));
    random.fill(bytes);
    // Continuation bits three times in four, so that long numbers occur.
    for (auto& byte : bytes)
      if (random.below(2) == 0) byte |= 0x80;
    const auto number = decode_varint(bytes);
    if (!number) continue;
    ++read;
    io::Bytes again;
    append_varint(again, number->value);
    bytes.resize(number->length);
    ASSERT_EQ(again, bytes);
  }
  EXPECT_GT(read, 10'000);
}

}  // namespace
}  // namespace flaresim::multiformats
