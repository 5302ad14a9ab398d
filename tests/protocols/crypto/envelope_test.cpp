#include "protocols/crypto/envelope.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::crypto {
namespace {

// The key of RFC 8032 §7.1 test 2.
const std::string seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const std::string public_half = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const std::string key_field = "0a24 08011220" + public_half;

const io::Bytes type = hex("0302");
const EnvelopePurpose purpose{"some-domain", type};
const io::Bytes payload = io::to_bytes("hello");
const std::string unsigned_fields = key_field + "1202 0302" + "1a05 68656c6c6f";

PrivateKey key() { return PrivateKey::from_seed(std::span<const std::uint8_t, 32>(hex(seed))); }

io::Result<Envelope> open(io::BytesView sealed) { return open_envelope(sealed, std::array{purpose}); }

// Signs with libsodium alone.
io::Bytes signature_of(io::BytesView content) {
  const auto secret = hex(seed + public_half);
  io::Bytes signature(crypto_sign_BYTES);
  crypto_sign_detached(signature.data(), nullptr, content.data(), content.size(), secret.data());
  return signature;
}

io::Bytes join(io::Bytes front, io::BytesView back) {
  io::append(front, back);
  return front;
}

// RFC 0002, written out: lengths and values of domain, type and payload.
io::Bytes envelope_by_hand() {
  const auto content = hex("0b 736f6d652d646f6d61696e 02 0302 05 68656c6c6f");
  return join(hex(unsigned_fields + "2a40"), signature_of(content));
}

TEST(Envelope, IsSealedAsTheRfcSays) {
  EXPECT_EQ(seal_envelope(key(), purpose, payload), envelope_by_hand());
}

TEST(Envelope, OpensToSignerAndPayload) {
  const auto envelope = open(envelope_by_hand());
  ASSERT_TRUE(envelope) << envelope.error().message();
  EXPECT_EQ(envelope->signer, key().public_key());
  EXPECT_EQ(envelope->payload, payload);
  EXPECT_EQ(envelope->purpose, 0u);
}

TEST(Envelope, LongPartsHaveLengthsOfSeveralBytes) {
  const io::Bytes long_payload(300, 'x');
  auto content = join(hex("0b 736f6d652d646f6d61696e 02 0302 ac02"), long_payload);
  auto sealed = join(hex(key_field + "1202 0302 1aac02"), long_payload);
  io::append(sealed, join(hex("2a40"), signature_of(content)));
  EXPECT_EQ(seal_envelope(key(), purpose, long_payload), sealed);
  EXPECT_EQ(open(sealed).value().payload, long_payload);
}

TEST(Envelope, TellsWhichOfTheAcceptedPurposesItIsFor) {
  const auto other_type = hex("0301");
  const std::array purposes{EnvelopePurpose{"other-domain", other_type}, purpose};
  EXPECT_EQ(open_envelope(envelope_by_hand(), purposes).value().purpose, 1u);
}

TEST(Envelope, FieldsFromTheFutureAreIgnored) { EXPECT_TRUE(open(join(envelope_by_hand(), hex("3201aa")))); }

TEST(Envelope, PayloadMayBeEmpty) {
  const auto envelope = open(seal_envelope(key(), purpose, {}));
  ASSERT_TRUE(envelope);
  EXPECT_TRUE(envelope->payload.empty());
}

TEST(Envelope, SignatureForOneDomainIsWorthNothingInAnother) {
  const EnvelopePurpose other{"another-domain", type};
  EXPECT_EQ(error_of(open_envelope(envelope_by_hand(), std::array{other})), EnvelopeError::bad_signature);
}

TEST(Envelope, RefusesMalformedInputWithItsCause) {
  const auto good = envelope_by_hand();
  const auto signature = std::string("2a40") + std::string(128, '1');
  const std::string rest = "1202 0302 1a05 68656c6c6f" + signature;
  const std::pair<io::Bytes, EnvelopeError> cases[] = {
      {{}, EnvelopeError::malformed},
      {hex("ff"), EnvelopeError::malformed},
      {hex(unsigned_fields), EnvelopeError::malformed},
      {hex(rest), EnvelopeError::malformed},
      {{good.begin(), good.end() - 1}, EnvelopeError::malformed},
      {join(good, hex("0a")), EnvelopeError::malformed},
      {io::Bytes(max_envelope_bytes + 1, 0), EnvelopeError::too_long},
      {hex("0a02 0801" + rest), EnvelopeError::bad_public_key},
      {hex("0a05 0801120155" + rest), EnvelopeError::bad_public_key},
      {hex("0a26 08011220" + public_half + "1800" + rest), EnvelopeError::bad_public_key},
      {hex("0a05 0803120155" + rest), EnvelopeError::bad_public_key},
      {hex("0a1d 08031219 3017 3010 06072a8648ce3d0201 06052b81040022 030300 0455" + rest),
       EnvelopeError::unsupported_key},
      {hex("0a05 0807120155" + rest), EnvelopeError::unsupported_key},
      {hex(key_field + "1202 0301 1a05 68656c6c6f" + signature), EnvelopeError::wrong_payload_type},
      {hex(key_field + "1a05 68656c6c6f" + signature), EnvelopeError::wrong_payload_type},
      {hex(unsigned_fields + signature), EnvelopeError::bad_signature},
      {hex(unsigned_fields + "2a0155"), EnvelopeError::bad_signature},
      {join(hex(key_field + "1202 0302 1a05 68656c6c6e 2a40"), io::BytesView(good).last(64)),
       EnvelopeError::bad_signature},
  };
  for (const auto& [sealed, error] : cases) {
    const auto envelope = open(sealed);
    EXPECT_EQ(error_of(envelope), error) << error << make_error_code(error).message();
  }
}

TEST(Envelope, RandomBytesAreRefused) {
  io::Random random(9);
  for (int i = 0; i < 100'000; ++i) {
    io::Bytes bytes(random.below(200));
    random.fill(bytes);
    ASSERT_FALSE(open(bytes));
  }
}

TEST(Envelope, NoChangeOfItsBytesChangesWhatItSays) {
  const auto good = envelope_by_hand();
  io::Random random(10);
  int opened = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (auto edits = random.below(3); edits > 0; --edits) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(bytes.size()));
      switch (random.below(3)) {
        case 0:
          bytes[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random.below(256));
          break;
        case 1:
          bytes.erase(bytes.begin() + at, bytes.end());
          break;
        case 2:
          bytes.insert(bytes.end(), bytes.begin() + at, bytes.end());
          break;
      }
      if (bytes.empty()) break;
    }
    const auto envelope = open(bytes);
    if (!envelope) continue;
    ++opened;
    ASSERT_EQ(envelope->payload, payload);
    ASSERT_EQ(envelope->signer, key().public_key());
  }
  EXPECT_GT(opened, 1'000);
  EXPECT_LT(opened, 19'000);
}

}  // namespace
}  // namespace flaresim::crypto
