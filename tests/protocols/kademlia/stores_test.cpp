#include <gmock/gmock.h>

#include "protocols/crypto/keys.h"
#include "protocols/kademlia/error.h"
#include "protocols/kademlia/provider_store.h"
#include "protocols/kademlia/record_store.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::kademlia {
namespace {

using namespace std::chrono_literals;
using multiformats::Multiaddr;
using multiformats::PeerId;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

crypto::PublicKey public_key(std::uint64_t number) {
  auto random = io::Random(number);
  return crypto::PrivateKey::generate(random).public_key();
}

PeerId peer(std::uint64_t number) { return public_key(number).peer_id(); }

/// Any value that starts with a digit; the greatest is the best.
struct Greatest final : Validator {
  io::Result<> validate(io::BytesView, io::BytesView value) const override {
    if (value.empty() || value[0] < '0' || value[0] > '9') return io::fail(Error::bad_public_key);
    return {};
  }
  std::size_t select(io::BytesView, const std::vector<io::Bytes>& values) const override {
    return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
  }
};

TEST(PublicKeyValidator, TakesTheKeyOfThatPeerAndNoOther) {
  const PublicKeyValidator validator;
  auto key = io::to_bytes("/pk/");
  io::append(key, peer(1).bytes());
  EXPECT_TRUE(validator.validate(key, public_key(1).to_message()));
  EXPECT_EQ(error_of(validator.validate(key, public_key(2).to_message())), Error::bad_public_key);
  EXPECT_EQ(error_of(validator.validate(key, io::to_bytes("no key"))), Error::bad_public_key);
  key[1] = 'x';
  EXPECT_EQ(error_of(validator.validate(key, public_key(1).to_message())), Error::bad_public_key);
  EXPECT_EQ(error_of(validator.validate(io::to_bytes("/p"), public_key(1).to_message())),
            Error::bad_public_key);
}

TEST(Namespace, IsBetweenTheFirstTwoSlashes) {
  EXPECT_EQ(namespace_of(io::as_bytes("/pk/what/ever")), "pk");
  EXPECT_EQ(namespace_of(io::as_bytes("/pk/")), "pk");
  for (const auto* key : {"", "/", "//", "/pk", "pk/x", "//x"}) {
    EXPECT_EQ(namespace_of(io::as_bytes(key)), std::nullopt) << key;
  }
}

struct RecordStoreTest : testing::Test {
  io::Result<> put(std::string_view key, std::string_view value, io::Duration when = 0s) {
    return store.put(io::to_bytes(key), io::to_bytes(value), Greatest(), io::CalendarTime(when));
  }
  std::string get(std::string_view key, io::Duration when = 0s) {
    const auto* stored = store.find(io::to_bytes(key), io::CalendarTime(when));
    return stored ? io::as_text(stored->value) : "";
  }
  RecordStore store{{.max_records = 2, .max_value_bytes = 8}};
};

TEST_F(RecordStoreTest, KeepsTheBestValue) {
  EXPECT_TRUE(put("/n/a", "5"));
  EXPECT_EQ(error_of(put("/n/a", "4")), Error::outdated);
  EXPECT_TRUE(put("/n/a", "6"));
  EXPECT_FALSE(put("/n/a", "x"));
  EXPECT_EQ(get("/n/a"), "6");
}

TEST_F(RecordStoreTest, ForgetsAfter48HoursUnlessPutAgain) {
  put("/n/a", "5");
  put("/n/b", "5");
  EXPECT_TRUE(put("/n/a", "5", 47h));
  EXPECT_EQ(get("/n/a", 48h + 1s), "5");
  EXPECT_EQ(get("/n/b", 48h), "5");
  EXPECT_EQ(get("/n/b", 48h + 1s), "");
  // What has expired stands in nobody's way.
  EXPECT_TRUE(put("/n/b", "1", 48h + 1s));
  store.remove_expired(io::CalendarTime(47h + 48h + 1s));
  EXPECT_EQ(store.size(), 1u);
}

TEST_F(RecordStoreTest, IsBounded) {
  EXPECT_EQ(error_of(put("/n/a", "123456789")), Error::value_too_long);
  put("/n/a", "1");
  put("/n/b", "1");
  EXPECT_EQ(error_of(put("/n/c", "1")), Error::store_full);
  EXPECT_TRUE(put("/n/a", "2"));
  EXPECT_TRUE(put("/n/c", "1", 49h));
}

struct ProviderStoreTest : testing::Test {
  io::Result<> add(std::string_view key, std::uint64_t number, io::Duration when = 0s) {
    return store.add(io::to_bytes(key), {peer(number), {where}}, io::TimePoint(when));
  }
  std::vector<swarm::AddressInfo> find(std::string_view key, io::Duration when = 0s) {
    return store.find(io::to_bytes(key), io::TimePoint(when));
  }
  Multiaddr where = Multiaddr::from_string("/ip4/1.2.3.4/tcp/4001").value();
  ProviderStore store{{.max_keys = 2, .max_providers_per_key = 3}};
};

TEST_F(ProviderStoreTest, ForgetsAddressesAfter24AndProvidersAfter48Hours) {
  add("a", 1);
  add("a", 2, 10h);
  EXPECT_THAT(find("a", 24h),
              ElementsAre(swarm::AddressInfo{peer(1), {where}}, swarm::AddressInfo{peer(2), {where}}));
  EXPECT_THAT(find("a", 25h), ElementsAre(swarm::AddressInfo{peer(1)}, swarm::AddressInfo{peer(2), {where}}));
  EXPECT_THAT(find("a", 48h + 1s), ElementsAre(swarm::AddressInfo{peer(2)}));
  add("a", 2, 40h);
  EXPECT_THAT(find("a", 60h), ElementsAre(swarm::AddressInfo{peer(2), {where}}));
  store.remove_expired(io::TimePoint(100h));
  EXPECT_EQ(store.keys(), 0u);
}

TEST_F(ProviderStoreTest, IsBounded) {
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_TRUE(add("a", i));
  EXPECT_EQ(error_of(add("a", 4)), Error::store_full);
  EXPECT_TRUE(add("a", 3));
  EXPECT_THAT(find("a"), SizeIs(3));
  add("b", 1);
  EXPECT_EQ(error_of(add("c", 1)), Error::store_full);
  EXPECT_TRUE(add("c", 1, 49h));
  store.remove(io::to_bytes("c"), peer(1));
  EXPECT_THAT(find("c", 49h), IsEmpty());
}

}  // namespace
}  // namespace flaresim::kademlia
