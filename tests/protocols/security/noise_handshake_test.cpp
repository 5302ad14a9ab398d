#include "protocols/security/noise_handshake.h"

#include <gtest/gtest.h>

#include <limits>

#include "protocols/security/noise.h"
#include "tests/protocols/security/noise_vectors.h"
#include "tests/protocols/support/error_of.h"

namespace flaresim::security {
namespace {

Block block(std::string_view hex) {
  const auto bytes = from_hex(hex);
  Block out;
  std::copy_n(bytes.begin(), out.size(), out.begin());
  return out;
}

KeyPair pair(std::string_view secret_hex) { return KeyPair::from_secret(block(secret_hex)); }

class NoiseVectors : public ::testing::TestWithParam<NoiseVector> {
 protected:
  XxHandshake client{Role::client, from_hex(GetParam().prologue), pair(GetParam().client_static),
                     pair(GetParam().client_ephemeral)};
  XxHandshake server{Role::server, from_hex(GetParam().prologue), pair(GetParam().server_static),
                     pair(GetParam().server_ephemeral)};
};

TEST_P(NoiseVectors, EveryMessageIsAsPublished) {
  const auto& messages = GetParam().messages;
  for (std::size_t i = 0; i < 3; ++i) {
    auto& writer = i % 2 == 0 ? client : server;
    auto& reader = i % 2 == 0 ? server : client;
    const auto message = writer.write_message(from_hex(messages[i].payload));
    ASSERT_EQ(message, from_hex(messages[i].ciphertext)) << "message " << i;
    ASSERT_EQ(reader.read_message(*message), from_hex(messages[i].payload)) << "message " << i;
  }
  ASSERT_TRUE(client.finished() && server.finished());
  EXPECT_EQ(client.hash(), server.hash());
  if (!GetParam().handshake_hash.empty()) {
    EXPECT_EQ(client.hash(), block(GetParam().handshake_hash));
  }
  EXPECT_EQ(client.remote_static(), pair(GetParam().server_static).shared);
  EXPECT_EQ(server.remote_static(), pair(GetParam().client_static).shared);

  auto at_client = client.split();
  auto at_server = server.split();
  for (std::size_t i = 3; i < messages.size(); ++i) {
    auto& writer = i % 2 == 0 ? at_client : at_server;
    auto& reader = i % 2 == 0 ? at_server : at_client;
    const auto plain = from_hex(messages[i].payload);
    io::Bytes cipher(plain.size() + CipherState::tag_bytes);
    ASSERT_TRUE(writer.send.encrypt({}, plain, cipher));
    EXPECT_EQ(cipher, from_hex(messages[i].ciphertext)) << "message " << i;
    io::Bytes again(plain.size());
    ASSERT_TRUE(reader.receive.decrypt({}, cipher, again));
    EXPECT_EQ(again, plain);
  }
}

TEST_P(NoiseVectors, NoByteOfAMessageCanBeChanged) {
  const auto& vector = GetParam();
  ASSERT_TRUE(client.write_message(from_hex(vector.messages[0].payload)));
  const auto second = from_hex(vector.messages[1].ciphertext);
  for (std::size_t i = 0; i < second.size(); ++i) {
    auto reader = client;
    auto changed = second;
    changed[i] ^= 1;
    EXPECT_FALSE(reader.read_message(changed)) << "byte " << i;
  }
}

TEST_P(NoiseVectors, AMessageCutAnywhereIsRefused) {
  const auto& vector = GetParam();
  ASSERT_TRUE(client.write_message(from_hex(vector.messages[0].payload)));
  const auto second = from_hex(vector.messages[1].ciphertext);
  constexpr std::size_t tokens_bytes = 32 + 48 + 16;
  for (std::size_t length = 0; length < second.size(); ++length) {
    auto reader = client;
    const auto read = reader.read_message(io::BytesView(second).first(length));
    ASSERT_FALSE(read) << length;
    if (length < 32) {
      EXPECT_EQ(error_of(read), NoiseError::handshake_truncated) << length;
    }
    if (length >= tokens_bytes) {
      EXPECT_EQ(error_of(read), NoiseError::decryption_failed) << length;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Published, NoiseVectors, ::testing::ValuesIn(noise_vectors),
                         [](const auto& vector) { return std::string(vector.param.name); });

TEST(XxHandshake, RefusesAPointOfSmallOrder) {
  io::Random random(1);
  XxHandshake server(Role::server, {}, KeyPair::generate(random), KeyPair::generate(random));
  // The point 0 times anything is 0: everybody would know the secret.
  ASSERT_TRUE(server.read_message(io::Bytes(32, 0)));
  const auto answer = server.write_message({});
  EXPECT_EQ(error_of(answer), NoiseError::weak_key);
}

TEST(XxHandshake, PrologueMustBeTheSame) {
  io::Random random(2);
  XxHandshake client(Role::client, io::as_bytes("one"), KeyPair::generate(random), KeyPair::generate(random));
  XxHandshake server(Role::server, io::as_bytes("two"), KeyPair::generate(random), KeyPair::generate(random));
  ASSERT_TRUE(server.read_message(*client.write_message({})));
  const auto read = client.read_message(*server.write_message({}));
  EXPECT_EQ(error_of(read), NoiseError::decryption_failed);
}

TEST(CipherState, StopsBeforeItsNonceRepeats) {
  constexpr auto last_usable = std::numeric_limits<std::uint64_t>::max() - 1;
  CipherState cipher(Block{}, last_usable);
  io::Bytes sealed(CipherState::tag_bytes);
  EXPECT_TRUE(cipher.encrypt({}, {}, sealed));
  const auto again = cipher.encrypt({}, {}, sealed);
  EXPECT_EQ(error_of(again), NoiseError::nonce_exhausted);

  CipherState reader(Block{}, last_usable);
  EXPECT_TRUE(reader.decrypt({}, sealed, {}));
  const auto none = reader.decrypt({}, sealed, {});
  EXPECT_EQ(error_of(none), NoiseError::nonce_exhausted);
}

}  // namespace
}  // namespace flaresim::security
