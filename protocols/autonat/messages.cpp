#include "protocols/autonat/messages.h"

#include <utility>

#include "protocols/io/message.h"

namespace flaresim::autonat {
namespace {

template <class Message>
io::Task<io::Result<Message>> read(io::Stream& stream, std::size_t max_bytes) {
  auto message = co_await io::read_message<Message>(stream, max_bytes);
  if (message) co_return message;
  if (message.error() == std::errc::message_size) co_return io::fail(Error::message_too_long);
  if (message.error() == std::errc::bad_message) co_return io::fail(Error::malformed);
  co_return message;
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
  return io::write_message(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::V2Message message) {
  return io::write_message(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBack message) {
  return io::write_message(stream, std::move(message));
}
io::Task<io::Result<>> write(io::Stream& stream, pb::DialBackResponse message) {
  return io::write_message(stream, std::move(message));
}

}  // namespace flaresim::autonat
