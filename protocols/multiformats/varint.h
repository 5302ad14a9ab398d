#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

#include "protocols/io/bytes.h"
#include "protocols/io/result.h"

namespace flaresim::multiformats {

/// Unsigned varints: little-endian groups of seven bits, at most nine bytes (63 bits), shortest form only.
/// Source: multiformats/unsigned-varint, "Spec" and "Security".
enum class VarintError {
  truncated = 1,  ///< the input ends inside the number
  too_long,       ///< more than nine bytes
  not_minimal,    ///< a shorter encoding of the same number exists
};
std::error_code make_error_code(VarintError error);

inline constexpr std::size_t max_varint_bytes = 9;
inline constexpr std::uint64_t max_varint = (std::uint64_t{1} << 63) - 1;

struct Varint {
  std::uint64_t value;
  std::size_t length;  ///< bytes consumed
};

/// Throws `std::out_of_range` above `max_varint`.
void append_varint(io::Bytes& to, std::uint64_t value);

/// Bytes that `append_varint` would add.
std::size_t varint_length(std::uint64_t value);

/// Reads the number at the front of `from`; what follows it is left alone.
io::Result<Varint> decode_varint(io::BytesView from);

/// Reads the number and drops it from the front of `from`, which is unchanged on failure.
io::Result<std::uint64_t> take_varint(io::BytesView& from);

}  // namespace flaresim::multiformats

template <>
struct std::is_error_code_enum<flaresim::multiformats::VarintError> : std::true_type {};
