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

constexpr KeyType all_types[] = {KeyType::rsa, KeyType::ed25519, KeyType::secp256k1, KeyType::ecdsa};

struct SpecPair {
  KeyType type;
  std::string_view secret, half;
};
const SpecPair spec_pairs[] = {
    {KeyType::rsa, spec_rsa_private, spec_rsa_public},
    {KeyType::ed25519, spec_ed25519_private, spec_ed25519_public},
    {KeyType::secp256k1, spec_secp256k1_private, spec_secp256k1_public},
    {KeyType::ecdsa, spec_ecdsa_private, spec_ecdsa_public},
};

TEST(PrivateKey, GivesTheSpecificationsPublicKey) {
  for (const auto& [type, secret, half] : spec_pairs) {
    const auto key = PrivateKey::from_message(hex(secret));
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(key->public_key().type(), type);
    EXPECT_EQ(key->public_key().to_message(), hex(half));
    EXPECT_EQ(key->to_message(), hex(secret));
  }
}

TEST(PrivateKey, IsGeneratedFromTheRandomStream) {
  for (const auto type : all_types) {
    io::Random a(7), b(7), c(8);
    const auto key = PrivateKey::generate(a, type);
    EXPECT_EQ(key.public_key().type(), type);
    EXPECT_EQ(PrivateKey::generate(b, type).to_message(), key.to_message());
    EXPECT_FALSE(PrivateKey::generate(c, type).public_key() == key.public_key());
    EXPECT_FALSE(PrivateKey::generate(b, type).public_key() == key.public_key());
  }
}

TEST(PrivateKey, TakesTheSameFromTheStreamWhateverItsType) {
  io::Random expected(7);
  expected.seed_bytes();
  const auto next = expected.next();
  for (const auto type : all_types) {
    io::Random random(7);
    PrivateKey::generate(random, type);
    EXPECT_EQ(random.next(), next);
  }
}

TEST(PrivateKey, SurvivesBeingStored) {
  for (const auto type : all_types) {
    io::Random random(9);
    const auto key = PrivateKey::generate(random, type);
    const auto stored = PrivateKey::from_message(key.to_message());
    ASSERT_TRUE(stored) << stored.error().message();
    EXPECT_EQ(stored->public_key(), key.public_key());
    EXPECT_EQ(stored->sign(io::as_bytes("hello")), key.sign(io::as_bytes("hello")));
  }
}

TEST(PrivateKey, SignatureVerifiesUnderItsOwnKeyOnly) {
  const auto message = io::as_bytes("hello");
  for (const auto& signer : spec_pairs) {
    const auto signature = PrivateKey::from_message(hex(signer.secret)).value().sign(message);
    for (const auto& verifier : spec_pairs) {
      const auto verified = PublicKey::from_message(hex(verifier.half)).value().verify(message, signature);
      if (signer.type == verifier.type) {
        EXPECT_TRUE(verified);
      } else {
        EXPECT_EQ(error_of(verified), KeyError::bad_signature);
      }
    }
  }
}

TEST(PrivateKey, AnEditedSignatureNeverVerifies) {
  io::Random random(3);
  for (const auto& [type, secret, half] : spec_pairs) {
    const auto key = PrivateKey::from_message(hex(secret)).value();
    const auto good = key.sign(io::as_bytes("hello"));
    for (int i = 0; i < 1'000; ++i) {
      auto bad = good;
      for (auto edits = 1 + random.below(3); edits > 0; --edits)
        bad[random.below(bad.size())] = static_cast<std::uint8_t>(random.below(256));
      if (random.below(4) == 0) bad.resize(random.below(bad.size() + 10));
      ASSERT_EQ(bool(key.public_key().verify(io::as_bytes("hello"), bad)), bad == good);
    }
  }
}

TEST(PrivateKey, EditedMessagesAreRefusedOrSign) {
  io::Random random(4);
  for (const auto secret :
       {go_rsa_private, spec_ed25519_private, spec_secp256k1_private, spec_ecdsa_private}) {
    for (int i = 0; i < 1'000; ++i) {
      auto bytes = hex(secret);
      for (auto edits = 1 + random.below(3); edits > 0; --edits)
        bytes[random.below(random.below(2) == 0 ? bytes.size() : 12)] =
            static_cast<std::uint8_t>(random.below(256));
      const auto key = PrivateKey::from_message(bytes);
      if (!key) continue;
      ASSERT_EQ(key->to_message(), bytes);
      ASSERT_TRUE(key->public_key().verify(io::as_bytes("m"), key->sign(io::as_bytes("m"))));
    }
  }
}

