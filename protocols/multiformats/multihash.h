#pragma once

#include <array>
#include <cstdint>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::multiformats {

using Sha256 = std::array<std::uint8_t, 32>;

/// FIPS 180-4.
Sha256 sha256(io::BytesView bytes);

/// Code, length, digest. Source: multiformats/multihash; codes from the multicodec table.
enum class HashCode : std::uint64_t { identity = 0x00, sha2_256 = 0x12 };

enum class MultihashError {
  bad_varint = 1,    ///< code or length is no valid varint
  unknown_function,  ///< neither identity nor sha2-256
  bad_length,        ///< a sha2-256 digest that is not 32 bytes
  truncated,         ///< fewer digest bytes than announced
  trailing_bytes,    ///< more bytes than announced
};
std::error_code make_error_code(MultihashError error);

struct Multihash {
  HashCode code;
  io::BytesView digest;  ///< into the decoded bytes
};

/// Reads a multihash that fills `bytes` exactly.
io::Result<Multihash> decode_multihash(io::BytesView bytes);

}  // namespace flaresim::multiformats

template <>
struct std::is_error_code_enum<flaresim::multiformats::MultihashError> : std::true_type {};
