#pragma once

#include "protocols/crypto/keys.h"
#include "protocols/io/bytes.h"
#include "protocols/multiformats/varint.h"

namespace flaresim::crypto {

/// The message of a key, public or private, written out: type and data.
inline io::Bytes key_message(KeyType type, io::BytesView data) {
  io::Bytes message{0x08, static_cast<std::uint8_t>(type), 0x12};
  multiformats::append_varint(message, data.size());
  io::append(message, data);
  return message;
}

/// The last `size` bytes.
inline io::Bytes tail(io::BytesView bytes, std::size_t size) { return io::to_bytes(bytes.last(size)); }

/// minuend - subtrahend, most significant bytes first, both of one size.
inline io::Bytes difference(io::Bytes minuend, io::BytesView subtrahend) {
  int borrow = 0;
  for (std::size_t i = minuend.size(); i-- > 0;) {
    const int digit = minuend[i] - subtrahend[i] - borrow;
    borrow = digit < 0 ? 1 : 0;
    minuend[i] = static_cast<std::uint8_t>(digit);
  }
  return minuend;
}

}  // namespace flaresim::crypto
