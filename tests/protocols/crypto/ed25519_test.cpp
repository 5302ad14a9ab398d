#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "protocols/crypto/keys.h"
#include "protocols/io/random.h"
#include "tests/protocols/crypto/key_messages.h"
#include "tests/protocols/crypto/key_vectors.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::crypto {
namespace {

using namespace vectors;

// RFC 8032 §7.1, tests 1 to 3.
struct SignatureVector {
  std::string seed, public_key, message, signature;
};
const SignatureVector rfc_8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f"
     "0595bbe246"
     "55141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2ea"
     "eb4302aeeb"
     "00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e"
     "9716ed28dc"
     "027beceea1ec40a"},
};

PrivateKey key_from(std::string_view seed) {
  return PrivateKey::from_seed(std::span<const std::uint8_t, 32>(hex(seed)));
}

TEST(Ed25519, AgreesWithRfc8032) {
  for (const auto& [seed, public_key, message, signature] : rfc_8032) {
    const auto key = key_from(seed);
    EXPECT_TRUE(std::ranges::equal(key.public_key().data(), hex(public_key)));
    EXPECT_EQ(key.sign(hex(message)), hex(signature));
    EXPECT_TRUE(key.public_key().verify(hex(message), hex(signature)));
  }
}

TEST(Ed25519, SignatureIsGoodForItsMessageAndKeyOnly) {
  const auto& vector = rfc_8032[2];
  const auto key = key_from(vector.seed).public_key();
  const auto signature = hex(vector.signature);
  EXPECT_EQ(error_of(key.verify(hex("af83"), signature)), KeyError::bad_signature);
  EXPECT_EQ(error_of(key.verify({}, signature)), KeyError::bad_signature);
  EXPECT_EQ(error_of(key_from(rfc_8032[0].seed).public_key().verify(hex("af82"), signature)),
            KeyError::bad_signature);
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto flipped = signature;
    flipped[i] ^= 0x10;
    EXPECT_EQ(error_of(key.verify(hex("af82"), flipped)), KeyError::bad_signature) << i;
  }
  EXPECT_EQ(error_of(key.verify(hex("af82"), io::BytesView(signature).first(63))), KeyError::bad_signature);
  EXPECT_EQ(error_of(key.verify(hex("af82"), {})), KeyError::bad_signature);
}

// RFC 8032 §5.1.7: S must lie below the order of the group, or every signature has a twin.
TEST(Ed25519, TwinOfASignatureIsRefused) {
  const auto order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  auto twin = hex(rfc_8032[1].signature);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += twin[32 + i] + order[i];
    twin[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  ASSERT_EQ(carry, 0u);
  EXPECT_EQ(error_of(key_from(rfc_8032[1].seed).public_key().verify(hex("72"), twin)),
            KeyError::bad_signature);
}

TEST(Ed25519, OldFormWithTwoPublicKeysIsReadWhenTheyAreEqual) {
  const auto data = std::string(spec_ed25519_private.substr(8));
  const auto key = PrivateKey::from_message(hex("08011260" + data + data.substr(64)));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_key().to_message(), hex(spec_ed25519_public));
  EXPECT_EQ(key->to_message(), hex(spec_ed25519_private));

  auto other = data.substr(64);
  other.back() ^= 1;  // another hex digit
  EXPECT_EQ(error_of(PrivateKey::from_message(hex("08011260" + data + other))), KeyError::inconsistent);
}

}  // namespace
}  // namespace flaresim::crypto
