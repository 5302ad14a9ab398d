#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::multiformats {

enum class PeerIdError {
  empty = 1,
  too_long,       ///< longer than any peer id
  bad_encoding,   ///< text that is not base 58, nor a multibase this library reads
  bad_cid,        ///< not a CID of version 1, or not of a libp2p key
  bad_multihash,  ///< malformed, of another hash function, or an identity of more than 42 bytes
};
std::error_code make_error_code(PeerIdError error);

/// The name of a peer: the multihash of its public key. A plain value without heap memory; never empty.
/// Source: libp2p/specs peer-ids/peer-ids.md.
class PeerId {
 public:
  /// Keys up to this length are named by themselves, longer ones by their sha2-256.
  static constexpr std::size_t max_inline_key_bytes = 42;
  static constexpr std::size_t max_bytes = 2 + max_inline_key_bytes;

  /// `key` is the serialised `PublicKey` message.
  static PeerId from_public_key_message(io::BytesView key);
  static io::Result<PeerId> from_bytes(io::BytesView multihash);
  /// Base 58 (`12D3Koo…`, `Qm…`), or a CIDv1 of a libp2p key (`bafz…`, `k51…`).
  static io::Result<PeerId> from_string(std::string_view text);

  io::BytesView bytes() const { return {bytes_.data(), size_}; }
  /// The key message when the id carries it (identity multihash), else empty.
  io::BytesView inline_key_message() const;

  /// Base 58.
  std::string to_string() const;
  /// CIDv1 in base 32, as `from_string` reads it back.
  std::string to_cid_string() const;
  /// The last 8 characters of `to_string`, for logs and tables.
  std::string short_string() const;

  /// Order of the bytes.
  friend auto operator<=>(const PeerId&, const PeerId&) = default;
  friend bool operator==(const PeerId&, const PeerId&) = default;

 private:
  PeerId() = default;

  std::array<std::uint8_t, max_bytes> bytes_{};  // zeros behind `size_`, so that comparing all of it is right
  std::uint8_t size_ = 0;
};

}  // namespace flaresim::multiformats

template <>
struct std::is_error_code_enum<flaresim::multiformats::PeerIdError> : std::true_type {};

template <>
struct std::hash<flaresim::multiformats::PeerId> {
  std::size_t operator()(const flaresim::multiformats::PeerId& id) const noexcept;
};
