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

// FIPS 186-4 §D.1.2.3.
const std::string order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

const std::string rsa_algorithm = "06092a864886f70d0101010500";
const std::string p256_algorithm = "06072a8648ce3d0201 06082a8648ce3d030107";
const std::string p384_algorithm = "06072a8648ce3d0201 06052b81040022";

// RFC 6979 §A.2.5, SHA-256.
const std::string rfc_secret = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const std::string rfc_point =
    "04 60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
struct RfcSignature {
  std::string message, r, s;
};
const RfcSignature rfc_signatures[] = {
    {"sample", "00efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
     "00f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {"test", "00f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
     "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
};

std::string public_data(const std::string& point) { return "3059 3013" + p256_algorithm + "034200" + point; }
std::string private_data(const std::string& secret, const std::string& point) {
  return "3077 020101 0420" + secret + "a00a 06082a8648ce3d030107 a144 034200" + point;
}
io::Result<PublicKey> public_from(std::string_view data) {
  return PublicKey::from_data(KeyType::ecdsa, hex(data));
}
io::Result<PrivateKey> private_from(std::string_view data) {
  return PrivateKey::from_message(key_message(KeyType::ecdsa, hex(data)));
}

TEST(Ecdsa, PublicKeyBelongsToThePrivateOne) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {spec_ecdsa_private, spec_ecdsa_public},
      {go_ecdsa_private, go_ecdsa_public},
  };
  for (const auto& [secret, half] : pairs) {
    const auto key = PrivateKey::from_message(hex(secret));
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(key->public_key().to_message(), hex(half));
    EXPECT_EQ(key->to_message(), hex(secret));
  }
}

TEST(Ecdsa, SignsAsRfc6979Says) {
  const auto key = private_from(private_data(rfc_secret, rfc_point));
  ASSERT_TRUE(key) << key.error().message();
  for (const auto& [message, r, s] : rfc_signatures) {
    const auto rs = hex("02" + std::string(r.size() == 66 ? "21" : "20") + r + "02" +
                        std::string(s.size() == 66 ? "21" : "20") + s);
    io::Bytes expected{0x30, static_cast<std::uint8_t>(rs.size())};
    io::append(expected, rs);
    EXPECT_EQ(key->sign(io::as_bytes(message)), expected) << message;
  }
}

TEST(Ecdsa, SignatureIsGoodForItsMessageAndKeyOnly) {
  const auto key = PublicKey::from_message(hex(go_ecdsa_public)).value();
  const auto signature = hex(go_ecdsa_signature);
  EXPECT_TRUE(key.verify(io::as_bytes(go_message), signature));
  EXPECT_EQ(error_of(key.verify(io::as_bytes("Libp2p is the _best_?"), signature)), KeyError::bad_signature);
  EXPECT_EQ(error_of(key.verify({}, signature)), KeyError::bad_signature);
  const auto other = PublicKey::from_message(hex(spec_ecdsa_public)).value();
  EXPECT_EQ(error_of(other.verify(io::as_bytes(go_message), signature)), KeyError::bad_signature);
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto flipped = signature;
    flipped[i] ^= 0x10;
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), flipped)), KeyError::bad_signature) << i;
  }
}

// FIPS 186-5 §6.4.2 knows no lower and upper S.
TEST(Ecdsa, BothValuesOfSVerify) {
  const auto upper = hex(go_ecdsa_signature);
  ASSERT_EQ(upper.size(), 72u);  // 3046 022100 r 022100 s
  auto lower = hex("3045 0221");
  io::append(lower, io::BytesView(upper).subspan(4, 33));
  io::append(lower, hex("0220"));
  io::append(lower, difference(hex(order), tail(upper, 32)));
  EXPECT_TRUE(PublicKey::from_message(hex(go_ecdsa_public)).value().verify(io::as_bytes(go_message), lower));
}

