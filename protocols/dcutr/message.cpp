#include "protocols/dcutr/message.h"

#include <utility>

#include "protocols/dcutr/hole_puncher.h"
#include "protocols/dcutr/holepunch.pb.h"
#include "protocols/io/error_table.h"
#include "protocols/io/message.h"

namespace flaresim::dcutr {

using multiformats::Multiaddr;

namespace {

pb::HolePunch::Type wire_type(MessageType type) {
  return type == MessageType::connect ? pb::HolePunch::CONNECT : pb::HolePunch::SYNC;
}

std::error_code read_error(std::error_code error) {
  if (error == std::errc::message_size) return Error::message_too_long;
  if (error == std::errc::bad_message) return Error::malformed;
  if (error == std::errc::connection_aborted) return Error::truncated;
  return error;
}

}  // namespace

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "a direct connection exists",
      "an upgrade with this peer is under way",
      "no public address to send",
      "remote sent no usable address",
      "stream is not on a relayed connection",
      "stream is on a relayed connection that we did not dial",
      "message is malformed",
      "message has no type",
      "message is of an unexpected type",
      "message is too long",
      "stream ended inside the exchange",
      "relayed connection was lost",
      "no attempt connected",
  };
  static const io::ErrorTable category("dcutr", messages);
  return {static_cast<int>(error), category};
}

bool is_usable(const Multiaddr& address) {
  return !address.is_circuit() && address.endpoint() && address.is_public();
}

io::Task<io::Result<std::vector<Multiaddr>>> read_message(io::Stream& stream, MessageType due,
                                                          std::size_t max_bytes) {
  const auto message = co_await io::read_message<pb::HolePunch>(stream, max_bytes);
  if (!message) co_return tl::unexpected(read_error(message.error()));
  if (!message->has_type()) co_return io::fail(Error::missing_type);
  if (message->type() != wire_type(due)) co_return io::fail(Error::unexpected_type);

  std::vector<Multiaddr> usable;
  for (const auto& encoded : message->obs_addrs()) {
    auto address = Multiaddr::from_bytes(io::as_bytes(encoded));
    if (address && is_usable(*address)) usable.push_back(std::move(*address));
  }
  co_return usable;
}

io::Task<io::Result<>> write_message(io::Stream& stream, MessageType type, std::vector<Multiaddr> addresses,
                                     std::size_t max_bytes) {
  pb::HolePunch message;
  message.set_type(wire_type(type));
  for (const auto& address : addresses) message.add_obs_addrs(address.bytes().data(), address.bytes().size());
  while (message.ByteSizeLong() > max_bytes && message.obs_addrs_size() > 0) {
    message.mutable_obs_addrs()->RemoveLast();
  }
  co_return co_await io::write_message(stream, std::move(message));
}

}  // namespace flaresim::dcutr
