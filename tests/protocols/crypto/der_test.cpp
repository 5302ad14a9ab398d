#include "protocols/crypto/der.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tests/protocols/multiformats/hex.h"

namespace flaresim::crypto {
namespace {

std::optional<io::Bytes> copied(const std::optional<io::BytesView>& view) {
  return view ? std::optional(io::to_bytes(*view)) : std::nullopt;
}

// X.690 §8.1.3.
TEST(Der, LengthsTakeTheirShortestForm) {
  const std::pair<std::size_t, std::string_view> heads[] = {
      {0, "0400"},     {1, "0401"},       {127, "047f"},       {128, "048180"},
      {255, "0481ff"}, {256, "04820100"}, {65535, "0482ffff"},
  };
  for (const auto& [size, head] : heads) {
    const io::Bytes content(size, 0x55);
    auto expected = hex(head);
    io::append(expected, content);
    io::Bytes der;
    append_der(der, DerTag::octet_string, content);
    EXPECT_EQ(der, expected);
    EXPECT_EQ(copied(only_der(der, DerTag::octet_string)), content);
  }
  io::Bytes der;
  EXPECT_THROW(append_der(der, DerTag::octet_string, io::Bytes(65536)), std::length_error);
}

TEST(Der, OtherFormsAreRefused) {
  for (const auto* der : {"", "04", "0401", "04027f", "0480", "048100", "04817f", "0481", "0482", "048201",
                          "04820001", "048200ff", "0483000001 55", "0500", "2400", "04ff"}) {
    const auto bytes = hex(der);
    io::BytesView rest = bytes;
    EXPECT_FALSE(take_der(rest, DerTag::octet_string)) << der;
    EXPECT_EQ(rest.size(), bytes.size()) << der;
  }
  EXPECT_FALSE(only_der(hex("040155 00"), DerTag::octet_string));
}

// X.690 §8.3.
TEST(Der, NumbersAreTwosComplement) {
  const std::pair<std::string_view, std::string_view> numbers[] = {
      {"", "020100"}, {"01", "020101"}, {"7f", "02017f"}, {"80", "02020080"}, {"0100", "02020100"},
  };
  for (const auto& [magnitude, der] : numbers) {
    io::Bytes written;
    append_der_number(written, hex("0000" + std::string(magnitude)));
    EXPECT_EQ(written, hex(der));
    io::BytesView rest = written;
    EXPECT_EQ(copied(take_der_number(rest)), hex(magnitude));
    EXPECT_TRUE(rest.empty());
  }
  for (const auto* der :
       {"0200", "020180", "0201ff", "02020001", "0202007f", "02020000", "040101", "0202ff80"}) {
    const auto bytes = hex(der);
    io::BytesView rest = bytes;
    EXPECT_FALSE(take_der_number(rest)) << der;
    EXPECT_EQ(rest.size(), bytes.size()) << der;
  }
}

}  // namespace
}  // namespace flaresim::crypto