TEST(PrivateKey, RefusesMalformedMessagesWithTheirCause) {
  const auto data = std::string(spec_ed25519_private.substr(8));
  auto foreign_half = data;
  foreign_half.back() ^= 1;
  const std::pair<std::string, KeyError> cases[] = {
      {"", KeyError::malformed},
      {"0801", KeyError::malformed},
      {"1240" + data, KeyError::malformed},
      {std::string(spec_ed25519_private) + "1800", KeyError::malformed},
      {std::string(spec_ed25519_private.substr(0, 60)), KeyError::malformed},
      {"08041240" + data, KeyError::unknown_type},
      {"0801123f" + data.substr(2), KeyError::bad_length},
      {"08011220" + data.substr(64), KeyError::bad_length},
      {"08011200", KeyError::bad_length},
      {"08011240" + foreign_half, KeyError::inconsistent},
      {"08001200", KeyError::bad_length},
      {"08021200", KeyError::bad_length},
      {"08031200", KeyError::bad_length},
      {"08031220" + data.substr(64), KeyError::bad_encoding},
      {"08001220" + data.substr(64), KeyError::bad_encoding},
      {"080112812800" + std::string(2 * 5120, '5'), KeyError::bad_length},
      {std::string(20'000, '5'), KeyError::bad_length},
  };
  for (const auto& [message, error] : cases) {
    const auto key = PrivateKey::from_message(hex(message));
    EXPECT_EQ(error_of(key), error) << message;
  }
}

TEST(PublicKey, EveryTypeOfTheSpecificationIsReadAndWrittenTheSame) {
  const std::pair<std::string_view, KeyType> keys[] = {
      {spec_ed25519_public, KeyType::ed25519},
      {spec_ecdsa_public, KeyType::ecdsa},
      {spec_secp256k1_public, KeyType::secp256k1},
      {spec_rsa_public, KeyType::rsa},
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
  const auto key = PublicKey::from_message(hex(spec_ed25519_public)).value();
  EXPECT_TRUE(std::ranges::equal(key.peer_id().bytes(), hex("0024" + std::string(spec_ed25519_public))));
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

TEST(PublicKey, RefusesMalformedMessagesWithTheirCause) {
  const auto data = std::string(spec_ed25519_public.substr(8));
  const std::pair<std::string, KeyError> cases[] = {
      {"", KeyError::malformed},
      {"ff", KeyError::malformed},
      {"0801", KeyError::malformed},
      {"1220" + data, KeyError::malformed},
      {"08011221" + data, KeyError::malformed},
      {std::string(spec_ed25519_public) + "00", KeyError::malformed},
      {std::string(spec_ed25519_public) + "1a0155", KeyError::malformed},
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
    EXPECT_EQ(error_of(key), error) << message;
  }
}

TEST(PublicKey, OneTypesDataIsNotAnothers) {
  const std::pair<KeyType, KeyError> refusals[] = {
      {KeyType::rsa, KeyError::bad_encoding},
      {KeyType::ed25519, KeyError::bad_length},
      {KeyType::secp256k1, KeyError::bad_length},
      {KeyType::ecdsa, KeyError::bad_encoding},
  };
  for (const auto& pair : spec_pairs) {
    const auto key = PublicKey::from_message(hex(pair.half)).value();
    for (const auto& [type, error] : refusals)
      if (type != pair.type) {
        EXPECT_EQ(error_of(PublicKey::from_data(type, key.data())), error);
      }
  }
}

TEST(PublicKey, RandomBytesAreRefusedOrRoundTrip) {
  io::Random random(6);
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    io::Bytes bytes;
    if (random.below(3) == 0) {
      bytes.resize(random.below(80));
      random.fill(bytes);
    } else {
      bytes = hex(spec_pairs[random.below(4)].half);
      for (auto edits = random.below(3); edits > 0; --edits)
        bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.below(256));
    }
    const auto key = PublicKey::from_message(bytes);
    if (!key) continue;
    ++accepted;
    ASSERT_EQ(key->to_message(), bytes);
    ASSERT_EQ(error_of(key->verify(io::as_bytes("m"), bytes)), KeyError::bad_signature);
  }
  EXPECT_GT(accepted, 10'000);
}

}  // namespace
}  // namespace flaresim::crypto
