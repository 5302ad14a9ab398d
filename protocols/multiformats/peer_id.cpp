#include "protocols/multiformats/peer_id.h"

#include <algorithm>

#include "protocols/io/error_table.h"
#include "protocols/multiformats/multibase.h"
#include "protocols/multiformats/multihash.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::multiformats {
namespace {

constexpr std::uint64_t cid_version = 1;
constexpr std::uint64_t libp2p_key_codec = 0x72;  // multicodec table
constexpr std::size_t short_characters = 8;
// The longest text of a peer id is a CID in base 32: a prefix, and 8 characters for 5 bytes.
constexpr std::size_t max_text_characters = 1 + ((PeerId::max_bytes + 2) * 8 + 4) / 5;

}  // namespace

std::error_code make_error_code(PeerIdError error) {
  static constexpr std::string_view messages[] = {
      "peer id is empty",
      "peer id is too long",
      "peer id is in no known text encoding",
      "peer id is a CID of another version or content than a libp2p key",
      "peer id is no valid multihash of a key",
  };
  static const io::ErrorTable category("peer id", messages);
  return {static_cast<int>(error), category};
}

PeerId PeerId::from_public_key_message(io::BytesView key) {
  PeerId id;
  const auto fill = [&id](HashCode code, io::BytesView digest) {
    id.bytes_[0] = static_cast<std::uint8_t>(code);
    id.bytes_[1] = static_cast<std::uint8_t>(digest.size());
    std::copy(digest.begin(), digest.end(), id.bytes_.begin() + 2);
    id.size_ = static_cast<std::uint8_t>(2 + digest.size());
  };
  if (key.size() <= max_inline_key_bytes) {
    fill(HashCode::identity, key);
  } else {
    fill(HashCode::sha2_256, sha256(key));
  }
  return id;
}

io::Result<PeerId> PeerId::from_bytes(io::BytesView multihash) {
  if (multihash.empty()) return io::fail(PeerIdError::empty);
  if (multihash.size() > max_bytes) return io::fail(PeerIdError::too_long);
  const auto hash = decode_multihash(multihash);
  if (!hash || hash->digest.empty()) return io::fail(PeerIdError::bad_multihash);
  PeerId id;
  std::copy(multihash.begin(), multihash.end(), id.bytes_.begin());
  id.size_ = static_cast<std::uint8_t>(multihash.size());
  return id;
}

io::Result<PeerId> PeerId::from_string(std::string_view text) {
  if (text.empty()) return io::fail(PeerIdError::empty);
  if (text.size() > max_text_characters) return io::fail(PeerIdError::too_long);
  // No multibase prefix is `1` or `Q`, so these two mark the bare base 58 form.
  if (text.starts_with('1') || text.starts_with("Qm")) {
    const auto multihash = decode_base58(text);
    if (!multihash) return io::fail(PeerIdError::bad_encoding);
    return from_bytes(*multihash);
  }
  const auto cid = decode_multibase(text);
  if (!cid) return io::fail(PeerIdError::bad_encoding);
  io::BytesView rest = *cid;
  if (take_varint(rest) != cid_version || take_varint(rest) != libp2p_key_codec)
    return io::fail(PeerIdError::bad_cid);
  return from_bytes(rest);
}

io::BytesView PeerId::inline_key_message() const {
  if (bytes_[0] != static_cast<std::uint8_t>(HashCode::identity)) return {};
  return bytes().subspan(2);
}

std::string PeerId::to_string() const { return encode_base58(bytes()); }

std::string PeerId::to_cid_string() const {
  io::Bytes cid;
  append_varint(cid, cid_version);
  append_varint(cid, libp2p_key_codec);
  io::append(cid, bytes());
  return 'b' + encode_base32(cid);
}

std::string PeerId::short_string() const {
  const auto text = to_string();
  return text.substr(text.size() - std::min(text.size(), short_characters));
}

}  // namespace flaresim::multiformats

std::size_t std::hash<flaresim::multiformats::PeerId>::operator()(
    const flaresim::multiformats::PeerId& id) const noexcept {
  const auto bytes = id.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
