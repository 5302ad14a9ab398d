#pragma once

#include <cstdint>
#include <optional>

#include "protocols/io/bytes.h"

namespace flaresim::crypto {

/// Distinguished encoding, as far as keys and signatures need it: one-byte tags, contents of less than 64 KiB.
/// There is one encoding of everything; the readers take no other. Source: X.690 §8.1, §10.1.
enum class DerTag : std::uint8_t {
  integer = 0x02,
  bit_string = 0x03,
  octet_string = 0x04,
  sequence = 0x30,
};

/// Throws `std::length_error` for contents of 64 KiB and more.
void append_der(io::Bytes& to, DerTag tag, io::BytesView content);
/// A number that is not negative, from its bytes, most significant first. Leading zeros are no part of it.
void append_der_number(io::Bytes& to, io::BytesView magnitude);

/// Takes the content of an element of this tag off the front of `from`, which is unchanged when there is none.
std::optional<io::BytesView> take_der(io::BytesView& from, DerTag tag);
/// Takes a number that is not negative: its bytes without leading zeros, so none for zero.
std::optional<io::BytesView> take_der_number(io::BytesView& from);
/// The content of the one element that `whole` is.
std::optional<io::BytesView> only_der(io::BytesView whole, DerTag tag);

}  // namespace flaresim::crypto
