#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/crypto/der.h"
#include "protocols/crypto/keys.h"
#include "protocols/io/random.h"
#include "tests/protocols/crypto/key_messages.h"
#include "tests/protocols/crypto/key_vectors.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::crypto {
namespace {

using namespace vectors;

const std::string rsa_encryption = "06092a864886f70d010101";
const std::string e_65537 = "0203010001";

io::Bytes with_header(std::uint8_t tag, io::BytesView content) {
  io::Bytes der;
  append_der(der, static_cast<DerTag>(tag), content);
  return der;
}
io::Bytes join(io::Bytes front, io::BytesView back) {
  io::append(front, back);
  return front;
}

/// PKIX around the content of an RSAPublicKey, in hexadecimal.
io::Bytes pkix(const std::string& numbers, const std::string& algorithm = rsa_encryption + "0500") {
  const auto bits = join(hex("00"), with_header(0x30, hex(numbers)));
  return with_header(0x30, join(with_header(0x30, hex(algorithm)), with_header(0x03, bits)));
}

/// A modulus of so many bits, all of them set but those of `clear`, as a DER number.
std::string modulus(std::size_t bits, std::uint8_t clear = 0) {
  io::Bytes number((bits + 7) / 8, 0xff);
  number.front() = static_cast<std::uint8_t>(0xff >> (number.size() * 8 - bits));
  number.back() = static_cast<std::uint8_t>(number.back() & ~clear);
  if ((number.front() & 0x80) != 0) number.insert(number.begin(), 0);
  std::string text;
  for (const auto byte : with_header(0x02, number)) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0x0f];
  }
  return text;
}

io::Result<PublicKey> public_from(io::BytesView data) { return PublicKey::from_data(KeyType::rsa, data); }
io::Result<PrivateKey> private_from(io::BytesView data) {
  return PrivateKey::from_message(key_message(KeyType::rsa, data));
}

/// The numbers of go's private key, from the version on; and the key with one of them replaced.
std::vector<io::Bytes> go_numbers() {
  const auto message = hex(go_rsa_private);
  auto rest = only_der(io::BytesView(message).subspan(5), DerTag::sequence).value();
  std::vector<io::Bytes> numbers;
  while (!rest.empty()) numbers.push_back(io::to_bytes(take_der_number(rest).value()));
  return numbers;
}
io::Bytes private_data(const std::vector<io::Bytes>& numbers) {
  io::Bytes content;
  for (const auto& number : numbers) append_der_number(content, number);
  return with_header(0x30, content);
}

TEST(Rsa, PublicKeyBelongsToThePrivateOne) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {spec_rsa_private, spec_rsa_public},
      {go_rsa_private, go_rsa_public},
  };
  for (const auto& [secret, half] : pairs) {
    const auto key = PrivateKey::from_message(hex(secret));
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_EQ(key->public_key().to_message(), hex(half));
    EXPECT_EQ(key->to_message(), hex(secret));
    EXPECT_TRUE(key->public_key().verify(io::as_bytes("m"), key->sign(io::as_bytes("m"))));
  }
}

TEST(Rsa, SignsAsGoDoes) {
  const auto key = PrivateKey::from_message(hex(go_rsa_private)).value();
  EXPECT_EQ(key.sign(io::as_bytes(go_message)), hex(go_rsa_signature));
}

TEST(Rsa, SignatureIsGoodForItsMessageAndKeyOnly) {
  const auto key = PublicKey::from_message(hex(go_rsa_public)).value();
  const auto signature = hex(go_rsa_signature);
  EXPECT_TRUE(key.verify(io::as_bytes(go_message), signature));
  EXPECT_EQ(error_of(key.verify(io::as_bytes("Libp2p is the _best_?"), signature)), KeyError::bad_signature);
  EXPECT_EQ(error_of(key.verify({}, signature)), KeyError::bad_signature);
  const auto other = PublicKey::from_message(hex(spec_rsa_public)).value();
  EXPECT_EQ(error_of(other.verify(io::as_bytes(go_message), signature)), KeyError::bad_signature);
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto flipped = signature;
    flipped[i] ^= 0x10;
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), flipped)), KeyError::bad_signature) << i;
  }
}

// RFC 8017 §8.2.2, steps 1 and 2a.
TEST(Rsa, SignatureHasTheLengthOfTheModulusAndIsLess) {
  const auto key = PublicKey::from_message(hex(go_rsa_public)).value();
  const auto signature = hex(go_rsa_signature);
  const auto n = go_numbers()[1];
  auto sum = difference(n, difference(io::Bytes(256, 0), signature));  // n + signature, modulo 2^2048
  for (const auto& other : {io::Bytes(), tail(signature, 255), join(hex("00"), signature),
                            join(signature, hex("00")), io::Bytes(256, 0), n, sum})
    EXPECT_EQ(error_of(key.verify(io::as_bytes(go_message), other)), KeyError::bad_signature);
}

TEST(Rsa, ModuliOf2048To8192BitsAreAccepted) {
  for (const std::size_t bits : {2048, 2049, 4096, 8191, 8192})
    EXPECT_TRUE(public_from(pkix(modulus(bits) + e_65537))) << bits;
  for (const std::size_t bits : {512, 1024, 2047})
    EXPECT_EQ(error_of(public_from(pkix(modulus(bits) + e_65537))), KeyError::rsa_too_short) << bits;
  for (const std::size_t bits : {8193, 15000})
    EXPECT_EQ(error_of(public_from(pkix(modulus(bits) + e_65537))), KeyError::rsa_too_long) << bits;
  EXPECT_EQ(error_of(public_from(pkix(modulus(16384) + e_65537))), KeyError::bad_length);
}

