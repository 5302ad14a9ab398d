#include "protocols/crypto/envelope.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "protocols/crypto/envelope.pb.h"
#include "protocols/io/error_table.h"
#include "protocols/multiformats/multihash.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::crypto {
namespace {

io::Bytes signed_content(const EnvelopePurpose& purpose, io::BytesView payload) {
  io::Bytes content;
  content.reserve(purpose.domain.size() + purpose.payload_type.size() + payload.size() +
                  3 * multiformats::max_varint_bytes);
  for (const auto part : {io::as_bytes(purpose.domain), purpose.payload_type, payload}) {
    multiformats::append_varint(content, part.size());
    io::append(content, part);
  }
  return content;
}

EnvelopeError key_problem(std::error_code error) {
  const bool unsupported = error == KeyError::unsupported_key_type || error == KeyError::unknown_type;
  return unsupported ? EnvelopeError::unsupported_key : EnvelopeError::bad_public_key;
}

/// Signatures that have been found good. In a simulation of thousands of peers each of them shows its record to hundreds,
/// and to verify it costs as much as all else that is done with it.
class VerifiedSignatures {
 public:
  using Digest = multiformats::Sha256;

  bool contains(const Digest& digest) const { return recent_.contains(digest) || older_.contains(digest); }
  void add(const Digest& digest) {
    if (recent_.size() >= max_recent) older_ = std::exchange(recent_, {});
    recent_.insert(digest);
  }

 private:
  static constexpr std::size_t max_recent = 1 << 15;  // with as many older ones some 4 MB
  struct Hash {
    std::size_t operator()(const Digest& digest) const noexcept {
      std::size_t part;
      std::memcpy(&part, digest.data(), sizeof part);
      return part;
    }
  };
  std::unordered_set<Digest, Hash> recent_;
  std::unordered_set<Digest, Hash> older_;
};

/// What the signature is of, whose it is, and the signature itself stand for the result: it depends on nothing else.
io::Result<> verify(const PublicKey& signer, io::BytesView content, io::BytesView signature) {
  thread_local VerifiedSignatures verified;
  io::Bytes all;
  for (const auto part : {io::BytesView(signer.to_message()), content, signature}) {
    multiformats::append_varint(all, part.size());
    io::append(all, part);
  }
  const auto digest = multiformats::sha256(all);
  if (verified.contains(digest)) return {};
  auto result = signer.verify(content, signature);
  if (result) verified.add(digest);
  return result;
}

}  // namespace

std::error_code make_error_code(EnvelopeError error) {
  static constexpr std::string_view messages[] = {
      "envelope is malformed",           "envelope is too long",
      "envelope holds a malformed key",  "envelope is signed with a key of a type that is not supported",
      "envelope is for another purpose", "signature of the envelope does not verify",
  };
  static const io::ErrorTable category("envelope", messages);
  return {static_cast<int>(error), category};
}

io::Bytes seal_envelope(const PrivateKey& key, const EnvelopePurpose& purpose, io::BytesView payload) {
  const auto& signer = key.public_key().to_message();
  const auto signature = key.sign(signed_content(purpose, payload));
  pb::Envelope envelope;
  envelope.set_public_key(signer.data(), signer.size());
  envelope.set_payload_type(purpose.payload_type.data(), purpose.payload_type.size());
  envelope.set_payload(payload.data(), payload.size());
  envelope.set_signature(signature.data(), signature.size());
  io::Bytes sealed(envelope.ByteSizeLong());
  envelope.SerializeToArray(sealed.data(), static_cast<int>(sealed.size()));
  return sealed;
}

io::Result<Envelope> open_envelope(io::BytesView sealed, std::span<const EnvelopePurpose> accepted) {
  if (sealed.size() > max_envelope_bytes) return io::fail(EnvelopeError::too_long);
  pb::Envelope envelope;
  if (!envelope.ParseFromArray(sealed.data(), static_cast<int>(sealed.size())) ||
      envelope.public_key().empty() || envelope.signature().empty())
    return io::fail(EnvelopeError::malformed);

  auto signer = PublicKey::from_message(io::as_bytes(envelope.public_key()));
  if (!signer) return io::fail(key_problem(signer.error()));

  const auto type = io::as_bytes(envelope.payload_type());
  const auto purpose = std::ranges::find_if(accepted, [&](const EnvelopePurpose& candidate) {
    return std::ranges::equal(candidate.payload_type, type);
  });
  if (purpose == accepted.end()) return io::fail(EnvelopeError::wrong_payload_type);

  const auto payload = io::as_bytes(envelope.payload());
  const auto verified =
      verify(*signer, signed_content(*purpose, payload), io::as_bytes(envelope.signature()));
  if (!verified) {
    return io::fail(verified.error() == KeyError::bad_signature ? EnvelopeError::bad_signature
                                                                : key_problem(verified.error()));
  }
  return Envelope{std::move(*signer), static_cast<std::size_t>(purpose - accepted.begin()),
                  io::to_bytes(payload)};
}

}  // namespace flaresim::crypto
