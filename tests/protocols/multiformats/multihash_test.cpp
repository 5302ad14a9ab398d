#include "protocols/multiformats/multihash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::multiformats {
namespace {

const std::string digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// FIPS 180-4: the digests of nothing and of "abc".
TEST(Sha256, AgreesWithPublishedDigests) {
  EXPECT_TRUE(std::ranges::equal(sha256({}), hex(digest)));
  EXPECT_TRUE(std::ranges::equal(sha256(io::as_bytes("abc")),
                                 hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")));
}

TEST(Multihash, GivesFunctionAndDigest) {
  const auto sha = hex("1220" + digest);
  const auto hash = decode_multihash(sha);
  ASSERT_TRUE(hash);
  EXPECT_EQ(hash->code, HashCode::sha2_256);
  EXPECT_TRUE(std::ranges::equal(hash->digest, hex(digest)));

  const auto identity = decode_multihash(hex("0000"));
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->code, HashCode::identity);
  EXPECT_TRUE(identity->digest.empty());
}

TEST(Multihash, RefusesMalformedInputWithItsCause) {
  const std::pair<std::string, MultihashError> cases[] = {
      {"", MultihashError::bad_varint},
      {"12", MultihashError::bad_varint},
      {"9200" + digest, MultihashError::bad_varint},
      {"12a000" + digest, MultihashError::bad_varint},
      {"1114" + digest.substr(24), MultihashError::unknown_function},
      {"1221" + digest + "00", MultihashError::bad_length},
      {"121f" + digest.substr(2), MultihashError::bad_length},
      {"1220" + digest.substr(2), MultihashError::truncated},
      {"0001", MultihashError::truncated},
      {"00ffffffffffffffff7f", MultihashError::truncated},
      {"1220" + digest + "00", MultihashError::trailing_bytes},
      {"000000", MultihashError::trailing_bytes},
  };
  for (const auto& [bytes, error] : cases) EXPECT_EQ(error_of(decode_multihash(hex(bytes))), error) << bytes;
}

}  // namespace
}  // namespace flaresim::multiformats
