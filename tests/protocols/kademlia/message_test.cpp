#include "protocols/kademlia/message.h"

#include <gmock/gmock.h>

#include "protocols/crypto/keys.h"
#include "protocols/kademlia/error.h"
#include "tests/protocols/node/world.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::kademlia {
namespace {

using multiformats::Multiaddr;
using multiformats::PeerId;
using support::field;
using support::joined;
using support::number_field;
using testing::ElementsAre;
using testing::SizeIs;

// Field numbers, libp2p/specs kad-dht/README.md "RPC messages".
enum Field { type = 1, key = 2, record = 3, closer_peers = 8, provider_peers = 9, cluster_level = 10 };
enum PeerField { id = 1, addrs = 2, connection = 3 };

PeerId peer(std::uint64_t number) {
  auto random = io::Random(number);
  return crypto::PrivateKey::generate(random).public_key().peer_id();
}

Multiaddr address(std::string_view text) { return Multiaddr::from_string(text).value(); }

io::Bytes from_hex(std::string_view hex) {
  io::Bytes out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

TEST(Message, FindNodeIsTypeAndKeyOnTheWire) {
  const Message message{MessageType::find_node, io::to_bytes("key")};
  EXPECT_EQ(encode(message), (io::Bytes{0x08, 0x04, 0x12, 0x03, 'k', 'e', 'y'}));
}

TEST(Message, PutValueIsTheDefaultTypeAndSoNotOnTheWire) {
  Message message{MessageType::put_value, io::to_bytes("k")};
  message.record = Record{io::to_bytes("k"), io::to_bytes("v"), "2030-01-01T00:00:00Z"};
  const auto on_wire = joined({field(1, "k"), field(2, "v"), field(5, "2030-01-01T00:00:00Z")});
  EXPECT_EQ(encode(message), joined({field(Field::key, "k"), field(record, on_wire)}));
  EXPECT_EQ(decode(encode(message)), message);
}

TEST(Message, PeersHaveIdAddressesAndConnection) {
  const auto where = address("/ip4/1.2.3.4/tcp/4001");
  const auto entry =
      joined({field(id, peer(1).bytes()), field(addrs, where.bytes()), number_field(connection, 1)});
  const auto bytes =
      joined({number_field(type, 4), number_field(cluster_level, 1), field(closer_peers, entry)});
  const auto message = decode(bytes);
  ASSERT_TRUE(message);
  EXPECT_THAT(message->closer_peers, ElementsAre(PeerEntry{peer(1), {where}, ConnectionType::connected}));
  EXPECT_EQ(encode(*message), joined({number_field(type, 4), field(closer_peers, entry)}));
}

TEST(Message, WhatCannotBeParsedIsLeftOutAndTheRestKept) {
  const auto where = address("/ip4/1.2.3.4/tcp/4001");
  const auto good = joined({field(id, peer(1).bytes()), field(addrs, "nonsense"), field(addrs, where.bytes()),
                            number_field(connection, 77)});
  const auto bad = joined({field(id, "no peer"), field(addrs, where.bytes())});
  const auto message =
      decode(joined({number_field(type, 3), field(provider_peers, bad), field(provider_peers, good)}));
  ASSERT_TRUE(message);
  EXPECT_THAT(message->provider_peers,
              ElementsAre(PeerEntry{peer(1), {where}, ConnectionType::not_connected}));
}

TEST(Message, NoMoreCloserPeersThanAllowedAreTaken) {
  io::Bytes bytes = number_field(type, 4);
  for (std::uint64_t i = 0; i < 1000; ++i) io::append(bytes, field(closer_peers, field(id, peer(1).bytes())));
  EXPECT_THAT(decode(bytes, {.max_closer_peers = 40}).value().closer_peers, SizeIs(40));
}

TEST(Message, AddressesOfOnePeerEndAtItsShareOfTheMessage) {
  std::vector<Multiaddr> many(2000, address("/ip4/1.2.3.4/tcp/4001"));
  Message message{MessageType::find_node};
  message.closer_peers.push_back({peer(1), many});
  const auto bytes = encode(message);
  EXPECT_LE(bytes.size(), 8u * 1024 + 8);
  EXPECT_GT(bytes.size(), 8u * 1024 - 16);
  // As it might come from somebody who knows no such limit.
  EXPECT_EQ(decode(encode(message, {.max_peer_bytes = 1 << 20})), decode(bytes));
}

TEST(Message, UnknownTypesAndNonsenseAreRefused) {
  EXPECT_EQ(error_of(decode(number_field(type, 6))), Error::unknown_type);
  EXPECT_EQ(error_of(decode(io::Bytes{0x0a, 0xff})), Error::malformed);
}

// js-libp2p packages/record/test/fixtures/go-record.ts: bytes that go-libp2p-record made, without and with the
// signature that later versions leave out.
TEST(Record, ReadsWhatGoWrote) {
  for (const auto* hex :
       {"0a0568656c6c6f1205776f726c641a2212201bd5175b1d4123ee29665348c60ea5cf5ac62e2e05215b97a7b9a9b0cf71d11"
        "6",
        "0a0568656c6c6f1205776f726c641a2212201bd5175b1d4123ee29665348c60ea5cf5ac62e2e05215b97a7b9a9b0cf71d116"
        "228001500fe7505698b8a873ccde6f1d36a2be662d57807490d9a9959540f2645a454bf615215092e10123f6ffc4ed694711"
        "bfbb1d5ccb62f3da83cf4528ee577a96b6cf0272eef9a920bd56459993690060353b72c22b8c03ad2a33894522dac338905b"
        "201179a85cb5e2fc68ed58be96cf89beec6dc0913887dddc10f202a2a1b117"}) {
    const auto read = decode_record(from_hex(hex));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, (Record{io::to_bytes("hello"), io::to_bytes("world"), ""}));
  }
  EXPECT_EQ(encode(Record{io::to_bytes("hello"), io::to_bytes("world"), ""}),
            from_hex("0a0568656c6c6f1205776f726c64"));
}

// The form of Go's time.RFC3339Nano, which cuts zeros off at the end.
TEST(Record, TimesHaveAsManyDigitsAsTheyNeed) {
  using namespace std::chrono;
  const sys_time<nanoseconds> when = sys_days(2022y / 4 / 3) + 1h + 4min + 8s;
  EXPECT_EQ(to_rfc3339(when), "2022-04-03T01:04:08Z");
  EXPECT_EQ(to_rfc3339(when + 78ms), "2022-04-03T01:04:08.078Z");
  EXPECT_EQ(to_rfc3339(when + 1ns), "2022-04-03T01:04:08.000000001Z");
}

}  // namespace
}  // namespace flaresim::kademlia
