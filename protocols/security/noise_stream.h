#pragma once

#include <array>

#include "protocols/security/noise_handshake.h"

namespace flaresim::security {

/// The stream that a finished handshake leaves behind: every write becomes frames of a 2-byte big-endian
/// length and an encrypted message. A message that does not verify resets the stream with
/// `NoiseError::decryption_failed`.
///
/// An idle stream holds no more than the small buffer it reads ahead into.
/// Source: libp2p/specs noise/README.md "Wire Format", "Encryption and I/O".
class NoiseStream final : public io::Stream {
 public:
  static constexpr std::size_t max_message_bytes = 65'535;
  static constexpr std::size_t max_plain_bytes = max_message_bytes - CipherState::tag_bytes;

  NoiseStream(io::StreamPtr stream, const XxHandshake::Ciphers& ciphers);
  ~NoiseStream() override;

  io::Task<io::Result<std::size_t>> read(std::span<std::uint8_t> into) override;
  io::Task<io::Result<>> write(io::BytesView bytes) override;
  io::Task<io::Result<>> close_write() override;
  void reset(std::error_code why) override;
  using io::Stream::reset;

 private:
  /// Reads and decrypts the next frame into `plain_`; false at the end of the stream.
  io::Task<io::Result<bool>> read_frame();
  /// How much of `into` could be filled before the stream ended.
  io::Task<io::Result<std::size_t>> fill(std::span<std::uint8_t> into);

  io::StreamPtr stream_;
  CipherState send_;
  CipherState receive_;
  std::array<std::uint8_t, 256> ahead_;  // a typical small frame in one read from below
  std::size_t ahead_from_ = 0;
  std::size_t ahead_to_ = 0;
  io::Bytes plain_;
  std::size_t plain_from_ = 0;
  bool read_ended_ = false;
  bool write_ended_ = false;
};

}  // namespace flaresim::security
