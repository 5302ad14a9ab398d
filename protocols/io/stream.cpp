#include "protocols/io/stream.h"

#include <array>

namespace flaresim::io {

Task<Result<>> read_exactly(Stream& stream, std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const auto got = co_await stream.read(into);
    if (!got) co_return tl::unexpected(got.error());
    if (*got == 0) co_return fail(std::errc::connection_aborted);
    into = into.subspan(*got);
  }
  co_return Result<>{};
}

Task<Result<Bytes>> read_delimited(Stream& stream, std::size_t max_bytes) {
  // An unsigned varint of at most nine bytes, in the shortest form (multiformats/unsigned-varint).
  constexpr int max_length_bytes = 9;
  std::uint64_t length = 0;
  for (int i = 0;; ++i) {
    std::uint8_t byte = 0;
    if (auto got = co_await read_exactly(stream, {&byte, 1}); !got) co_return tl::unexpected(got.error());
    length |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      if (byte == 0 && i > 0) co_return fail(std::errc::bad_message);
      break;
    }
    if (i + 1 == max_length_bytes) co_return fail(std::errc::bad_message);
  }
  if (length > max_bytes) co_return fail(std::errc::message_size);

  Bytes message(length);
  if (auto got = co_await read_exactly(stream, message); !got) co_return tl::unexpected(got.error());
  co_return message;
}

Task<Result<>> write_delimited(Stream& stream, BytesView message) {
  Bytes framed;
  framed.reserve(message.size() + 3);
  for (std::size_t rest = message.size();; rest >>= 7) {
    if (rest < 0x80) {
      framed.push_back(static_cast<std::uint8_t>(rest));
      break;
    }
    framed.push_back(static_cast<std::uint8_t>(rest | 0x80));
  }
  append(framed, message);
  co_return co_await stream.write(framed);
}

Task<> end_gracefully(Scheduler& scheduler, std::shared_ptr<Stream> stream, Duration limit) {
  const Deadline deadline(scheduler, stream, limit);
  if (const auto closed = co_await stream->close_write(); !closed) co_return;
  std::array<std::uint8_t, 512> unwanted;
  for (;;) {
    const auto got = co_await stream->read(unwanted);
    if (!got || *got == 0) co_return;
  }
}

Deadline::Deadline(Scheduler& scheduler, std::shared_ptr<Stream> stream, Duration limit) : timer_(scheduler) {
  timer_.arm_after(limit, [stream = std::move(stream)] { stream->reset(std::errc::timed_out); });
}

}  // namespace flaresim::io
