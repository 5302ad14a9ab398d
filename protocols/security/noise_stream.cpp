#include "protocols/security/noise_stream.h"

#include <algorithm>
#include <cstring>

#include "protocols/security/noise.h"

namespace flaresim::security {

NoiseStream::NoiseStream(io::StreamPtr stream, const XxHandshake::Ciphers& ciphers)
    : stream_(std::move(stream)), send_(ciphers.send), receive_(ciphers.receive) {}

NoiseStream::~NoiseStream() {
  if (!read_ended_ || !write_ended_) stream_->reset(std::errc::operation_canceled);
}

io::Task<io::Result<std::size_t>> NoiseStream::read(std::span<std::uint8_t> into) {
  while (plain_.empty()) {
    const auto more = co_await read_frame();
    if (!more) {
      stream_->reset(more.error());
      co_return tl::unexpected(more.error());
    }
    if (!*more) {
      read_ended_ = true;
      co_return 0;
    }
  }
  const auto n = std::min(into.size(), plain_.size() - plain_from_);
  std::memcpy(into.data(), plain_.data() + plain_from_, n);
  plain_from_ += n;
  if (plain_from_ == plain_.size()) {
    plain_ = {};
    plain_from_ = 0;
  }
  co_return n;
}

io::Task<io::Result<bool>> NoiseStream::read_frame() {
  std::array<std::uint8_t, 2> prefix;
  const auto begun = co_await fill(prefix);
  if (!begun) co_return tl::unexpected(begun.error());
  if (*begun == 0) co_return false;
  if (*begun < prefix.size()) co_return io::fail(std::errc::connection_aborted);

  const std::size_t length = prefix[0] << 8 | prefix[1];
  if (length < CipherState::tag_bytes) co_return io::fail(NoiseError::decryption_failed);
  io::Bytes message(length);
  const auto filled = co_await fill(message);
  if (!filled) co_return tl::unexpected(filled.error());
  if (*filled < length) co_return io::fail(std::errc::connection_aborted);

  const auto plain = std::span(message).first(length - CipherState::tag_bytes);
  if (auto opened = receive_.decrypt({}, message, plain); !opened) co_return tl::unexpected(opened.error());
  message.resize(plain.size());
  plain_ = std::move(message);
  co_return true;
}

io::Task<io::Result<std::size_t>> NoiseStream::fill(std::span<std::uint8_t> into) {
  std::size_t filled = 0;
  while (filled < into.size()) {
    const auto rest = into.subspan(filled);
    if (ahead_from_ < ahead_to_) {
      const auto n = std::min(rest.size(), ahead_to_ - ahead_from_);
      std::memcpy(rest.data(), ahead_.data() + ahead_from_, n);
      ahead_from_ += n;
      filled += n;
      continue;
    }
    const bool straight = rest.size() >= ahead_.size();
    const auto got = co_await stream_->read(straight ? rest : std::span<std::uint8_t>(ahead_));
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) break;
    if (straight) {
      filled += *got;
    } else {
      ahead_from_ = 0;
      ahead_to_ = *got;
    }
  }
  co_return filled;
}

io::Task<io::Result<>> NoiseStream::write(io::BytesView bytes) {
  io::Bytes frame;
  while (!bytes.empty()) {
    const auto plain = bytes.first(std::min(bytes.size(), max_plain_bytes));
    bytes = bytes.subspan(plain.size());
    const auto length = plain.size() + CipherState::tag_bytes;
    frame.resize(2 + length);
    frame[0] = static_cast<std::uint8_t>(length >> 8);
    frame[1] = static_cast<std::uint8_t>(length);
    if (auto sealed = send_.encrypt({}, plain, std::span(frame).subspan(2)); !sealed) {
      stream_->reset(sealed.error());
      co_return sealed;
    }
    if (auto sent = co_await stream_->write(frame); !sent) co_return sent;
  }
  co_return io::Result<>{};
}

io::Task<io::Result<>> NoiseStream::close_write() {
  write_ended_ = true;
  co_return co_await stream_->close_write();
}

void NoiseStream::reset(std::error_code why) {
  plain_ = {};
  plain_from_ = 0;
  ahead_from_ = ahead_to_ = 0;
  stream_->reset(why);
}

}  // namespace flaresim::security
