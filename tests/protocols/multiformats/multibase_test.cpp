#include "protocols/multiformats/multibase.h"

#include <gtest/gtest.h>

#include <utility>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"

namespace flaresim::multiformats {
namespace {

// draft-msporny-base58-03 §5.
TEST(Base58, AgreesWithTheDraftsVectors) {
  const std::pair<io::Bytes, std::string> vectors[] = {
      {io::to_bytes("Hello World!"), "2NEpo7TZRRrLZSi2U"},
      {io::to_bytes("The quick brown fox jumps over the lazy dog."),
       "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z"},
      {hex("0000287fb4cd"), "11233QC4"},
      {{}, ""},
      {hex("000000"), "111"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base58(bytes), text);
    EXPECT_EQ(decode_base58(text), bytes);
  }
}

TEST(Base58, KnowsNoAmbiguousCharacters) {
  for (const char* text : {"0", "O", "I", "l", "2NEpo7TZ RRrLZSi2U", "+"})
    EXPECT_FALSE(decode_base58(text)) << text;
}

// RFC 4648 §10, in lower case and without padding.
TEST(Base32, AgreesWithTheRfcsVectors) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "my"},
      {"fo", "mzxq"},
      {"foo", "mzxw6"},
      {"foob", "mzxw6yq"},
      {"fooba", "mzxw6ytb"},
      {"foobar", "mzxw6ytboi"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base32(io::as_bytes(bytes)), text);
    EXPECT_EQ(decode_base32(text), io::to_bytes(std::string_view(bytes)));
  }
}

TEST(Base32, RefusesWhatItNeverWrites) {
  // Upper case, padding, foreign digits; impossible lengths with and without bits in them; bits left over.
  for (const char* text : {"MY", "my======", "m1", "m", "mzx", "mzxw6y", "a", "aaa", "aaaaaa", "mz", "mzxr"})
    EXPECT_FALSE(decode_base32(text)) << text;
}

// RFC 4648 §10, without padding; the last two exercise the URL alphabet.
TEST(Base64Url, AgreesWithTheRfcsVectors) {
  const std::pair<io::Bytes, const char*> vectors[] = {
      {io::to_bytes("f"), "Zg"},
      {io::to_bytes("fo"), "Zm8"},
      {io::to_bytes("foo"), "Zm9v"},
      {io::to_bytes("foob"), "Zm9vYg"},
      {io::to_bytes("fooba"), "Zm9vYmE"},
      {io::to_bytes("foobar"), "Zm9vYmFy"},
      {hex("fbff"), "-_8"},
      {hex("ffffff"), "____"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64url(bytes), text);
    EXPECT_EQ(decode_base64url(text), bytes);
  }
  for (const char* text : {"Zg==", "Z", "A", "Zh", "+/8"}) EXPECT_FALSE(decode_base64url(text)) << text;
}

// multiformats/multibase tests/basic.csv: "yes mani !".
TEST(Multibase, ReadsTheBaseFromTheFirstCharacter) {
  for (const char* text : {"bpfsxgidnmfxgsibb", "k2lcpzo5yikidynfl", "ueWVzIG1hbmkgIQ", "z7paNL19xttacUY"})
    EXPECT_EQ(decode_multibase(text), io::to_bytes("yes mani !")) << text;
  // Other bases of that file, and no base.
  for (const char* text : {"f796573206d616e692021", "mYWVzIG1hbmkgIQ", "BPFSXGIDNMFXGSIBB", ""})
    EXPECT_FALSE(decode_multibase(text)) << text;
}

TEST(Multibase, EveryBaseRoundTripsRandomBytes) {
  io::Random random(2);
  for (int i = 0; i < 20'000; ++i) {
    io::Bytes bytes(random.below(50));
    random.fill(bytes);
    for (auto zeros = random.below(4); zeros > 0 && zeros <= bytes.size(); --zeros) bytes[zeros - 1] = 0;
    ASSERT_EQ(decode_base58(encode_base58(bytes)), bytes);
    ASSERT_EQ(decode_base32(encode_base32(bytes)), bytes);
    ASSERT_EQ(decode_base64url(encode_base64url(bytes)), bytes);
  }
}

}  // namespace
}  // namespace flaresim::multiformats
