#include "protocols/security/noise.h"

#include <algorithm>
#include <array>
#include <memory>

#include "protocols/io/error_table.h"
#include "protocols/security/modelled_crypto.h"
#include "protocols/security/noise.pb.h"
#include "protocols/security/noise_handshake.h"
#include "protocols/security/noise_stream.h"

namespace flaresim::security {
namespace {

constexpr std::string_view signature_prefix = "noise-libp2p-static-key:";

io::Bytes signed_bytes(const Block& static_key) {
  auto bytes = io::to_bytes(signature_prefix);
  io::append(bytes, static_key);
  return bytes;
}

/// Signatures of other kinds than Ed25519 have other sizes, and no model.
bool is_modelled(const crypto::PublicKey& key, Crypto crypto) {
  return crypto == Crypto::modelled && key.type() == crypto::KeyType::ed25519;
}

io::Bytes sign_static_key(const crypto::PrivateKey& identity, const Block& static_key, Crypto crypto) {
  const auto& key = identity.public_key();
  if (!is_modelled(key, crypto)) return identity.sign(signed_bytes(static_key));
  return io::to_bytes(io::BytesView(modelled::sign(key.to_message(), signed_bytes(static_key))));
}

io::Result<> verify_static_key(const crypto::PublicKey& key, const Block& static_key, io::BytesView signature,
                               Crypto crypto) {
  if (!is_modelled(key, crypto)) return key.verify(signed_bytes(static_key), signature);
  if (!std::ranges::equal(modelled::sign(key.to_message(), signed_bytes(static_key)), signature))
    return io::fail(NoiseError::bad_signature);
  return {};
}

io::Bytes own_payload(const crypto::PrivateKey& identity, const Block& static_key,
                      const std::vector<std::string>& muxers, Crypto crypto) {
  pb::NoiseHandshakePayload payload;
  payload.set_identity_key(io::as_text(identity.public_key().to_message()));
  payload.set_identity_sig(io::as_text(sign_static_key(identity, static_key, crypto)));
  for (const auto& muxer : muxers) payload.mutable_extensions()->add_stream_muxers(muxer);
  return io::to_bytes(payload.SerializeAsString());
}

/// What the remote's payload says, once its signature has been verified.
struct RemotePayload {
  crypto::PublicKey key;
  std::vector<std::string> muxers;
};

/// A key that we cannot compute with is not the remote's mistake, and says so itself.
std::error_code unless_unsupported(std::error_code error, NoiseError otherwise) {
  return error == crypto::KeyError::unsupported_key_type ? error : make_error_code(otherwise);
}

io::Result<RemotePayload> verify_payload(io::BytesView bytes, const Block& static_key, Crypto crypto) {
  pb::NoiseHandshakePayload payload;
  if (!payload.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !payload.has_identity_key() ||
      !payload.has_identity_sig()) {
    return io::fail(NoiseError::malformed_payload);
  }
  auto key = crypto::PublicKey::from_message(io::as_bytes(payload.identity_key()));
  if (!key) return tl::unexpected(unless_unsupported(key.error(), NoiseError::bad_identity_key));
  const auto verified = verify_static_key(*key, static_key, io::as_bytes(payload.identity_sig()), crypto);
  if (!verified) return tl::unexpected(unless_unsupported(verified.error(), NoiseError::bad_signature));
  const auto& muxers = payload.extensions().stream_muxers();
  return RemotePayload{std::move(*key), {muxers.begin(), muxers.end()}};
}

/// The first of the client's that the server has too; none when either side leaves it to multistream-select.
/// Source: libp2p/specs connections/inlined-muxer-negotiation.md.
io::Result<std::string> choose_muxer(const std::vector<std::string>& clients,
                                     const std::vector<std::string>& servers) {
  if (clients.empty() || servers.empty()) return std::string();
  const auto common = std::find_first_of(clients.begin(), clients.end(), servers.begin(), servers.end());
  if (common == clients.end()) return io::fail(NoiseError::no_common_muxer);
  return *common;
}

io::Task<io::Result<>> write_frame(io::Stream& stream, io::Result<io::Bytes> message) {
  if (!message) co_return tl::unexpected(message.error());
  io::Bytes frame{static_cast<std::uint8_t>(message->size() >> 8),
                  static_cast<std::uint8_t>(message->size())};
  io::append(frame, *message);
  co_return co_await stream.write(frame);
}

io::Task<io::Result<io::Bytes>> read_frame(io::Stream& stream) {
  std::array<std::uint8_t, 2> prefix;
  if (auto got = co_await io::read_exactly(stream, prefix); !got) co_return tl::unexpected(got.error());
  io::Bytes message(prefix[0] << 8 | prefix[1]);
  if (auto got = co_await io::read_exactly(stream, message); !got) co_return tl::unexpected(got.error());
  co_return message;
}

/// The key pairs of one handshake. They are drawn before it is known what they are for, so that whatever comes takes
/// the same random bytes.
struct Secrets {
  Block fixed;  // libp2p lets the static key live as short as the session
  Block ephemeral;

