#include "protocols/crypto/peer_record.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "protocols/crypto/envelope.h"
#include "protocols/io/random.h"
#include "tests/protocols/multiformats/hex.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::crypto {
namespace {

using multiformats::Multiaddr;

// js-libp2p packages/peer-record/test/peer-record.spec.ts: a key, and the record that go-libp2p made with it.
const std::string public_half = "11bba3ed1721948cefb4e50b0a0bb5cad8a6b52dc7b1a40f4f6652105c91e2c4";
const std::string go_private_key =
    "08011240 85fbe72b6064289004a531f967898df5319ee02992fdd84021fa5052434bf6ee" + public_half;
constexpr std::uint64_t go_seq = 1'598'453'001'624'231'000;
const std::string peer_field = "0a26 0024 08011220" + public_half;
const std::string seq_field = "10d8b8e0bf9391b69716";

io::Bytes go_record() {
  std::string addresses;
  for (int port = 0; port < 10; ++port) addresses += "1a0a 0a08 0401020304 06000" + std::to_string(port);
  return hex("0a24 08011220" + public_half + "1202 0301 1aaa01" + peer_field + seq_field + addresses +
             "2a40 b197f76b9f288af2b467fe666f774476287049b424b73975c8860efb02372d02"
             "6a799584541ad72f2654346485bca3ece36462b7d1b1391c8d276dc4ab8bca0b");
}

std::vector<Multiaddr> go_addresses() {
  std::vector<Multiaddr> addresses;
  for (int port = 0; port < 10; ++port)
    addresses.push_back(Multiaddr::from_string("/ip4/1.2.3.4/tcp/" + std::to_string(port)).value());
  return addresses;
}

PrivateKey key() { return PrivateKey::from_message(hex(go_private_key)).value(); }

const io::Bytes wire_type = hex("0301");
const EnvelopePurpose wire{"libp2p-peer-record", wire_type};
const EnvelopePurpose rfc{"libp2p-routing-state", io::as_bytes("/libp2p/routing-state-record")};

io::Bytes sealed(const std::string& payload) { return seal_envelope(key(), wire, hex(payload)); }

TEST(PeerRecord, RecordMadeByGoOpens) {
  const auto record = open_peer_record(go_record());
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_EQ(record->peer, key().public_key().peer_id());
  EXPECT_EQ(record->seq, go_seq);
  EXPECT_EQ(record->addresses, go_addresses());
}

TEST(PeerRecord, IsSealedToTheBytesThatGoMakes) {
  EXPECT_EQ(seal_peer_record(key(), go_seq, go_addresses()), go_record());
}

TEST(PeerRecord, EnvelopeOfTheRfcIsAcceptedToo) {
  const auto record = open_peer_record(seal_envelope(key(), rfc, hex(peer_field + "1007")));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->seq, 7u);
  EXPECT_TRUE(record->addresses.empty());
}

TEST(PeerRecord, DomainAndTypeBelongTogether) {
  const EnvelopePurpose mixed{wire.domain, rfc.payload_type};
  const EnvelopePurpose mixed_too{rfc.domain, wire.payload_type};
  for (const auto& purpose : {mixed, mixed_too})
    EXPECT_EQ(error_of(open_peer_record(seal_envelope(key(), purpose, hex(peer_field)))),
              EnvelopeError::bad_signature);
}

TEST(PeerRecord, AddressesThatDoNotParseAreLeftOut) {
  const auto record = open_peer_record(sealed(peer_field + seq_field +
                                              "1a00"                            // nothing
                                              "1a0a 0a08 0401020304 060001"     // good
                                              "1a09 0a07 0401020304 0600"       // truncated
                                              "1a09 0a07 0401020304 8401"       // of an unknown protocol
                                              "1a0a 0a08 0401020304 060002"));  // good
  ASSERT_TRUE(record);
  ASSERT_EQ(record->addresses.size(), 2u);
  EXPECT_EQ(record->addresses[0].to_string(), "/ip4/1.2.3.4/tcp/1");
  EXPECT_EQ(record->addresses[1].to_string(), "/ip4/1.2.3.4/tcp/2");
}

TEST(PeerRecord, RecordSpeaksOfItsSignerOnly) {
  const auto stranger = PrivateKey::from_seed(std::array<std::uint8_t, 32>{1});
  const auto record = seal_envelope(stranger, wire, hex(peer_field + seq_field));
  EXPECT_EQ(error_of(open_peer_record(record)), PeerRecordError::wrong_signer);
}

TEST(PeerRecord, RefusesMalformedInputWithItsCause) {
  std::string many;
  for (std::size_t i = 0; i <= PeerRecord::max_addresses; ++i) many += "1a0a 0a08 0401020304 060001";
  auto tampered = go_record();
  tampered[100] ^= 1;
  const auto voucher_type = hex("0302");
  const EnvelopePurpose voucher{"libp2p-relay-rsvp", voucher_type};
  const std::pair<io::Bytes, std::error_code> cases[] = {
      {{}, EnvelopeError::malformed},
      {hex("0a"), EnvelopeError::malformed},
      {tampered, EnvelopeError::bad_signature},
      {seal_envelope(key(), voucher, hex(peer_field)), EnvelopeError::wrong_payload_type},
      {sealed(""), PeerRecordError::malformed},
      {sealed("ff"), PeerRecordError::malformed},
      {sealed(seq_field), PeerRecordError::malformed},
      {sealed("0a03 001100" + seq_field), PeerRecordError::malformed},
      {sealed(peer_field + "10"), PeerRecordError::malformed},
      {sealed(peer_field + "1a03 0a08 04"), PeerRecordError::malformed},
      {sealed(peer_field + many), PeerRecordError::too_many_addresses},
  };
  for (const auto& [bytes, error] : cases) {
    const auto record = open_peer_record(bytes);
    EXPECT_EQ(error_of(record), error) << error.message();
  }
}

TEST(PeerRecord, RandomPayloadsOfAGoodSignerAreRefusedOrRead) {
  const auto good = hex(peer_field + seq_field + "1a0a 0a08 0401020304 060001");
  io::Random random(11);
  int opened = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto payload = good;
    for (auto edits = random.below(4); edits > 0; --edits)
      payload[random.below(payload.size())] = static_cast<std::uint8_t>(random.below(256));
    const auto record = open_peer_record(seal_envelope(key(), wire, payload));
    if (!record) {
      ASSERT_TRUE(record.error() == PeerRecordError::malformed ||
                  record.error() == PeerRecordError::wrong_signer);
      continue;
    }
    ++opened;
    ASSERT_EQ(record->peer, key().public_key().peer_id());
  }
  EXPECT_GT(opened, 1'000);
}

}  // namespace
}  // namespace flaresim::crypto
