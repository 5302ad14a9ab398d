#include "sim/nat/packet.h"

#include <algorithm>

#include "sim/nat/tcp.h"

namespace flaresim::nat {

namespace {

constexpr std::size_t udp_header = 8, tcp_header = 20, icmp_header = 8, ipv4_header = 20, ipv6_header = 40;
constexpr std::size_t most_extension_headers = 8;

Address mapped(std::span<const std::uint8_t> four) {
  Address address{};
  address[10] = address[11] = 0xff;
  std::copy_n(four.begin(), 4, address.begin() + 12);
  return address;
}

tl::expected<Packet, Rule> parse_ipv4(std::span<std::uint8_t> bytes) {
  if (bytes.size() < ipv4_header) return tl::unexpected(Rule::malformed);
  Packet packet;
  packet.payload = (bytes[0] & 0x0f) * 4;
  packet.length = load16(bytes, 2);
  if (packet.payload < ipv4_header || packet.payload > bytes.size() || packet.length < packet.payload)
    return tl::unexpected(Rule::malformed);
  packet.bytes = bytes.first(std::min(bytes.size(), packet.length));
  packet.protocol = bytes[9];
  const std::uint16_t fragment = load16(bytes, 6);
  packet.fragment = (fragment & 0x3fff) != 0;
  packet.later_fragment = (fragment & 0x1fff) != 0;
  packet.identification = load16(bytes, 4);
  packet.source = mapped(bytes.subspan(12, 4));
  packet.destination = mapped(bytes.subspan(16, 4));
  return packet;
}

/// Steps over one extension header; false when it is none that we skip.
tl::expected<bool, Rule> skip_extension(Packet& packet) {
  constexpr std::uint8_t hop_by_hop = 0, fragment = 44, destination_options = 60;
  const std::uint8_t type = packet.protocol;
  if (type != hop_by_hop && type != fragment && type != destination_options) return false;
  const auto header = packet.transport();
  if (header.size() < 8) return tl::unexpected(Rule::malformed);
  if (type == fragment) {
    packet.fragment = (load16(header, 2) & 0xfff9) != 0;
    packet.later_fragment = (load16(header, 2) & 0xfff8) != 0;
    packet.identification = load32(header, 4);
  }
  const std::size_t length = type == fragment ? 8 : 8 + header[1] * std::size_t{8};
  if (length > header.size()) return tl::unexpected(Rule::malformed);
  packet.protocol = header[0];
  packet.payload += length;
  return true;
}

tl::expected<Packet, Rule> parse_ipv6(std::span<std::uint8_t> bytes) {
  if (bytes.size() < ipv6_header) return tl::unexpected(Rule::malformed);
  Packet packet;
  packet.ipv6 = true;
  packet.payload = ipv6_header;
  packet.length = ipv6_header + load16(bytes, 4);
  packet.bytes = bytes.first(std::min(bytes.size(), packet.length));
  packet.protocol = bytes[6];
  std::copy_n(bytes.begin() + 8, 16, packet.source.begin());
  std::copy_n(bytes.begin() + 24, 16, packet.destination.begin());
  for (std::size_t skipped = 0; !packet.later_fragment; ++skipped) {
    const auto more = skip_extension(packet);
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    if (skipped == most_extension_headers) {
      packet.readable = false;
      break;
    }
  }
  return packet;
}

tl::expected<Segment, Rule> parse_udp(const Packet& packet, bool quoted) {
  const auto header = packet.transport();
  if (header.size() < udp_header) return tl::unexpected(Rule::malformed);
  const std::size_t length = load16(header, 4);
  const bool fits = length >= udp_header && (packet.fragment || length <= packet.transport_length());
  if (!quoted && !fits) return tl::unexpected(Rule::malformed);
  return Segment{Segment::Kind::udp, Transport::udp, load16(header, 0), load16(header, 2)};
}

tl::expected<Segment, Rule> parse_tcp(const Packet& packet, bool quoted) {
  const auto header = packet.transport();
  if (header.size() < (quoted ? 8 : tcp_header)) return tl::unexpected(Rule::malformed);
  Segment segment{Segment::Kind::tcp, Transport::tcp, load16(header, 0), load16(header, 2)};
  if (quoted) return segment;
  const std::size_t length = (header[12] >> 4) * std::size_t{4};
  if (length < tcp_header || length > packet.transport_length()) return tl::unexpected(Rule::malformed);
  segment.tcp = {header[13], load32(header, 4), load32(header, 8)};
  return segment;
}

std::optional<Segment::Kind> icmp_kind(const Packet& packet, std::uint8_t type) {
  using enum Segment::Kind;
  if (packet.ipv6) {
    if (type >= 1 && type <= 4) return icmp_error;  // RFC 4443 §3
    if (type == 128) return echo_request;
    if (type == 129) return echo_reply;
  } else {
    if (type == 3 || type == 11 || type == 12) return icmp_error;  // RFC 5508 §4
    if (type == 8) return echo_request;
    if (type == 0) return echo_reply;
  }
  return {};
}

tl::expected<Segment, Rule> parse_icmp(const Packet& packet) {
  const auto header = packet.transport();
  if (header.size() < icmp_header) return tl::unexpected(Rule::malformed);
  const auto kind = icmp_kind(packet, header[0]);
  if (!kind) return tl::unexpected(Rule::unsupported);
  Segment segment{*kind, Transport::icmp, 0, 0};
  if (*kind == Segment::Kind::echo_request) segment.source_port = load16(header, 4);
  if (*kind == Segment::Kind::echo_reply) segment.destination_port = load16(header, 4);
  return segment;
}

/// RFC 1624 equation 3.
void correct(std::span<std::uint8_t> bytes, std::size_t at, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum = static_cast<std::uint16_t>(~load16(bytes, at));
  sum += static_cast<std::uint16_t>(~before) + std::uint32_t{after};
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  store16(bytes, at, static_cast<std::uint16_t>(~sum));
}

/// Where the transport checksum stands, when it is there at all.
std::optional<std::size_t> checksum_offset(const Packet& packet, const Segment& segment) {
  const std::size_t at = segment.transport == Transport::udp   ? 6
                         : segment.transport == Transport::tcp ? 16
                                                               : 2;
  if (packet.transport().size() < at + 2) return {};
  if (segment.transport == Transport::udp && load16(packet.transport(), at) == 0) return {};
  return at;
}

/// Changes one field, and with it the checksums that cover it.
void change16(const Packet& packet, const Segment& segment, std::span<std::uint8_t> field,
              std::uint16_t value, bool in_ip_header) {
  const std::uint16_t before = load16(field, 0);
  store16(field, 0, value);
  if (in_ip_header) correct(packet.bytes, 10, before, value);
  if (in_ip_header && segment.transport == Transport::icmp) return;  // ICMPv4 has no pseudo header
  const auto at = checksum_offset(packet, segment);
  if (!at) return;
  correct(packet.transport(), *at, before, value);
  if (segment.transport == Transport::udp && load16(packet.transport(), *at) == 0)
    store16(packet.transport(), *at, 0xffff);  // RFC 768: a computed zero is sent as all ones
}

void rewrite(const Packet& packet, const Segment& segment, const Endpoint& endpoint, std::size_t address_at,
             std::optional<std::size_t> port_at) {
  for (std::size_t i = 0; i < 4; i += 2)
    change16(packet, segment, packet.bytes.subspan(address_at + i, 2), load16(endpoint.address, 12 + i),
             true);
  if (port_at) change16(packet, segment, packet.transport().subspan(*port_at, 2), endpoint.port, false);
}

std::optional<std::size_t> port_offset(const Segment& segment, bool source) {
  switch (segment.kind) {
    case Segment::Kind::udp:
    case Segment::Kind::tcp:
      return source ? 0 : 2;
    case Segment::Kind::echo_request:
      return source ? std::optional<std::size_t>(4) : std::nullopt;
    case Segment::Kind::echo_reply:
      return source ? std::nullopt : std::optional<std::size_t>(4);
    case Segment::Kind::icmp_error:
      return {};
  }
  return {};
}

}  // namespace

std::uint16_t load16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::uint32_t load32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{load16(bytes, at)} << 16 | load16(bytes, at + 2);
}