TEST(Ecdsa, SignatureHasOneEncoding) {
  const auto key = PublicKey::from_message(hex(go_ecdsa_public)).value();
  const std::string signature(go_ecdsa_signature);
  const auto r = signature.substr(10, 64), s = signature.substr(80);
  ASSERT_TRUE(key.verify(io::as_bytes(go_message), hex("3046 022100" + r + "022100" + s)));
  const std::string others[] = {
      "",
      "30",
      "3000",
      signature.substr(0, 142),
      signature + "00",
      "308146" + signature.substr(4),
      "3044 0220" + r + "0220" + s,
      "3047 02220000" + r + "022100" + s,
      "3048 022100" + r + "022100" + s + "0500",
      "3025 022100" + r + "0200",
      "3026 022100" + r + "020100",
      "3026 020100 022100" + s,
      "3046 022100" + order + "022100" + s,
      r + s,
  };
  for (const auto& other : others)
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), hex(other))), KeyError::bad_signature) << other;
}

TEST(Ecdsa, RefusesMalformedPublicKeysWithTheirCause) {
  const auto x = rfc_point.substr(3, 64), y = rfc_point.substr(67);
  auto beside = y;
  beside.back() = '8';
  const std::string f(64, 'f'), zero(64, '0');
  ASSERT_TRUE(public_from(public_data(rfc_point)));
  const std::pair<std::string, KeyError> cases[] = {
      {public_data("04" + x + beside), KeyError::not_on_curve},
      {public_data("04" + y + x), KeyError::not_on_curve},
      {public_data("04" + zero + zero), KeyError::not_on_curve},
      {public_data("04" + f + y), KeyError::not_on_curve},
      {public_data("02" + x + y), KeyError::bad_encoding},
      {"3039 3013" + p256_algorithm + "032200 03" + x, KeyError::bad_encoding},
      {"3019 3013" + p256_algorithm + "030200 00", KeyError::bad_encoding},
      {public_data(rfc_point) + "00", KeyError::bad_encoding},
      {public_data(rfc_point.substr(0, rfc_point.size() - 2)), KeyError::bad_encoding},
      {"308159 3013" + p256_algorithm + "034200" + rfc_point, KeyError::bad_encoding},
      {"305b 3013" + p256_algorithm + "034200" + rfc_point + "0500", KeyError::bad_encoding},
      {"3059 3013" + p256_algorithm + "034201" + rfc_point, KeyError::bad_encoding},
      {"3059 3113" + p256_algorithm + "034200" + rfc_point, KeyError::bad_encoding},
      {"3053 300d" + rsa_algorithm + "034200" + rfc_point, KeyError::bad_encoding},
      {"304f 3009 06072a8648ce3d0201 034200" + rfc_point, KeyError::bad_encoding},
      {"3076 3010" + p384_algorithm + "036200 04" + x + y + x, KeyError::unsupported_key_type},
      {"55", KeyError::bad_encoding},
  };
  for (const auto& [data, error] : cases) EXPECT_EQ(error_of(public_from(data)), error) << data;
}

TEST(Ecdsa, RefusesMalformedPrivateKeysWithTheirCause) {
  const auto good = private_data(rfc_secret, rfc_point);
  const auto spec_point = std::string(spec_ecdsa_public.substr(spec_ecdsa_public.size() - 130));
  const std::pair<std::string, KeyError> cases[] = {
      {private_data(rfc_secret, spec_point), KeyError::inconsistent},
      {private_data(rfc_secret, "05" + rfc_point.substr(3)), KeyError::bad_encoding},
      {private_data(std::string(64, '0'), rfc_point), KeyError::out_of_range},
      {private_data(order, rfc_point), KeyError::out_of_range},
      {private_data(std::string(64, 'f'), rfc_point), KeyError::out_of_range},
      {good + "00", KeyError::bad_encoding},
      {good.substr(0, good.size() - 2), KeyError::bad_encoding},
      {"3025 020101 0420" + rfc_secret, KeyError::bad_encoding},
      {"3031 020101 0420" + rfc_secret + "a00a 06082a8648ce3d030107", KeyError::bad_encoding},
      {"3077 020102" + good.substr(11), KeyError::bad_encoding},
      {rfc_secret, KeyError::bad_encoding},
  };
  for (const auto& [data, error] : cases) EXPECT_EQ(error_of(private_from(data)), error) << data;
}

}  // namespace
}  // namespace flaresim::crypto
