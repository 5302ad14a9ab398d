#include "protocols/multiformats/varint.h"

#include <bit>
#include <stdexcept>

#include "protocols/io/error_table.h"

namespace flaresim::multiformats {

std::error_code make_error_code(VarintError error) {
  static constexpr std::string_view messages[] = {
      "varint is truncated",
      "varint is longer than nine bytes",
      "varint is not in its shortest form",
  };
  static const io::ErrorTable category("varint", messages);
  return {static_cast<int>(error), category};
}

void append_varint(io::Bytes& to, std::uint64_t value) {
  if (value > max_varint) throw std::out_of_range("a varint holds 63 bits");
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<std::uint8_t>(value | 0x80));
  to.push_back(static_cast<std::uint8_t>(value));
}

std::size_t varint_length(std::uint64_t value) {
  return value == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(value)) + 6) / 7;
}

io::Result<Varint> decode_varint(io::BytesView from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < max_varint_bytes; ++i) {
    if (i == from.size()) return io::fail(VarintError::truncated);
    value |= std::uint64_t{from[i] & 0x7fu} << (7 * i);
    if (from[i] & 0x80) continue;
    // A last group of zeros adds nothing to the number.
    if (from[i] == 0 && i > 0) return io::fail(VarintError::not_minimal);
    return Varint{value, i + 1};
  }
  return io::fail(VarintError::too_long);
}

io::Result<std::uint64_t> take_varint(io::BytesView& from) {
  const auto number = decode_varint(from);
  if (!number) return tl::unexpected(number.error());
  from = from.subspan(number->length);
  return number->value;
}

}  // namespace flaresim::multiformats
