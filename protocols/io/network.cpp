#include "protocols/io/network.h"

#include <algorithm>
#include <array>

namespace flaresim::io {
namespace {

template <std::size_t N>
struct Prefix {
  std::array<unsigned char, N> bytes;
  int length;
};

template <std::size_t N>
bool matches(const std::array<unsigned char, N>& address, const Prefix<N>& prefix) {
  const auto whole = static_cast<std::size_t>(prefix.length / 8);
  if (!std::equal(address.begin(), address.begin() + whole, prefix.bytes.begin())) return false;
  const int rest = prefix.length % 8;
  if (rest == 0) return true;
  const int mask = 0xff << (8 - rest);
  return (address[whole] & mask) == (prefix.bytes[whole] & mask);
}

// IANA special-purpose registries (RFC 6890 and updates): what is not globally reachable.
constexpr Prefix<4> reserved_v4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 0}, 24},
    {{192, 0, 2}, 24},
    {{192, 88, 99}, 24},
    {{192, 168}, 16},
    {{198, 18}, 15},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{224}, 4},
    {{240}, 4},
};
constexpr Prefix<16> reserved_v6[] = {
    {{0x01, 0x00}, 64},              // discard-only
    {{0x20, 0x01, 0x00, 0x00}, 23},  // IETF protocol assignments
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x20, 0x02}, 16},              // 6to4
};

}  // namespace

std::string to_string(const Endpoint& endpoint) {
  const auto address = endpoint.address.to_string();
  const auto host = endpoint.address.is_v6() ? "[" + address + "]" : address;
  return host + ":" + std::to_string(endpoint.port);
}

bool is_public(const IpAddress& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return std::none_of(std::begin(reserved_v4), std::end(reserved_v4),
                        [&](const auto& prefix) { return matches(bytes, prefix); });
  }
  const auto bytes = address.to_v6().to_bytes();
  // Only 2000::/3 is given out as global unicast.
  return (bytes[0] & 0xe0) == 0x20 && std::none_of(std::begin(reserved_v6), std::end(reserved_v6),
                                                   [&](const auto& p) { return matches(bytes, p); });
}

Result<> DatagramSocket::join(const IpAddress&) { return fail(std::errc::operation_not_supported); }

}  // namespace flaresim::io
