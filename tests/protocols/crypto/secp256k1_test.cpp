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

// SEC 2 §2.4.1.
const std::string order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const std::string generator_x = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

io::Result<PublicKey> public_from(std::string_view data) {
  return PublicKey::from_data(KeyType::secp256k1, hex(data));
}
io::Result<PrivateKey> private_from(std::string_view data) {
  return PrivateKey::from_message(key_message(KeyType::secp256k1, hex(data)));
}

TEST(Secp256k1, PublicKeyBelongsToThePrivateOne) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {spec_secp256k1_private, spec_secp256k1_public},
      {go_secp256k1_private, go_secp256k1_public},
      {js_secp256k1_private, js_secp256k1_public},
  };
  for (const auto& [secret, half] : pairs) {
    const auto key = PrivateKey::from_message(hex(secret));
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(key->public_key().to_message(), hex(half));
    EXPECT_EQ(key->to_message(), hex(secret));
  }
}

TEST(Secp256k1, SignsAsGoDoes) {
  const auto key = PrivateKey::from_message(hex(go_secp256k1_private)).value();
  EXPECT_EQ(key.sign(io::as_bytes(go_message)), hex(go_secp256k1_signature));
}

TEST(Secp256k1, SignatureIsGoodForItsMessageAndKeyOnly) {
  const auto key = PublicKey::from_message(hex(go_secp256k1_public)).value();
  const auto signature = hex(go_secp256k1_signature);
  EXPECT_TRUE(key.verify(io::as_bytes(go_message), signature));
  EXPECT_EQ(error_of(key.verify(io::as_bytes("Libp2p is the _best_?"), signature)), KeyError::bad_signature);
  EXPECT_EQ(error_of(key.verify({}, signature)), KeyError::bad_signature);
  const auto other = PublicKey::from_message(hex(spec_secp256k1_public)).value();
  EXPECT_EQ(error_of(other.verify(io::as_bytes(go_message), signature)), KeyError::bad_signature);
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto flipped = signature;
    flipped[i] ^= 0x10;
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), flipped)), KeyError::bad_signature) << i;
  }
}

// BIP 62, rule 5: of r, s and r, n - s one is too many.
TEST(Secp256k1, SignatureWithTheUpperSIsRefused) {
  const auto lower = hex(go_secp256k1_signature);
  ASSERT_EQ(lower.size(), 70u);  // 3044 0220 r 0220 s
  const auto r = io::BytesView(lower).subspan(4, 32);
  auto upper = hex("3045 0220");
  io::append(upper, r);
  io::append(upper, hex("0221 00"));
  io::append(upper, difference(hex(order), tail(lower, 32)));
  const auto key = PublicKey::from_message(hex(go_secp256k1_public)).value();
  EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), upper)), KeyError::bad_signature);
}

TEST(Secp256k1, SignatureHasOneEncoding) {
  const auto key = PublicKey::from_message(hex(go_secp256k1_public)).value();
  const std::string signature(go_secp256k1_signature);
  const auto r = signature.substr(8, 64), s = signature.substr(76);
  const std::string others[] = {
      "",
      "30",
      "3000",
      signature.substr(0, 138),
      signature + "00",
      "308144" + signature.substr(4),
      "3045 022100" + r + "0220" + s,
      "3046 0220" + r + "0220" + s + "0500",
      "3045 0220" + r + "022100" + s,
      "3006 020100 020100",
      r + s,
  };
  for (const auto& other : others)
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), hex(other))), KeyError::bad_signature) << other;
}

TEST(Secp256k1, SecretsGoFromOneToTheOrderMinusOne) {
  const auto one = std::string(63, '0') + "1";
  const auto last = order.substr(0, 63) + "0";
  EXPECT_EQ(private_from(one).value().public_key(), public_from("02" + generator_x).value());
  EXPECT_EQ(private_from(last).value().public_key(), public_from("03" + generator_x).value());
  EXPECT_EQ(error_of(private_from(std::string(64, '0'))), KeyError::out_of_range);
  EXPECT_EQ(error_of(private_from(order)), KeyError::out_of_range);
  EXPECT_EQ(error_of(private_from(std::string(64, 'f'))), KeyError::out_of_range);
}

TEST(Secp256k1, RefusesMalformedKeysWithTheirCause) {
  const std::pair<std::string, KeyError> cases[] = {
      // BIP 340 test vectors 5 and 14: no point has this x; x exceeds the field.
      {"02eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34", KeyError::not_on_curve},
      {"02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30", KeyError::not_on_curve},
      {"04" + generator_x, KeyError::bad_encoding},
      {"00" + generator_x, KeyError::bad_encoding},
      {generator_x, KeyError::bad_length},
      {"02" + generator_x + "00", KeyError::bad_length},
      {"04" + generator_x + "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
       KeyError::bad_length},
  };
  for (const auto& [data, error] : cases) EXPECT_EQ(error_of(public_from(data)), error) << data;
  EXPECT_EQ(error_of(private_from(order.substr(2))), KeyError::bad_length);
  EXPECT_EQ(error_of(private_from("00" + order)), KeyError::bad_length);
}

}  // namespace
}  // namespace flaresim::crypto
