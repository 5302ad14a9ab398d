#include "protocols/relay/messages.h"

#include <algorithm>
#include <utility>

#include "protocols/io/message.h"

namespace flaresim::relay {
namespace {

template <class Message>
io::Task<io::Result<Message>> read(io::Stream& stream, std::size_t max_bytes) {
  auto message = co_await io::read_message<Message>(stream, max_bytes);
  if (message && !message->has_type()) co_return io::fail(Error::malformed);
  if (message) co_return message;
  if (message.error() == std::errc::message_size) co_return io::fail(Error::message_too_long);
  if (message.error() == std::errc::bad_message) co_return io::fail(Error::malformed);
  co_return message;
}

}  // namespace

io::Task<io::Result<pb::HopMessage>> read_hop(io::Stream& stream, std::size_t max_bytes) {
  return read<pb::HopMessage>(stream, max_bytes);
}

io::Task<io::Result<pb::StopMessage>> read_stop(io::Stream& stream, std::size_t max_bytes) {
  return read<pb::StopMessage>(stream, max_bytes);
}

io::Task<io::Result<>> write_hop(io::Stream& stream, pb::HopMessage message) {
  return io::write_message(stream, std::move(message));
}

io::Task<io::Result<>> write_stop(io::Stream& stream, pb::StopMessage message) {
  return io::write_message(stream, std::move(message));
}

pb::HopMessage hop_status(Status status) {
  pb::HopMessage message;
  message.set_type(pb::HopMessage::STATUS);
  message.set_status(static_cast<int>(status));
  return message;
}

pb::StopMessage stop_status(Status status) {
  pb::StopMessage message;
  message.set_type(pb::StopMessage::STATUS);
  message.set_status(static_cast<int>(status));
  return message;
}

void set_peer(pb::Peer& to, const multiformats::PeerId& peer) {
  to.set_id(peer.bytes().data(), peer.bytes().size());
}

std::chrono::sys_seconds from_unix_seconds(std::uint64_t seconds) {
  constexpr auto last = std::chrono::floor<std::chrono::seconds>(io::CalendarTime::max());
  const auto last_seconds = static_cast<std::uint64_t>(last.time_since_epoch().count());
  return std::chrono::sys_seconds(std::chrono::seconds(std::min(seconds, last_seconds)));
}

swarm::CircuitLimit to_limit(const pb::Limit& wire) {
  swarm::CircuitLimit limit;
  if (wire.duration() != 0) limit.duration = std::chrono::seconds(wire.duration());
  if (wire.data() != 0) limit.bytes = wire.data();
  return limit;
}

pb::Limit from_limit(const swarm::CircuitLimit& limit) {
  pb::Limit wire;
  if (limit.duration) wire.set_duration(static_cast<std::uint32_t>(limit.duration->count()));
  if (limit.bytes) wire.set_data(*limit.bytes);
  return wire;
}

}  // namespace flaresim::relay
