#include "protocols/crypto/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/error_of.h"
#include "tests/protocols/multiformats/hex.h"

namespace flaresim::crypto {
namespace {

// libp2p/specs peer-ids/peer-ids.md, "Test vectors".
const std::string ed25519_private =
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3"
    "b34b871c"
    "3cacf6010f0e42d474fce27e";
const std::string ed25519_public = "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
const std::string ecdsa_private =
    "08031279307702010104203E5B1FE9712E6C314942A750BD67485DE3C1EFE85B1BFB520AE8F9AE3DFA4A4CA00A06082A8648CE3D"
    "030107A1"
    "4403420004DE3D300FA36AE0E8F5D530899D83ABAB44ABF3161F162A4BC901D8E6ECDA020E8B6D5F8DA30525E71D6851510C098E"
    "5C47C646"
    "A597FB4DCEC034E9F77C409E62";
const std::string ecdsa_public =
    "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa36ae0e8f5d530899d83abab44abf3161f"
    "162a4bc9"
    "01d8e6ecda020e8b6d5f8da30525e71d6851510c098e5c47c646a597fb4dcec034e9f77c409e62";
const std::string secp256k1_private =
    "0802122053DADF1D5A164D6B4ACDB15E24AA4C5B1D3461BDBD42ABEDB0A4404D56CED8FB";
const std::string secp256k1_public =
    "08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99";
// go-libp2p core/peer/peer_test.go, the private half left out.
const std::string rsa_public =
    "080012a60230820122300d06092a864886f70d01010105000382010f003082010a0282010100b78633ed3e58bbd6014dcc627aad"
    "485875be"
    "b9043c16ec8ae78846992a2eb3b56e08cf4328b84258f063c6d6241fa992a9e70f47d84361e08d5b93676c7b3ac9ecd9de83812a"
    "77bf0299"
    "e1d302068fdcf2acc6885d328fd3385371c25f1290417c17255b8a8d930a88a360d1d4ba9ad9baaecc3c400962bdd9d5e12433fc"
    "51a4ca77"
    "608f52d9262c650c5b9a6434fc67c7384bd86a3768c35aadb6b7954d092f982a692ad34b114e489e95ff5b97de6900a3d2977b97"
    "be1d6998"
    "0cd965b3de3b84502546eed75150f83b8b1d53628b1b37de82282dead8c2717bfc09f6047926f8e769a6a8a27fa6722e6facacf1"
    "74a04399"
    "9fd96cb8870df5658cc91b74e40b0203010001";

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

TEST(PrivateKey, GivesTheSpecificationsPublicKey) {
  const auto key = PrivateKey::from_message(hex(ed25519_private)).value();
  EXPECT_EQ(key.public_key().to_message(), hex(ed25519_public));
  EXPECT_EQ(key.to_message(), hex(ed25519_private));
}

TEST(PrivateKey, OldFormWithTwoPublicKeysIsReadWhenTheyAreEqual) {
  const auto data = ed25519_private.substr(8);
  const auto key = PrivateKey::from_message(hex("08011260" + data + data.substr(64)));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_key().to_message(), hex(ed25519_public));
  EXPECT_EQ(key->to_message(), hex(ed25519_private));

