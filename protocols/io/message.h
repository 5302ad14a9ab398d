#pragma once

#include <cstddef>

#include "protocols/io/stream.h"

namespace flaresim::io {

/// Reads one protobuf message behind its length. Fails as read_delimited does, and with `errc::bad_message` for bytes
/// that are no such message.
template <class Message>
Task<Result<Message>> read_message(Stream& stream, std::size_t max_bytes) {
  const auto bytes = co_await read_delimited(stream, max_bytes);
  if (!bytes) co_return tl::unexpected(bytes.error());
  Message message;
  if (!message.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    co_return fail(std::errc::bad_message);
  }
  co_return message;
}

/// Writes one protobuf message behind its length, in one write.
template <class Message>
Task<Result<>> write_message(Stream& stream, Message message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  co_return co_await write_delimited(stream, bytes);
}

}  // namespace flaresim::io
