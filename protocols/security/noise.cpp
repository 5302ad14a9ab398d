#include "protocols/security/noise.h"

#include <algorithm>
#include <array>

#include "protocols/security/noise.pb.h"
#include "protocols/security/noise_handshake.h"
#include "protocols/security/noise_stream.h"

namespace flaresim::security {
namespace {

constexpr std::string_view signature_prefix = "noise-libp2p-static-key:";

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "noise"; }
  std::string message(int value) const override {
    switch (static_cast<NoiseError>(value)) {
      case NoiseError::handshake_truncated:
        return "handshake message too short";
      case NoiseError::decryption_failed:
        return "message does not verify";
      case NoiseError::malformed_payload:
        return "malformed handshake payload";
      case NoiseError::bad_identity_key:
        return "malformed identity key";
      case NoiseError::bad_signature:
        return "identity key did not sign the static key";
      case NoiseError::peer_mismatch:
        return "another peer answered";
      case NoiseError::no_common_muxer:
        return "no common stream muxer";
      case NoiseError::nonce_exhausted:
        return "too many messages under one key";
      case NoiseError::weak_key:
        return "public key of small order";
    }
    return "unknown";
  }
};

io::Bytes signed_bytes(const Block& static_key) {
  auto bytes = io::to_bytes(signature_prefix);
  io::append(bytes, static_key);
  return bytes;
}

io::Bytes own_payload(const crypto::PrivateKey& identity, const Block& static_key,
                      const std::vector<std::string>& muxers) {
  pb::NoiseHandshakePayload payload;
  payload.set_identity_key(io::as_text(identity.public_key().to_message()));
  payload.set_identity_sig(io::as_text(identity.sign(signed_bytes(static_key))));
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

io::Result<RemotePayload> verify_payload(io::BytesView bytes, const Block& static_key) {
  pb::NoiseHandshakePayload payload;
  if (!payload.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !payload.has_identity_key() ||
      !payload.has_identity_sig()) {
    return io::fail(NoiseError::malformed_payload);
  }
  auto key = crypto::PublicKey::from_message(io::as_bytes(payload.identity_key()));
  if (!key) return tl::unexpected(unless_unsupported(key.error(), NoiseError::bad_identity_key));
  const auto verified = key->verify(signed_bytes(static_key), io::as_bytes(payload.identity_sig()));
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

struct Agreed {
  RemotePayload remote;
  std::string muxer;
};

io::Result<Agreed> judge(const XxHandshake& noise, const io::Result<io::Bytes>& payload,
                         const Handshake& handshake) {
  if (!payload) return tl::unexpected(payload.error());
  auto remote = verify_payload(*payload, noise.remote_static());
  if (!remote) return tl::unexpected(remote.error());
  if (handshake.expected && *handshake.expected != remote->key.peer_id())
    return io::fail(NoiseError::peer_mismatch);
  auto muxer = handshake.role == Role::client ? choose_muxer(handshake.muxers, remote->muxers)
                                              : choose_muxer(remote->muxers, handshake.muxers);
  if (!muxer) return tl::unexpected(muxer.error());
  return Agreed{std::move(*remote), std::move(*muxer)};
}

io::Task<io::Result<Agreed>> run_as_client(XxHandshake& noise, io::Stream& stream, const io::Bytes& payload,
                                           const Handshake& handshake) {
  if (auto sent = co_await write_frame(stream, noise.write_message({})); !sent) {
    co_return tl::unexpected(sent.error());
  }
  const auto answer = co_await read_frame(stream);
  if (!answer) co_return tl::unexpected(answer.error());
  auto agreed = judge(noise, noise.read_message(*answer), handshake);
  if (!agreed) co_return agreed;
  if (auto sent = co_await write_frame(stream, noise.write_message(payload)); !sent) {
    co_return tl::unexpected(sent.error());
  }
  co_return agreed;
}

io::Task<io::Result<Agreed>> run_as_server(XxHandshake& noise, io::Stream& stream, const io::Bytes& payload,
                                           const Handshake& handshake) {
  const auto hello = co_await read_frame(stream);
  if (!hello) co_return tl::unexpected(hello.error());
  // The first message carries nothing secret and nothing proven: whatever is in its payload is ignored.
  if (auto read = noise.read_message(*hello); !read) co_return tl::unexpected(read.error());
  if (auto sent = co_await write_frame(stream, noise.write_message(payload)); !sent) {
    co_return tl::unexpected(sent.error());
  }
  const auto proof = co_await read_frame(stream);
  if (!proof) co_return tl::unexpected(proof.error());
  co_return judge(noise, noise.read_message(*proof), handshake);
}

}  // namespace

std::error_code make_error_code(NoiseError error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

io::Task<io::Result<Secured>> noise(io::Scheduler&, io::StreamPtr stream, const crypto::PrivateKey& identity,
                                    io::Random random, Handshake handshake) {
  const auto fixed = KeyPair::generate(random);  // libp2p lets the static key live as short as the session
  const auto ephemeral = KeyPair::generate(random);
  const auto payload = own_payload(identity, fixed.shared, handshake.muxers);
  XxHandshake state(handshake.role, {}, fixed, ephemeral);

  auto run = handshake.role == Role::client ? run_as_client : run_as_server;
  auto agreed = co_await run(state, *stream, payload, handshake);
  if (!agreed) {
    stream->reset(agreed.error());
    co_return tl::unexpected(agreed.error());
  }
  auto remote = agreed->remote.key.peer_id();
  co_return Secured{std::make_shared<NoiseStream>(std::move(stream), state.split()),
                    std::move(agreed->remote.key), remote, std::move(agreed->muxer)};
}

}  // namespace flaresim::security
