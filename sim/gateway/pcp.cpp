#include "sim/gateway/pcp.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/endian/conversion.hpp>
#include <chrono>
#include <optional>

#include "sim/gateway/wire.h"

namespace flaresim::gateway {
namespace {

using boost::endian::load_big_u16;
using boost::endian::load_big_u32;

constexpr std::uint8_t version = 2;
constexpr std::uint8_t answer_bit = 128;
constexpr std::size_t header_bytes = 24;
constexpr std::size_t map_bytes = 36;
constexpr std::size_t longest_message = 1100;
constexpr std::size_t option_header_bytes = 4;
constexpr std::uint8_t option_is_optional = 128;
constexpr std::uint8_t prefer_failure = 2;
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;

enum class Opcode : std::uint8_t { announce = 0, map = 1 };
enum class ResultCode : std::uint8_t {  // RFC 6887 §7.4
  success = 0,
  unsupported_version = 1,
  not_authorized = 2,
  malformed_request = 3,
  unsupported_opcode = 4,
  unsupported_option = 5,
  malformed_option = 6,
  no_resources = 8,
  unsupported_protocol = 9,
  user_exceeded_quota = 10,
  cannot_provide_external = 11,
  address_mismatch = 12,
};

/// How long a client should not ask again: RFC 6887 §7.4 has 30 minutes for long-lifetime errors and 30 seconds for
/// short ones.
std::uint32_t error_lifetime(ResultCode result) {
  switch (result) {
    case ResultCode::no_resources:
    case ResultCode::user_exceeded_quota:
    case ResultCode::cannot_provide_external:
      return 30;
    default:
      return 30 * 60;
  }
}

io::Bytes header(const PortMap& map, std::uint8_t opcode, ResultCode result, std::uint32_t lifetime) {
  constexpr std::uint8_t reserved[12]{};
  return Wire()
      .u8(version)
      .u8(opcode | answer_bit)
      .u8(0)
      .u8(static_cast<std::uint8_t>(result))
      .u32(lifetime)
      .u32(map.epoch_seconds())
      .raw(reserved)
      .take();
}

/// A failure repeats the request behind its header, padded to words and cut to the longest message. RFC 6887 §8.2.
io::Bytes failure(const PortMap& map, io::BytesView request, ResultCode result) {
  io::Bytes answer = header(map, request[1], result, error_lifetime(result));
  if (request.size() > header_bytes) io::append(answer, request.subspan(header_bytes));
  answer.resize(std::min((answer.size() + 3) / 4 * 4, longest_message));
  return answer;
}

struct Options {
  ResultCode result = ResultCode::success;
  bool prefer_failure = false;
};

Options read_options(io::BytesView bytes) {
  Options options;
  while (!bytes.empty()) {
    if (bytes.size() < option_header_bytes) return {.result = ResultCode::malformed_option};
    const std::uint8_t code = bytes[0];
    const std::size_t length = load_big_u16(&bytes[2]);
    const std::size_t padded = option_header_bytes + (length + 3) / 4 * 4;
    if (padded > bytes.size()) return {.result = ResultCode::malformed_option};
    if (code == prefer_failure) {
      if (length != 0 || options.prefer_failure) return {.result = ResultCode::malformed_option};
      options.prefer_failure = true;
    } else if (code < option_is_optional) {
      return {.result = ResultCode::unsupported_option};
    }
    bytes = bytes.subspan(padded);
  }
  return options;
}

using AddressBytes = boost::asio::ip::address_v6::bytes_type;

/// IPv4 addresses are IPv4-mapped IPv6 ones. RFC 6887 §5.
AddressBytes to_wire(const io::IpAddress& address) {
  namespace ip = boost::asio::ip;
  return (address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4())).to_bytes();
}

std::optional<Transport> transport_of(std::uint8_t protocol) {
  if (protocol == protocol_udp) return Transport::udp;
  if (protocol == protocol_tcp) return Transport::tcp;
  return {};
}

ResultCode result_of(const std::error_code& error) {
  if (error == MapError::quota) return ResultCode::user_exceeded_quota;
  if (error == MapError::no_port) return ResultCode::no_resources;
  if (error == MapError::conflict) return ResultCode::cannot_provide_external;
  return ResultCode::not_authorized;
}

/// RFC 6887 §11.
io::Bytes answer_map(PortMap& map, io::BytesView request, const io::Endpoint& from) {
  if (request.size() < header_bytes + map_bytes) return failure(map, request, ResultCode::malformed_request);
  const io::BytesView body = request.subspan(header_bytes, map_bytes);
  const Options options = read_options(request.subspan(header_bytes + map_bytes));
  if (options.result != ResultCode::success) return failure(map, request, options.result);
  Nonce nonce;
  std::ranges::copy(body.first(nonce.size()), nonce.begin());
  const auto transport = transport_of(body[12]);
  const std::uint16_t inside_port = load_big_u16(&body[16]);
  const std::uint16_t wanted = load_big_u16(&body[18]);
  const std::chrono::seconds lifetime(load_big_u32(&request[4]));
  if (!transport || inside_port == 0) return failure(map, request, ResultCode::unsupported_protocol);

  const io::Endpoint inside{from.address, inside_port};
  const auto success = [&](std::uint16_t outside_port, std::uint32_t granted) {
    return Wire()
        .raw(header(map, request[1], ResultCode::success, granted))
        .raw(nonce)
        .u8(body[12])
        .u8(0)
        .u16(0)
        .u16(inside_port)
        .u16(outside_port)
        .raw(to_wire(map.external_address()))
        .take();
  };
  if (lifetime == std::chrono::seconds::zero()) {
    const Mapping* mapping = map.find_inside(*transport, inside);
    if (mapping && mapping->nonce != nonce) return failure(map, request, ResultCode::not_authorized);
    if (mapping) map.remove(*transport, mapping->outside_port);
    return success(wanted, 0);
  }
  const Mapping* present = map.find_inside(*transport, inside);
  if (options.prefer_failure && present && present->outside_port != wanted)
    return failure(map, request, ResultCode::cannot_provide_external);
  const auto mapping = map.add({.transport = *transport,
                                .inside = inside,
                                .outside_port = wanted,
                                .exactly = options.prefer_failure,
                                .lease = lifetime,
                                .description = {},
                                .nonce = nonce});
  if (!mapping) return failure(map, request, result_of(mapping.error()));
  return success(map.told_port(*mapping), seconds_left(map, *mapping));
}

}  // namespace

io::Bytes answer_pcp(PortMap& map, io::BytesView request, const io::Endpoint& from) {
  // RFC 6887 §8.2: what is no request at all is dropped, everything else gets an answer.
  if (request.size() < 2 || request[1] >= answer_bit) return {};
  if (request[0] != version) return header(map, request[1], ResultCode::unsupported_version, 30 * 60);
  if (request.size() < header_bytes || request.size() > longest_message || request.size() % 4 != 0)
    return failure(map, request, ResultCode::malformed_request);
  if (!std::ranges::equal(request.subspan(8, 16), to_wire(from.address)))
    return failure(map, request, ResultCode::address_mismatch);
  switch (static_cast<Opcode>(request[1])) {
    case Opcode::announce:
      return header(map, request[1], ResultCode::success, 0);
    case Opcode::map:
      return answer_map(map, request, from);
  }
  return failure(map, request, ResultCode::unsupported_opcode);
}

io::Bytes announce_pcp(const PortMap& map) {
  return header(map, static_cast<std::uint8_t>(Opcode::announce), ResultCode::success, 0);
}

}  // namespace flaresim::gateway
