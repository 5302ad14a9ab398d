#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocols/io/bytes.h"

namespace flaresim::muxer {

enum class FrameType : std::uint8_t { data = 0, window_update = 1, ping = 2, go_away = 3 };

/// Bits of `FrameHeader::flags`.
enum Flag : std::uint16_t { flag_syn = 1, flag_ack = 2, flag_fin = 4, flag_rst = 8 };

enum class GoAway : std::uint32_t { normal = 0, protocol_error = 1, internal_error = 2 };

/// What stands before every frame, big-endian. A field may hold any number: judging it is the session's
/// business.
/// Source: hashicorp/yamux spec.md "Framing".
struct FrameHeader {
  static constexpr std::size_t bytes = 12;

  std::uint8_t version = 0;
  FrameType type = FrameType::data;
  std::uint16_t flags = 0;
  std::uint32_t stream = 0;  ///< 0 is the session
  std::uint32_t length = 0;  ///< data: bytes that follow; window update: delta; ping: opaque; go away: code

  bool has(Flag flag) const { return (flags & flag) != 0; }
};

void append_header(io::Bytes& to, const FrameHeader& header);
FrameHeader decode_header(std::span<const std::uint8_t, FrameHeader::bytes> from);

}  // namespace flaresim::muxer
