#include "sim/gateway/nat_pmp.h"

#include <boost/endian/conversion.hpp>
#include <chrono>

#include "sim/gateway/wire.h"

namespace flaresim::gateway {
namespace {

using boost::endian::load_big_u16;
using boost::endian::load_big_u32;

enum class Opcode : std::uint8_t { external_address = 0, map_udp = 1, map_tcp = 2 };
enum class ResultCode : std::uint16_t {  // RFC 6886 §3.5
  success = 0,
  unsupported_version = 1,
  not_authorized = 2,
  network_failure = 3,
  out_of_resources = 4,
  unsupported_opcode = 5,
};

constexpr std::uint8_t answer_bit = 128;
constexpr std::size_t map_request_bytes = 12;

Wire answer(const PortMap& map, std::uint8_t opcode, ResultCode result) {
  Wire wire;
  wire.u8(0).u8(opcode | answer_bit).u16(static_cast<std::uint16_t>(result)).u32(map.epoch_seconds());
  return wire;
}

ResultCode result_of(const std::error_code& error) {
  return error == MapError::no_port || error == MapError::quota ? ResultCode::out_of_resources
                                                                : ResultCode::not_authorized;
}

/// RFC 6886 §3.3 and §3.4.
io::Bytes answer_map(PortMap& map, io::BytesView request, const io::Endpoint& from) {
  const std::uint8_t opcode = request[1];
  const auto transport =
      opcode == static_cast<std::uint8_t>(Opcode::map_udp) ? Transport::udp : Transport::tcp;
  const std::uint16_t inside_port = load_big_u16(&request[4]);
  const std::uint16_t wanted = load_big_u16(&request[6]);
  const std::chrono::seconds lifetime(load_big_u32(&request[8]));
  const io::Endpoint inside{from.address, inside_port};
  const auto reply = [&](ResultCode result, std::uint16_t outside_port, std::uint32_t granted) {
    return answer(map, opcode, result).u16(inside_port).u16(outside_port).u32(granted).take();
  };
  if (lifetime == std::chrono::seconds::zero()) {
    if (inside_port == 0)
      map.remove_all(transport, from.address);
    else if (const Mapping* mapping = map.find_inside(transport, inside))
      map.remove(transport, mapping->outside_port);
    return reply(ResultCode::success, 0, 0);
  }
  if (inside_port == 0) return reply(ResultCode::not_authorized, 0, 0);
  const auto mapping =
      map.add({.transport = transport, .inside = inside, .outside_port = wanted, .lease = lifetime});
  if (!mapping) return reply(result_of(mapping.error()), 0, 0);
  return reply(ResultCode::success, map.told_port(*mapping), seconds_left(map, *mapping));
}

}  // namespace

io::Bytes answer_nat_pmp(PortMap& map, io::BytesView request, const io::Endpoint& from) {
  if (request.size() < 2 || request[1] >= answer_bit) return {};
  const std::uint8_t opcode = request[1];
  if (request[0] != 0) return answer(map, opcode, ResultCode::unsupported_version).take();
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::external_address:
      return answer(map, opcode, ResultCode::success).u32(map.external_address().to_v4().to_uint()).take();
    case Opcode::map_udp:
    case Opcode::map_tcp:
      if (request.size() < map_request_bytes) return {};
      return answer_map(map, request, from);
  }
  return answer(map, opcode, ResultCode::unsupported_opcode).take();
}

io::Bytes announce_nat_pmp(const PortMap& map) {
  return answer(map, static_cast<std::uint8_t>(Opcode::external_address), ResultCode::success)
      .u32(map.external_address().to_v4().to_uint())
      .take();
}

}  // namespace flaresim::gateway