TEST(Rsa, ShortKeyOfJsIsRefused) {
  EXPECT_EQ(error_of(PublicKey::from_message(hex(js_short_rsa_public))), KeyError::rsa_too_short);
  EXPECT_EQ(error_of(PrivateKey::from_message(hex(js_short_rsa_private))), KeyError::rsa_too_short);
}

TEST(Rsa, ExponentIsOddAndBelow2To31) {
  const auto n = modulus(2048);
  for (const auto* e : {"020103", "02047fffffff"}) EXPECT_TRUE(public_from(pkix(n + e))) << e;
  for (const auto* e : {"020100", "020101", "020102", "0203010000", "02050080000001", "0205010000 0001"})
    EXPECT_EQ(error_of(public_from(pkix(n + e))), KeyError::out_of_range) << e;
  EXPECT_EQ(error_of(public_from(pkix(modulus(2048, 1) + e_65537))), KeyError::out_of_range);
}

TEST(Rsa, RefusesMalformedPublicKeysWithTheirCause) {
  const auto n = modulus(2048), good = n + e_65537;
  const auto der = pkix(good);
  ASSERT_TRUE(public_from(der));
  const auto negative = "02820100" + std::string(512, 'f'), padded = "0282010200" + n.substr(8);
  const std::pair<io::Bytes, KeyError> cases[] = {
      {join(der, hex("00")), KeyError::bad_encoding},
      {{der.begin(), der.end() - 1}, KeyError::bad_encoding},
      {pkix(good + "020101"), KeyError::bad_encoding},
      {pkix(n), KeyError::bad_encoding},
      {pkix(negative + e_65537), KeyError::bad_encoding},
      {pkix(padded + e_65537), KeyError::bad_encoding},
      {pkix(n + "020400010001"), KeyError::bad_encoding},
      {pkix(n + "0200"), KeyError::bad_encoding},
      {pkix(good, rsa_encryption), KeyError::bad_encoding},
      {pkix(good, rsa_encryption + "3000"), KeyError::bad_encoding},
      {pkix(good, "06092a864886f70d01010a 0500"), KeyError::bad_encoding},
      {with_header(0x30, hex(good)), KeyError::bad_encoding},
      {tail(hex(spec_ecdsa_public), 91), KeyError::bad_encoding},
  };
  for (const auto& [data, error] : cases) EXPECT_EQ(error_of(public_from(data)), error);
}

TEST(Rsa, PrivateKeyIsRefusedWhenOneNumberIsAnotherOne) {
  const auto good = go_numbers();
  ASSERT_EQ(good.size(), 9u);
  ASSERT_TRUE(private_from(private_data(good)));
  for (std::size_t i = 1; i < good.size(); ++i) {
    auto numbers = good;
    numbers[i].back() ^= 0x04;
    EXPECT_EQ(error_of(private_from(private_data(numbers))), KeyError::inconsistent) << i;
  }
  auto trivial = good;
  trivial[4] = hex("01");
  trivial[5] = good[1];
  EXPECT_EQ(error_of(private_from(private_data(trivial))), KeyError::inconsistent);
  auto swapped = good;
  std::swap(swapped[4], swapped[5]);
  EXPECT_EQ(error_of(private_from(private_data(swapped))), KeyError::inconsistent);
}

TEST(Rsa, RefusesMalformedPrivateKeysWithTheirCause) {
  const auto numbers = go_numbers();
  const auto good = private_data(numbers);
  auto multi_prime = numbers, long_one = numbers, no_exponent = numbers, no_prime = numbers,
       missing = numbers;
  multi_prime[0] = hex("01");
  long_one[1] = io::Bytes(1025, 0x55);
  no_exponent[2] = hex("01");
  no_prime[4].clear();
  missing.pop_back();
  auto extra = numbers;
  extra.push_back(hex("01"));
  const std::pair<io::Bytes, KeyError> cases[] = {
      {join(good, hex("00")), KeyError::bad_encoding},
      {{good.begin(), good.end() - 1}, KeyError::bad_encoding},
      {private_data(multi_prime), KeyError::bad_encoding},
      {private_data(missing), KeyError::bad_encoding},
      {private_data(extra), KeyError::bad_encoding},
      {private_data(long_one), KeyError::rsa_too_long},
      {private_data(no_exponent), KeyError::out_of_range},
      {private_data(no_prime), KeyError::inconsistent},
      {hex("3000"), KeyError::bad_encoding},
      {hex("55"), KeyError::bad_encoding},
      {io::Bytes(PrivateKey::max_data_bytes + 100, 0x30), KeyError::bad_length},
  };
  for (const auto& [data, error] : cases) EXPECT_EQ(error_of(private_from(data)), error);
}

TEST(Rsa, GeneratedKeysHave2048Bits) {
  io::Random random(1);
  const auto key = PrivateKey::generate(random, KeyType::rsa);
  EXPECT_EQ(key.sign(io::as_bytes("m")).size(), 256u);
}

}  // namespace
}  // namespace flaresim::crypto