  auto other = data.substr(64);
  other.back() ^= 1;  // another hex digit
  EXPECT_EQ(error_of(PrivateKey::from_message(hex("08011260" + data + other))), KeyError::inconsistent);
}

TEST(PrivateKey, IsGeneratedFromTheRandomStream) {
  io::Random a(7), b(7), c(8);
  const auto key = PrivateKey::generate(a);
  EXPECT_EQ(PrivateKey::generate(b).public_key(), key.public_key());
  EXPECT_FALSE(PrivateKey::generate(c).public_key() == key.public_key());
  EXPECT_FALSE(PrivateKey::generate(a).public_key() == key.public_key());
  EXPECT_TRUE(key.public_key().verify(io::as_bytes("hello"), key.sign(io::as_bytes("hello"))));
}

TEST(PrivateKey, RefusesMalformedMessagesWithTheirCause) {
  const auto data = ed25519_private.substr(8);
  auto foreign_half = data;
  foreign_half.back() ^= 1;
  const std::pair<std::string, KeyError> cases[] = {
      {"", KeyError::malformed},
      {"0801", KeyError::malformed},
      {"1240" + data, KeyError::malformed},
      {ed25519_private + "1800", KeyError::malformed},
      {ed25519_private.substr(0, 60), KeyError::malformed},
      {"08041240" + data, KeyError::unknown_type},
      {"0801123f" + data.substr(2), KeyError::bad_length},
      {"08011220" + data.substr(64), KeyError::bad_length},
      {"08011200", KeyError::bad_length},
      {"08011240" + foreign_half, KeyError::inconsistent},
      {ecdsa_private, KeyError::unsupported_key_type},
      {secp256k1_private, KeyError::unsupported_key_type},
  };
  for (const auto& [message, error] : cases) {
    const auto key = PrivateKey::from_message(hex(message));
    ASSERT_FALSE(key) << message;
    EXPECT_EQ(key.error(), error) << message;
  }
}

TEST(PublicKey, EveryTypeOfTheSpecificationIsReadAndWrittenTheSame) {
  const std::pair<std::string, KeyType> keys[] = {
      {ed25519_public, KeyType::ed25519},
      {ecdsa_public, KeyType::ecdsa},
      {secp256k1_public, KeyType::secp256k1},
      {rsa_public, KeyType::rsa},
  };
  for (const auto& [message, type] : keys) {
    const auto key = PublicKey::from_message(hex(message));
    ASSERT_TRUE(key) << message;
    EXPECT_EQ(key->type(), type);
    EXPECT_EQ(key->to_message(), hex(message));
    EXPECT_EQ(PublicKey::from_data(type, key->data()).value(), *key);
  }
}

TEST(PublicKey, NamesItsPeer) {
  EXPECT_EQ(PublicKey::from_message(hex(rsa_public)).value().peer_id().to_string(),
            "QmcJeseojbPW9hSejUM1sQ1a2QmbrryPK4Z8pWbRUPaYEn");
  const auto key = PublicKey::from_message(hex(ed25519_public)).value();
  EXPECT_TRUE(std::ranges::equal(key.peer_id().bytes(), hex("0024" + ed25519_public)));
  EXPECT_EQ(PublicKey::from_message(key.peer_id().inline_key_message()).value(), key);
}

// libp2p/specs tls/tls.md names this peer, whose key is a secp256k1 one.
TEST(PublicKey, IsFoundInsideAShortPeerId) {
  const auto peer =
      multiformats::PeerId::from_string("16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs").value();
  const auto key = PublicKey::from_message(peer.inline_key_message());
  ASSERT_TRUE(key);
  EXPECT_EQ(key->type(), KeyType::secp256k1);
  EXPECT_EQ(key->peer_id(), peer);
}

TEST(PublicKey, OtherTypesThanEd25519DoNotVerify) {
  for (const auto& message : {rsa_public, secp256k1_public, ecdsa_public}) {
    const auto key = PublicKey::from_message(hex(message)).value();
    EXPECT_EQ(error_of(key.verify(io::as_bytes("m"), hex(rfc_8032[0].signature))),
              KeyError::unsupported_key_type);
  }
}

TEST(PublicKey, RefusesMalformedMessagesWithTheirCause) {
  const auto data = ed25519_public.substr(8);
  const std::pair<std::string, KeyError> cases[] = {
      {"", KeyError::malformed},
      {"ff", KeyError::malformed},
      {"0801", KeyError::malformed},
      {"1220" + data, KeyError::malformed},
      {"08011221" + data, KeyError::malformed},
      {ed25519_public + "00", KeyError::malformed},
      {ed25519_public + "1a0155", KeyError::malformed},
      {"1220" + data + "0801", KeyError::malformed},
      {"0881001220" + data, KeyError::malformed},
      {"080108011220" + data, KeyError::malformed},
      {"08041220" + data, KeyError::unknown_type},
      {"0881808080801012 20" + data, KeyError::unknown_type},
      {"0801121f" + data.substr(2), KeyError::bad_length},
      {"08011221" + data + "00", KeyError::bad_length},
      {"08021220" + data, KeyError::bad_length},
      {"08001200", KeyError::bad_length},
      {"08031200", KeyError::bad_length},
      {"080012811000" + std::string(2 * 2048, '5'), KeyError::bad_length},
      {std::string(20'000, '5'), KeyError::bad_length},
  };
  for (const auto& [message, error] : cases) {
    const auto key = PublicKey::from_message(hex(message));
    ASSERT_FALSE(key) << message;
    EXPECT_EQ(key.error(), error) << message;
  }
}

TEST(PublicKey, RandomBytesAreRefusedOrRoundTrip) {
  io::Random random(6);
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    io::Bytes bytes;
    if (random.below(2) == 0) {
      bytes.resize(random.below(80));
      random.fill(bytes);
    } else {
      bytes = hex(random.below(2) == 0 ? ed25519_public : ecdsa_public);
      for (auto edits = random.below(3); edits > 0; --edits)
        bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.below(256));
    }
    PrivateKey::from_message(bytes);
    const auto key = PublicKey::from_message(bytes);
    if (!key) continue;
    ++accepted;
    ASSERT_EQ(key->to_message(), bytes);
  }
  EXPECT_GT(accepted, 10'000);
}

}  // namespace
}  // namespace flaresim::crypto
