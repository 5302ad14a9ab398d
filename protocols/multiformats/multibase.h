#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocols/io/bytes.h"

namespace flaresim::multiformats {

/// Base 58 with Bitcoin's alphabet, leading zero bytes as leading `1`s. Source: draft-msporny-base58-03.
std::string encode_base58(io::BytesView bytes);
/// Nothing on a character outside the alphabet. Quadratic, so the caller limits the length of `text`.
std::optional<io::Bytes> decode_base58(std::string_view text);

/// Base 32, lower case, without padding (RFC 4648 §6).
std::string encode_base32(io::BytesView bytes);
/// Nothing on a foreign character, an impossible length, or left-over bits that are not zero.
std::optional<io::Bytes> decode_base32(std::string_view text);

/// Base 64 with the URL alphabet, without padding (RFC 4648 §5).
std::string encode_base64url(io::BytesView bytes);
std::optional<io::Bytes> decode_base64url(std::string_view text);

/// Text that names its base by its first character: `b` base 32, `k` base 36 lower case, `u` base 64 URL,
/// `z` base 58. Nothing for another base. Source: multiformats/multibase table.
std::optional<io::Bytes> decode_multibase(std::string_view text);

}  // namespace flaresim::multiformats
