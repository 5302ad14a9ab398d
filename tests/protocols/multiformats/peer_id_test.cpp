#include "protocols/multiformats/peer_id.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>

#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::multiformats {
namespace {

// The three ids printed in libp2p/specs peer-ids/peer-ids.md, "String representation".
const std::string ed25519_text = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const std::string sha256_text = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
const std::string cid_text = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe";

PeerId parse(std::string_view text) { return PeerId::from_string(text).value(); }

static_assert(std::is_trivially_copyable_v<PeerId>);

TEST(PeerId, SpecificationsTextsReadAndPrint) {
  for (const auto& text : {ed25519_text, sha256_text}) EXPECT_EQ(parse(text).to_string(), text);
  EXPECT_EQ(parse(cid_text).to_cid_string(), cid_text);
  EXPECT_EQ(parse(cid_text), parse(sha256_text));
}

// go-multiaddr multiaddr_test.go lists one Ed25519 peer in base 58, base 36 and base 32.
TEST(PeerId, OnePeerHasOneIdInEveryBase) {
  const auto peer = parse("12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV");
  EXPECT_EQ(parse("k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs"), peer);
  EXPECT_EQ(parse("bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u"), peer);
  EXPECT_EQ(peer.to_cid_string(), "bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u");
}

TEST(PeerId, ShortKeyIsItsOwnName) {
  const auto key = hex("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e");
  const auto id = PeerId::from_public_key_message(key);
  EXPECT_TRUE(std::ranges::equal(
      id.bytes(), hex("0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")));
  EXPECT_TRUE(std::ranges::equal(id.inline_key_message(), key));
  EXPECT_TRUE(id.to_string().starts_with("12D3KooW"));
}

// The RSA key and its id of go-libp2p core/peer/peer_test.go, the private half left out.
TEST(PeerId, LongKeyIsNamedByItsHash) {
  const auto key =
      hex("080012a60230820122300d06092a864886f70d01010105000382010f003082010a0282010100b78633ed3e58bbd6014dcc"
          "627aad"
          "485875beb9043c16ec8ae78846992a2eb3b56e08cf4328b84258f063c6d6241fa992a9e70f47d84361e08d5b93676c7b3a"
          "c9ecd9"
          "de83812a77bf0299e1d302068fdcf2acc6885d328fd3385371c25f1290417c17255b8a8d930a88a360d1d4ba9ad9baaecc"
          "3c4009"
          "62bdd9d5e12433fc51a4ca77608f52d9262c650c5b9a6434fc67c7384bd86a3768c35aadb6b7954d092f982a692ad34b11"
          "4e489e"
          "95ff5b97de6900a3d2977b97be1d69980cd965b3de3b84502546eed75150f83b8b1d53628b1b37de82282dead8c2717bfc"
          "09f604"
          "7926f8e769a6a8a27fa6722e6facacf174a043999fd96cb8870df5658cc91b74e40b0203010001");
  const auto id = PeerId::from_public_key_message(key);
  EXPECT_EQ(id.to_string(), "QmcJeseojbPW9hSejUM1sQ1a2QmbrryPK4Z8pWbRUPaYEn");
  EXPECT_EQ(id.bytes().size(), 34u);
  EXPECT_TRUE(id.inline_key_message().empty());
}

TEST(PeerId, KeyIsHashedFrom43BytesOn) {
  EXPECT_EQ(PeerId::from_public_key_message(io::Bytes(42, 7)).bytes()[0], 0x00);
  EXPECT_EQ(PeerId::from_public_key_message(io::Bytes(42, 7)).bytes().size(), 44u);
  EXPECT_EQ(PeerId::from_public_key_message(io::Bytes(43, 7)).bytes()[0], 0x12);
  EXPECT_EQ(PeerId::from_public_key_message(io::Bytes(43, 7)).bytes().size(), 34u);
}

TEST(PeerId, ShortFormIsTheEndOfTheText) {
  EXPECT_EQ(parse(ed25519_text).short_string(), "eQAJU5SA");
  EXPECT_EQ(PeerId::from_bytes(hex("000100")).value().short_string(), "15R");
}

TEST(PeerId, OrderIsThatOfTheBytes) {
  const auto a = PeerId::from_bytes(hex("000100")).value();
  const auto b = PeerId::from_bytes(hex("00020000")).value();
  const auto c = PeerId::from_bytes(hex("00020001")).value();
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  EXPECT_LT(c, parse(sha256_text));
  EXPECT_EQ(a, a);
  EXPECT_NE(std::hash<PeerId>{}(b), std::hash<PeerId>{}(c));
}

TEST(PeerId, RefusesMalformedBytesWithTheirCause) {
  const std::string digest(64, '5');
  const std::pair<std::string, PeerIdError> cases[] = {
      {"", PeerIdError::empty},
      {"00", PeerIdError::bad_multihash},
      {"0000", PeerIdError::bad_multihash},
      {"1220" + digest + "55", PeerIdError::bad_multihash},
      {"1220" + digest.substr(2), PeerIdError::bad_multihash},
      {"121f" + digest.substr(2), PeerIdError::bad_multihash},
      {"1114" + digest.substr(24), PeerIdError::bad_multihash},
      {"80001220" + digest, PeerIdError::bad_multihash},
      {"002b" + std::string(86, '5'), PeerIdError::too_long},
      {std::string(2000, '5'), PeerIdError::too_long},
  };
  for (const auto& [bytes, error] : cases)
    EXPECT_EQ(error_of(PeerId::from_bytes(hex(bytes))), error) << bytes;
}

TEST(PeerId, RefusesMalformedTextWithItsCause) {
  const std::pair<std::string, PeerIdError> cases[] = {
      {"", PeerIdError::empty},
      {std::string(200, '1'), PeerIdError::too_long},
      {"12D3KooW0", PeerIdError::bad_encoding},
      {"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5l", PeerIdError::bad_encoding},
      {"?unknownmultibase", PeerIdError::bad_encoding},
      {"k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl-", PeerIdError::bad_encoding},
      {"bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxf", PeerIdError::bad_encoding},
      {"b", PeerIdError::bad_cid},
      // A CID of another content (go-libp2p core/peer/peer_test.go, go-multiaddr multiaddr_test.go).
      {"bafkreifoybygix7fh3r3g5rqle3wcnhqldgdg4shzf4k3ulyw3gn7mabt4", PeerIdError::bad_cid},
      {"k2jmtxwoe2phm1hbqp0e7nufqf6umvuu2e9qd7ana7h411a0haqj6i2z", PeerIdError::bad_cid},
      {"1", PeerIdError::bad_multihash},
      {"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5", PeerIdError::bad_multihash},
      // A digest longer than its function makes (go-multiaddr multiaddr_test.go).
      {"QmxoHT6iViN5xAjoz1VZ553cL31U9F94ht3QvWR1FrEbZY", PeerIdError::bad_multihash},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(error_of(PeerId::from_string(text)), error) << text;
}

TEST(PeerId, RandomInputIsRefusedOrRoundTrips) {
  io::Random random(3);
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    io::Bytes bytes(random.below(60));
    random.fill(bytes);
    if (bytes.size() > 2 && random.below(2) == 0) {
      bytes[0] = random.below(2) == 0 ? 0x00 : 0x12;
      bytes[1] = static_cast<std::uint8_t>(bytes.size() - 2);
    }
    const auto id = PeerId::from_bytes(bytes);
    PeerId::from_string(io::as_text(bytes));
    if (!id) continue;
    ++accepted;
    ASSERT_TRUE(std::ranges::equal(id->bytes(), bytes));
    ASSERT_EQ(parse(id->to_string()), *id);
    ASSERT_EQ(parse(id->to_cid_string()), *id);
  }
  EXPECT_GT(accepted, 1'000);
}

}  // namespace
}  // namespace flaresim::multiformats
