#include "protocols/multiformats/multihash.h"

#include <sodium.h>

#include "protocols/io/error_table.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::multiformats {

std::error_code make_error_code(MultihashError error) {
  static constexpr std::string_view messages[] = {
      "multihash has a malformed code or length",
      "multihash of an unknown function",
      "multihash digest of a wrong length",
      "multihash is truncated",
      "multihash is followed by bytes that are no part of it",
  };
  static const io::ErrorTable category("multihash", messages);
  return {static_cast<int>(error), category};
}

Sha256 sha256(io::BytesView bytes) {
  Sha256 digest;
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

io::Result<Multihash> decode_multihash(io::BytesView bytes) {
  const auto code = take_varint(bytes);
  if (!code) return io::fail(MultihashError::bad_varint);
  const auto function = static_cast<HashCode>(*code);
  if (function != HashCode::identity && function != HashCode::sha2_256)
    return io::fail(MultihashError::unknown_function);
  const auto length = take_varint(bytes);
  if (!length) return io::fail(MultihashError::bad_varint);
  if (function == HashCode::sha2_256 && *length != Sha256{}.size())
    return io::fail(MultihashError::bad_length);
  if (bytes.size() < *length) return io::fail(MultihashError::truncated);
  if (bytes.size() > *length) return io::fail(MultihashError::trailing_bytes);
  return Multihash{function, bytes};
}

}  // namespace flaresim::multiformats
