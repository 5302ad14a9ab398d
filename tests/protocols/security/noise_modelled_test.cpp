#include <gtest/gtest.h>

#include <optional>
#include <tuple>

#include "protocols/security/noise.h"
#include "protocols/security/noise_handshake.h"
#include "tests/protocols/support/pipe.h"
#include "tests/protocols/support/run_task.h"

namespace flaresim::security {
namespace {

using namespace std::chrono_literals;
using Outcome = io::Result<Secured>;

/// One write to the wire.
struct Write {
  io::TimePoint at;
  char by;
  std::size_t bytes;
  bool operator==(const Write&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Write& write) {
  return out << write.by << " wrote " << write.bytes << " after " << write.at.time_since_epoch().count()
             << " ns";
}

struct Setting {
  std::vector<std::string> alices_muxers{};
  std::vector<std::string> bobs_muxers{};
  crypto::KeyType type = crypto::KeyType::ed25519;
  bool expects_somebody_else = false;
  /// Changes one byte of what that side writes.
  char tampered_side = 0;
  std::size_t tampered_write = 0;
  std::size_t tampered_byte = 0;
};

struct Result {
  std::vector<Write> writes;
  std::error_code alices_error, bobs_error;
  std::string alices_muxer, bobs_muxer;
  std::string heard;  // by Bob
  bool operator==(const Result&) const = default;
};

/// Alice dials Bob, 10 ms away, and sends him a little and then a lot.
class Meeting {
 public:
  Meeting(const Setting& setting, NoiseMode alices, NoiseMode bobs)
      : setting_(setting), alice_(key("alice")), bob_(key("bob")) {
    watch(*pipe_.a, 'A');
    watch(*pipe_.b, 'B');
    const auto expected = (setting.expects_somebody_else ? alice_ : bob_).public_key().peer_id();
    auto client = start(pipe_.a, alice_, {Role::client, expected, setting.alices_muxers}, alices);
    auto server = start(pipe_.b, bob_, {Role::server, {}, setting.bobs_muxers}, bobs);
    scheduler_.run();
    take(client, result.alices_error, result.alices_muxer);
    take(server, result.bobs_error, result.bobs_muxer);
    if (!result.alices_error && !result.bobs_error) talk(*client.value()->stream, *server.value()->stream);
    EXPECT_EQ(scheduler_.armed_timers(), 0u);
  }

  Result result;

 private:
  crypto::PrivateKey key(std::string_view name) const {
    auto random = io::Random(1).derive(name);
    return crypto::PrivateKey::generate(random, setting_.type);
  }

  void watch(support::PipeEnd& end, char by) {
    end.on_write([this, by, count = std::size_t{0}](io::Bytes& bytes) mutable {
      result.writes.push_back({scheduler_.now(), by, bytes.size()});
      if (by == setting_.tampered_side && count++ == setting_.tampered_write)
        bytes.at(setting_.tampered_byte) ^= 0x04;
    });
  }

  support::Started<Outcome> start(io::StreamPtr stream, const crypto::PrivateKey& key, Handshake handshake,
                                  NoiseMode mode) {
    return support::start(
        scheduler_, noise(scheduler_, std::move(stream), key,
                          io::Random(2).derive(key.public_key().peer_id().to_string()), handshake, mode));
  }

  static void take(const support::Started<Outcome>& from, std::error_code& error, std::string& muxer) {
    ASSERT_TRUE(from.done());
    if (from.value()) muxer = from.value()->muxer;
    if (!from.value()) error = from.value().error();
  }

