#pragma once

#include <boost/endian/conversion.hpp>
#include <cstdint>
#include <utility>

#include "protocols/io/bytes.h"
#include "sim/gateway/port_map.h"

namespace flaresim::gateway {

/// A message under construction, in network byte order.
class Wire {
 public:
  Wire& u8(std::uint8_t value) {
    bytes_.push_back(value);
    return *this;
  }
  Wire& u16(std::uint16_t value) { return number(boost::endian::native_to_big(value)); }
  Wire& u32(std::uint32_t value) { return number(boost::endian::native_to_big(value)); }
  Wire& raw(io::BytesView bytes) {
    io::append(bytes_, bytes);
    return *this;
  }
  io::Bytes take() { return std::move(bytes_); }

 private:
  template <typename Number>
  Wire& number(Number big_endian) {
    return raw({reinterpret_cast<const std::uint8_t*>(&big_endian), sizeof big_endian});
  }

  io::Bytes bytes_;
};

/// What is left of a lease, as messages tell it; 0: permanent.
inline std::uint32_t seconds_left(const PortMap& map, const Mapping& mapping) {
  if (!mapping.until) return 0;
  return static_cast<std::uint32_t>(
      std::chrono::ceil<std::chrono::seconds>(*mapping.until - map.now()).count());
}

}  // namespace flaresim::gateway