void store16(std::span<std::uint8_t> bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

void store32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  store16(bytes, at, static_cast<std::uint16_t>(value >> 16));
  store16(bytes, at + 2, static_cast<std::uint16_t>(value));
}

std::uint16_t ones_sum(std::span<const std::uint8_t> bytes, std::uint32_t start) {
  std::uint64_t sum = start;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += load16(bytes, i);
  if (bytes.size() % 2) sum += std::uint32_t{bytes.back()} << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

tl::expected<Packet, Rule> parse_packet(std::span<std::uint8_t> bytes) {
  if (bytes.empty()) return tl::unexpected(Rule::malformed);
  switch (bytes[0] >> 4) {
    case 4:
      return parse_ipv4(bytes);
    case 6:
      return parse_ipv6(bytes);
    default:
      return tl::unexpected(Rule::malformed);
  }
}

tl::expected<Segment, Rule> parse_segment(const Packet& packet, bool quoted) {
  if (packet.later_fragment || !packet.readable) return tl::unexpected(Rule::unsupported);
  switch (packet.protocol) {
    case protocol::udp:
      return parse_udp(packet, quoted);
    case protocol::tcp:
      return parse_tcp(packet, quoted);
    case protocol::icmp:
    case protocol::icmpv6:
      if ((packet.protocol == protocol::icmpv6) != packet.ipv6) return tl::unexpected(Rule::unsupported);
      return parse_icmp(packet);
    default:
      return tl::unexpected(Rule::unsupported);
  }
}

tl::expected<Packet, Rule> parse_quoted(const Packet& error) {
  auto quoted = parse_packet(error.transport().subspan(icmp_header));
  if (quoted && quoted->ipv6 != error.ipv6) return tl::unexpected(Rule::malformed);
  return quoted;
}

void rewrite_source(const Packet& packet, const Segment& segment, const Endpoint& source) {
  rewrite(packet, segment, source, 12, port_offset(segment, true));
}

void rewrite_destination(const Packet& packet, const Segment& segment, const Endpoint& destination) {
  rewrite(packet, segment, destination, 16, port_offset(segment, false));
}

void rewrite_addresses(const Packet& fragment, const Address& source, const Address& destination) {
  if (fragment.ipv6) {
    std::copy(source.begin(), source.end(), fragment.bytes.begin() + 8);
    std::copy(destination.begin(), destination.end(), fragment.bytes.begin() + 24);
    return;
  }
  const auto change = [&](std::size_t at, std::uint16_t value) {
    const std::uint16_t before = load16(fragment.bytes, at);
    store16(fragment.bytes, at, value);
    correct(fragment.bytes, 10, before, value);
  };
  for (std::size_t i = 0; i < 4; i += 2) {
    change(12 + i, load16(source, 12 + i));
    change(16 + i, load16(destination, 12 + i));
  }
}

void decrement_hop_limit(const Packet& packet) {
  if (packet.ipv6) {
    --packet.bytes[7];
    return;
  }
  const std::uint16_t before = load16(packet.bytes, 8);
  store16(packet.bytes, 8, static_cast<std::uint16_t>(before - 0x0100));
  correct(packet.bytes, 10, before, load16(packet.bytes, 8));
}

QuoteGuard::QuoteGuard(const Packet& error, const Packet& quoted)
    : icmp_(error.transport()), quoted_(quoted.bytes), before_(ones_sum(quoted.bytes)) {}

QuoteGuard::~QuoteGuard() { correct(icmp_, 2, static_cast<std::uint16_t>(before_), ones_sum(quoted_)); }

}  // namespace flaresim::nat