  explicit Secrets(io::Random& random) {
    random.fill(fixed);
    random.fill(ephemeral);
  }
};

/// A handshake under way.
struct Run {
  Run(const crypto::PrivateKey& identity, const Secrets& secrets, const Handshake& handshake, Crypto with)
      : crypto(with),
        fixed(KeyPair::from_secret(secrets.fixed, with)),
        state(handshake.role, {}, fixed, KeyPair::from_secret(secrets.ephemeral, with), with),
        payload(own_payload(identity, fixed.shared, handshake.muxers, with)) {}

  Crypto crypto;
  KeyPair fixed;
  XxHandshake state;
  io::Bytes payload;
};
using RunPtr = std::unique_ptr<Run>;

/// Up to and with the first message: now both sides know with which primitives they go on.
io::Task<io::Result<RunPtr>> begin(io::Stream& stream, const crypto::PrivateKey& identity,
                                   const Secrets& secrets, const Handshake& handshake, NoiseMode mode) {
  if (handshake.role == Role::client) {
    const auto crypto = mode == NoiseMode::modelled ? Crypto::modelled : Crypto::real;
    auto run = std::make_unique<Run>(identity, secrets, handshake, crypto);
    if (auto sent = co_await write_frame(stream, run->state.write_message({})); !sent)
      co_return tl::unexpected(sent.error());
    co_return run;
  }
  const auto hello = co_await read_frame(stream);
  if (!hello) co_return tl::unexpected(hello.error());
  const auto crypto = mode == NoiseMode::real ? Crypto::real : XxHandshake::crypto_of(*hello);
  auto run = std::make_unique<Run>(identity, secrets, handshake, crypto);
  // The first message carries nothing secret and nothing proven: whatever is in its payload is ignored.
  if (auto read = run->state.read_message(*hello); !read) co_return tl::unexpected(read.error());
  co_return run;
}

struct Agreed {
  RemotePayload remote;
  std::string muxer;
};

io::Result<Agreed> judge(const Run& run, const io::Result<io::Bytes>& payload, const Handshake& handshake) {
  if (!payload) return tl::unexpected(payload.error());
  auto remote = verify_payload(*payload, run.state.remote_static(), run.crypto);
  if (!remote) return tl::unexpected(remote.error());
  if (handshake.expected && *handshake.expected != remote->key.peer_id())
    return io::fail(NoiseError::peer_mismatch);
  auto muxer = handshake.role == Role::client ? choose_muxer(handshake.muxers, remote->muxers)
                                              : choose_muxer(remote->muxers, handshake.muxers);
  if (!muxer) return tl::unexpected(muxer.error());
  return Agreed{std::move(*remote), std::move(*muxer)};
}

io::Task<io::Result<Agreed>> finish_as_client(Run& run, io::Stream& stream, const Handshake& handshake) {
  const auto answer = co_await read_frame(stream);
  if (!answer) co_return tl::unexpected(answer.error());
  auto agreed = judge(run, run.state.read_message(*answer), handshake);
  if (!agreed) co_return agreed;
  if (auto sent = co_await write_frame(stream, run.state.write_message(run.payload)); !sent)
    co_return tl::unexpected(sent.error());
  co_return agreed;
}

io::Task<io::Result<Agreed>> finish_as_server(Run& run, io::Stream& stream, const Handshake& handshake) {
  if (auto sent = co_await write_frame(stream, run.state.write_message(run.payload)); !sent)
    co_return tl::unexpected(sent.error());
  const auto proof = co_await read_frame(stream);
  if (!proof) co_return tl::unexpected(proof.error());
  co_return judge(run, run.state.read_message(*proof), handshake);
}

}  // namespace

std::error_code make_error_code(NoiseError error) {
  static constexpr std::string_view messages[] = {
      "handshake message too short",
      "message does not verify",
      "malformed handshake payload",
      "malformed identity key",
      "identity key did not sign the static key",
      "another peer answered",
      "no common stream muxer",
      "too many messages under one key",
      "public key of small order",
  };
  static const io::ErrorTable category("noise", messages);
  return {static_cast<int>(error), category};
}

io::Task<io::Result<Secured>> noise(io::Scheduler&, io::StreamPtr stream, const crypto::PrivateKey& identity,
                                    io::Random random, Handshake handshake, NoiseMode mode) {
  const auto failed = [&](std::error_code why) {
    stream->reset(why);
    return tl::unexpected(why);
  };
  const Secrets secrets(random);
  const auto run = co_await begin(*stream, identity, secrets, handshake, mode);
  if (!run) co_return failed(run.error());
  const auto finish = handshake.role == Role::client ? finish_as_client : finish_as_server;
  auto agreed = co_await finish(**run, *stream, handshake);
  if (!agreed) co_return failed(agreed.error());
  auto remote = agreed->remote.key.peer_id();
  co_return Secured{std::make_shared<NoiseStream>(std::move(stream), (*run)->state.split()),
                    std::move(agreed->remote.key), remote, std::move(agreed->muxer)};
}

}  // namespace flaresim::security