  void talk(io::Stream& alices, io::Stream& bobs) {
    const std::string text = "hello" + std::string(150'000, 'x') + "bye";
    for (const auto part : {std::string_view(text).substr(0, 5), std::string_view(text).substr(5)})
      EXPECT_TRUE(support::run_task(scheduler_, alices.write(io::as_bytes(part))));
    io::Bytes heard(text.size());
    const auto read = support::run_task(scheduler_, io::read_exactly(bobs, heard));
    if (!read) result.bobs_error = read.error();
    result.heard = read ? io::as_text(heard) : "";
    EXPECT_TRUE(!read || result.heard == text);
  }

  Setting setting_;
  crypto::PrivateKey alice_, bob_;
  support::TestScheduler scheduler_;
  support::Pipe pipe_ = support::pipe(scheduler_, {.latency = 10ms});
};

Result meet(const Setting& setting, NoiseMode alices, NoiseMode bobs) {
  return Meeting(setting, alices, bobs).result;
}
Result meet(const Setting& setting, NoiseMode both) { return meet(setting, both, both); }

/// Whatever comes of it, it must be the same with both.
void expect_no_difference(const Setting& setting) {
  const auto real = meet(setting, NoiseMode::real);
  const auto modelled = meet(setting, NoiseMode::modelled);
  EXPECT_EQ(real.writes, modelled.writes);
  EXPECT_EQ(real.alices_error, modelled.alices_error) << modelled.alices_error.message();
  EXPECT_EQ(real.bobs_error, modelled.bobs_error) << modelled.bobs_error.message();
  EXPECT_EQ(real, modelled);
}

TEST(ModelledNoise, WritesTheSameBytesAtTheSameInstantsAsRealNoise) {
  expect_no_difference({});
  // A hello, an answer with key and signature, a proof, and the stream's frames.
  EXPECT_EQ(meet({}, NoiseMode::modelled).writes.size(), 3u + 4u);
}

TEST(ModelledNoise, AgreesOnMuxersInsideTheHandshakeAsRealNoiseDoes) {
  expect_no_difference({.alices_muxers = {"/yamux/1.0.0"}, .bobs_muxers = {"/yamux/1.0.0"}});
  expect_no_difference({.alices_muxers = {"/one", "/two"}, .bobs_muxers = {"/three", "/two", "/one"}});
  expect_no_difference({.alices_muxers = {"/yamux/1.0.0"}, .bobs_muxers = {}});
  const Setting common{.alices_muxers = {"/one", "/two"}, .bobs_muxers = {"/two"}};
  EXPECT_EQ(meet(common, NoiseMode::modelled).bobs_muxer, "/two");
}

TEST(ModelledNoise, RefusesWithoutACommonMuxerAsRealNoiseDoes) {
  const Setting setting{.alices_muxers = {"/one"}, .bobs_muxers = {"/two"}};
  expect_no_difference(setting);
  EXPECT_EQ(meet(setting, NoiseMode::modelled).alices_error, NoiseError::no_common_muxer);
}

TEST(ModelledNoise, RefusesAnotherPeerThanItDialledAsRealNoiseDoes) {
  const Setting setting{.expects_somebody_else = true};
  expect_no_difference(setting);
  EXPECT_EQ(meet(setting, NoiseMode::modelled).alices_error, NoiseError::peer_mismatch);
}

TEST(ModelledNoise, HasTheSizesOfIdentitiesOfEveryKind) {
  for (const auto type : {crypto::KeyType::rsa, crypto::KeyType::secp256k1, crypto::KeyType::ecdsa}) {
    // DER signatures differ in length with what is signed, so that only sums that do not depend on it are compared.
    const auto real = meet({.type = type}, NoiseMode::real);
    const auto modelled = meet({.type = type}, NoiseMode::modelled);
    ASSERT_EQ(real.writes.size(), modelled.writes.size());
    for (std::size_t i = 0; i < real.writes.size(); ++i) {
      EXPECT_EQ(real.writes[i].at, modelled.writes[i].at);
      const auto slack = type == crypto::KeyType::rsa || i == 0 || i > 2 ? 0.0 : 2.0;
      EXPECT_NEAR(static_cast<double>(real.writes[i].bytes), static_cast<double>(modelled.writes[i].bytes),
                  slack);
    }
    EXPECT_EQ(real.heard, modelled.heard);
  }
}

TEST(ModelledNoise, NoticesEveryChangedByteOfAHandshakeWithTheErrorOfRealNoise) {
  const std::vector<std::string> muxers{"/yamux/1.0.0"};
  const auto undisturbed = meet({.alices_muxers = muxers, .bobs_muxers = muxers}, NoiseMode::real).writes;
  for (const auto& [side, write, index] : {std::tuple('A', 0u, 0u), {'B', 0u, 1u}, {'A', 1u, 2u}}) {
    constexpr std::size_t frame_bytes = 2;  // a changed length makes the remote wait
    for (std::size_t byte = frame_bytes; byte < undisturbed.at(index).bytes; ++byte) {
      const Setting setting{.alices_muxers = muxers,
                            .bobs_muxers = muxers,
                            .tampered_side = side,
                            .tampered_write = write,
                            .tampered_byte = byte};
      const auto modelled = meet(setting, NoiseMode::modelled);
      EXPECT_TRUE(modelled.alices_error || modelled.bobs_error);
      EXPECT_EQ(modelled, meet(setting, NoiseMode::real)) << side << " write " << write << " byte " << byte;
    }
  }
}

TEST(ModelledNoise, NoticesAChangedByteOfTheStreamWithTheErrorOfRealNoise) {
  for (const std::size_t byte : {2u, 10u, 65'520u, 65'536u}) {
    const Setting setting{.tampered_side = 'A', .tampered_write = 3, .tampered_byte = byte};
    expect_no_difference(setting);
    EXPECT_EQ(meet(setting, NoiseMode::modelled).bobs_error, NoiseError::decryption_failed);
  }
}

TEST(ModelledNoise, IsUsedWhenTheDiallerIsModelledAndTheServerAnswersIt) {
  using enum NoiseMode;
  const auto is_modelled = [](NoiseMode alices, NoiseMode bobs) {
    support::TestScheduler scheduler;
    const auto pipe = support::pipe(scheduler);
    std::optional<Crypto> crypto;
    pipe.a->on_write([&](io::Bytes& bytes) {
      if (!crypto) crypto = XxHandshake::crypto_of(io::BytesView(bytes).subspan(2));
    });
    io::Random random(3);
    const auto alice = crypto::PrivateKey::generate(random), bob = crypto::PrivateKey::generate(random);
    const auto client = support::start(
        scheduler, noise(scheduler, pipe.a, alice, random.derive("a"), {Role::client, {}, {}}, alices));
    const auto server = support::start(
        scheduler, noise(scheduler, pipe.b, bob, random.derive("b"), {Role::server, {}, {}}, bobs));
    scheduler.run();
    EXPECT_TRUE(client.value()) << client.value().error().message();
    EXPECT_TRUE(server.value());
    return crypto == Crypto::modelled;
  };
  EXPECT_TRUE(is_modelled(modelled, modelled));
  EXPECT_TRUE(is_modelled(modelled, answer_modelled));
  EXPECT_FALSE(is_modelled(real, modelled));
  EXPECT_FALSE(is_modelled(real, answer_modelled));
  EXPECT_FALSE(is_modelled(real, real));
  EXPECT_FALSE(is_modelled(answer_modelled, modelled));
  EXPECT_FALSE(is_modelled(answer_modelled, answer_modelled));
}

TEST(ModelledNoise, FailsAtAServerThatIsRealAloneAsABadMessageDoes) {
  const auto result = meet({}, NoiseMode::modelled, NoiseMode::real);
  EXPECT_EQ(result.alices_error, NoiseError::decryption_failed);
  EXPECT_EQ(result.bobs_error, std::errc::connection_reset);
}

}  // namespace
}  // namespace flaresim::security
