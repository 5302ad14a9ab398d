#include "protocols/autonat/messages.h"

#include <utility>

namespace flaresim::autonat {
namespace {

template <class Message>
io::Task<io::Result<Message>> read(io::Stream& stream, std::size_t max_bytes) {
  const auto bytes = co_await io::read_delimited(stream, max_bytes);
  if (!bytes) {
    if (bytes.error() == std::errc::message_size) co_return io::fail(Error::message_too_long);
    if (bytes.error() == std::errc::bad_message) co_return io::fail(Error::malformed);
    co_return tl::unexpected(bytes.error());
  }
  Message message;
  if (!message.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    co_return io::fail(Error::malformed);
  }
  co_return message;
}

template <class Message>
io::Task<io::Result<>> write_any(io::Stream& stream, Message message) {
  io::Bytes bytes(message.ByteSizeLong());
  message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  co_return co_await io::write_delimited(stream, bytes);
}

}  // namespace

io::Task<io::Result<pb::V1Message>> read_v1(io::Stream& stream, std::size_t max_bytes) {
  return read<pb::V1Message>(stream, max_bytes);
}
io::Task<io::Result<pb::V2Message>> read_v2(io::Stream& stream, std::size_t max_bytes) {
  return read<pb::V2Message>(stream, max_bytes);
}
io::Task<io::Result<pb::DialBack>> read_dial_back(io::Stream& stream, std::size_t max_bytes) {
  return read<pb::DialBack>(stream, max_bytes);
}

io::Task<io::Result<>> write(io::Stream& stream, pb::V1Message message) {
  return write_any(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::V2Message message) {
  return write_any(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBack message) {
  return write_any(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBackResponse message) {
  return write_any(stream, std::move(message));
}

}  // namespace flaresim::autonat
