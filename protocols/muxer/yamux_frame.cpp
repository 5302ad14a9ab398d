#include "protocols/muxer/yamux_frame.h"

namespace flaresim::muxer {
namespace {

std::uint32_t read_u32(std::span<const std::uint8_t, 4> from) {
  return std::uint32_t{from[0]} << 24 | std::uint32_t{from[1]} << 16 | std::uint32_t{from[2]} << 8 | from[3];
}

void append_u32(io::Bytes& to, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(number >> shift));
}

}  // namespace

void append_header(io::Bytes& to, const FrameHeader& header) {
  to.push_back(header.version);
  to.push_back(static_cast<std::uint8_t>(header.type));
  to.push_back(static_cast<std::uint8_t>(header.flags >> 8));
  to.push_back(static_cast<std::uint8_t>(header.flags));
  append_u32(to, header.stream);
  append_u32(to, header.length);
}

FrameHeader decode_header(std::span<const std::uint8_t, FrameHeader::bytes> from) {
  return {.version = from[0],
          .type = static_cast<FrameType>(from[1]),
          .flags = static_cast<std::uint16_t>(from[2] << 8 | from[3]),
          .stream = read_u32(from.subspan<4, 4>()),
          .length = read_u32(from.subspan<8, 4>())};
}

}  // namespace flaresim::muxer
