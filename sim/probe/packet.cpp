#include "sim/probe/packet.h"

#include <algorithm>
#include <utility>

namespace flaresim::probe {
namespace {

constexpr std::size_t ipv4_header_bytes = 20, ipv6_header_bytes = 40, tcp_header_bytes = 20,
                      udp_header_bytes = 8, icmp_header_bytes = 8;

void put16(io::Bytes& to, std::size_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}
void put32(io::Bytes& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
void set16(io::Bytes& in, std::size_t at, std::uint16_t value) {
  in[at] = static_cast<std::uint8_t>(value >> 8);
  in[at + 1] = static_cast<std::uint8_t>(value);
}
void put_address(io::Bytes& to, const io::IpAddress& address) {
  if (address.is_v4()) return io::append(to, address.to_v4().to_bytes());
  io::append(to, address.to_v6().to_bytes());
}

std::uint16_t get16(io::BytesView from, std::size_t at) {
  return static_cast<std::uint16_t>(from[at] << 8 | from[at + 1]);
}
std::uint32_t get32(io::BytesView from, std::size_t at) {
  return static_cast<std::uint32_t>(get16(from, at)) << 16 | get16(from, at + 2);
}
io::IpAddress get_address(io::BytesView from, std::size_t at, bool v6) {
  if (!v6) return boost::asio::ip::address_v4(get32(from, at));
  boost::asio::ip::address_v6::bytes_type bytes;
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), bytes.size(), bytes.begin());
  return boost::asio::ip::address_v6(bytes);
}

/// RFC 1071.
std::uint16_t checksum(io::BytesView bytes, std::uint64_t sum = 0) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<std::uint64_t>(bytes.back() << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// What goes into the sum beside the segment: nothing for ICMPv4, the pseudo header for the rest.
std::uint64_t pseudo_sum(const Packet& packet, std::size_t segment_bytes) {
  if (packet.protocol == Protocol::icmp) return 0;
  io::Bytes header;
  put_address(header, packet.source.address);
  put_address(header, packet.destination.address);
  put32(header, static_cast<std::uint32_t>(segment_bytes));
  put32(header, static_cast<std::uint32_t>(packet.protocol));
  return static_cast<std::uint16_t>(~checksum(header));
}

struct IcmpNumber {
  IcmpKind kind;
  std::uint8_t v4, v6;
};
constexpr IcmpNumber icmp_numbers[] = {{IcmpKind::echo_request, 8, 128},
                                       {IcmpKind::echo_reply, 0, 129},
                                       {IcmpKind::unreachable, 3, 1},
                                       {IcmpKind::time_exceeded, 11, 3}};

std::uint8_t icmp_type(const Packet& packet) {
  const auto found = std::find_if(std::begin(icmp_numbers), std::end(icmp_numbers),
                                  [&](const IcmpNumber& n) { return n.kind == packet.icmp; });
  return packet.is_v6() ? found->v6 : found->v4;
}

IcmpKind icmp_kind(std::uint8_t type, bool v6) {
  for (const auto& number : icmp_numbers)
    if (type == (v6 ? number.v6 : number.v4)) return number.kind;
  return IcmpKind::other;
}

std::size_t checksum_offset(Protocol protocol) {
  return protocol == Protocol::tcp ? 16 : protocol == Protocol::udp ? 6 : 2;
}

io::Bytes tcp_segment(const Packet& packet) {
  io::Bytes bytes;
  put16(bytes, packet.source.port);
  put16(bytes, packet.destination.port);
  put32(bytes, packet.sequence);
  put32(bytes, packet.acknowledgement);
  bytes.push_back(5 << 4);
  bytes.push_back(packet.flags);
  put16(bytes, 65535);  // window
  put32(bytes, 0);      // checksum, urgent pointer
  io::append(bytes, packet.payload);
  return bytes;
}

io::Bytes udp_datagram(const Packet& packet) {
  io::Bytes bytes;
  put16(bytes, packet.source.port);
  put16(bytes, packet.destination.port);
  put16(bytes, udp_header_bytes + packet.payload.size());
  put16(bytes, 0);
  io::append(bytes, packet.payload);
  return bytes;
}

io::Bytes icmp_message(const Packet& packet) {
  io::Bytes bytes;
  bytes.push_back(icmp_type(packet));
  bytes.push_back(packet.icmp_code);
  put16(bytes, 0);
  if (packet.quoted) {
    put32(bytes, 0);
    io::append(bytes, build(*packet.quoted));
    return bytes;
  }
  put16(bytes, packet.icmp == IcmpKind::echo_request ? packet.source.port : packet.destination.port);
  put16(bytes, 1);
  io::append(bytes, packet.payload);
  return bytes;
}

/// The transport header and what follows it, its checksum filled in.
io::Bytes segment_of(const Packet& packet) {
  auto bytes = packet.protocol == Protocol::tcp   ? tcp_segment(packet)
               : packet.protocol == Protocol::udp ? udp_datagram(packet)
                                                  : icmp_message(packet);
  auto sum = checksum(bytes, pseudo_sum(packet, bytes.size()));
  if (packet.protocol == Protocol::udp && sum == 0) sum = 0xffff;  // RFC 768: zero means none
  set16(bytes, checksum_offset(packet.protocol), sum);
  return bytes;
}

io::Bytes with_ip_header(const Packet& packet, io::BytesView segment) {
  io::Bytes bytes;
  if (packet.is_v6()) {
    put32(bytes, 6u << 28);
    put16(bytes, segment.size());
    bytes.push_back(static_cast<std::uint8_t>(packet.protocol));
    bytes.push_back(packet.hop_limit);
  } else {
    put16(bytes, 0x4500);
    put16(bytes, ipv4_header_bytes + segment.size());
    put16(bytes, packet.identification);
    put16(bytes, packet.fragment_offset / 8u | (packet.more_fragments ? 0x2000u : 0u));
    bytes.push_back(packet.hop_limit);
    bytes.push_back(static_cast<std::uint8_t>(packet.protocol));
    put16(bytes, 0);
  }
  put_address(bytes, packet.source.address);
  put_address(bytes, packet.destination.address);
  if (!packet.is_v6()) set16(bytes, 10, checksum(bytes));
  io::append(bytes, segment);
  return bytes;
}

std::optional<Packet> parse_packet(io::BytesView bytes, bool is_quoted);

bool parse_tcp(Packet& packet, io::BytesView segment, bool is_quoted) {
  if (segment.size() < (is_quoted ? 8 : tcp_header_bytes)) return false;
  packet.source.port = get16(segment, 0);
  packet.destination.port = get16(segment, 2);
  packet.sequence = get32(segment, 4);
  if (segment.size() < tcp_header_bytes) return true;
  packet.acknowledgement = get32(segment, 8);
  packet.flags = segment[13];
  const std::size_t header = (segment[12] >> 4) * std::size_t{4};
  if (header < tcp_header_bytes || header > segment.size()) return is_quoted;
  packet.payload = io::to_bytes(segment.subspan(header));
  return true;
}

bool parse_udp(Packet& packet, io::BytesView segment) {
  if (segment.size() < udp_header_bytes) return false;
  packet.source.port = get16(segment, 0);
  packet.destination.port = get16(segment, 2);
  packet.payload = io::to_bytes(segment.subspan(udp_header_bytes));
  return true;
}

bool parse_icmp(Packet& packet, io::BytesView segment, bool is_quoted) {
  if (segment.size() < icmp_header_bytes) return false;
  packet.icmp = icmp_kind(segment[0], packet.is_v6());
  packet.icmp_code = segment[1];
  const auto rest = segment.subspan(icmp_header_bytes);
  if (packet.icmp == IcmpKind::echo_request) packet.source.port = get16(segment, 4);
  if (packet.icmp == IcmpKind::echo_reply) packet.destination.port = get16(segment, 4);
  const bool is_error = packet.icmp == IcmpKind::unreachable || packet.icmp == IcmpKind::time_exceeded;
  if (!is_error) {
    packet.payload = io::to_bytes(rest);
  } else if (!is_quoted) {
    if (auto quoted = parse_packet(rest, true))
      packet.quoted = std::make_shared<const Packet>(*std::move(quoted));
  }
  return true;
}

bool parse_segment(Packet& packet, io::BytesView segment, bool is_quoted) {
  if (packet.fragment_offset != 0) {
    packet.payload = io::to_bytes(segment);
    return true;
  }
  if (!is_quoted && !packet.more_fragments &&
      !(packet.protocol == Protocol::udp && segment.size() >= udp_header_bytes && get16(segment, 6) == 0))
    packet.checksums_valid &= checksum(segment, pseudo_sum(packet, segment.size())) == 0;
  switch (packet.protocol) {
    case Protocol::tcp:
      return parse_tcp(packet, segment, is_quoted);
    case Protocol::udp:
      return parse_udp(packet, segment);
    case Protocol::icmp:
    case Protocol::icmpv6:
      return parse_icmp(packet, segment, is_quoted);
  }
  return false;
}

/// The IP header; gives where the segment begins and ends, or nothing for what is no IP packet.
std::optional<std::pair<std::size_t, std::size_t>> parse_ip(Packet& packet, io::BytesView bytes) {
  const bool v6 = !bytes.empty() && bytes[0] >> 4 == 6;
  if (bytes.size() < (v6 ? ipv6_header_bytes : ipv4_header_bytes)) return {};
  if (!v6 && bytes[0] >> 4 != 4) return {};
  const std::size_t header = v6 ? ipv6_header_bytes : (bytes[0] & 0x0fu) * 4u;
  const std::size_t total = v6 ? header + get16(bytes, 4) : get16(bytes, 2);
  if (header < ipv4_header_bytes || header > bytes.size() || total < header) return {};
  packet.protocol = static_cast<Protocol>(v6 ? bytes[6] : bytes[9]);
  packet.hop_limit = v6 ? bytes[7] : bytes[8];
  packet.source.address = get_address(bytes, v6 ? 8 : 12, v6);
  packet.destination.address = get_address(bytes, v6 ? 24 : 16, v6);
  if (!v6) {
    packet.identification = get16(bytes, 4);
    packet.more_fragments = (get16(bytes, 6) & 0x2000) != 0;
    packet.fragment_offset = static_cast<std::uint16_t>((get16(bytes, 6) & 0x1fff) * 8);
    packet.checksums_valid = checksum(bytes.first(header)) == 0;
  }
  return std::pair(header, std::min(total, bytes.size()));
}

std::optional<Packet> parse_packet(io::BytesView bytes, bool is_quoted) {
  Packet packet;
  const auto extent = parse_ip(packet, bytes);
  if (!extent) return {};
  if (!parse_segment(packet, bytes.subspan(extent->first, extent->second - extent->first), is_quoted))
    return {};
  return packet;
}

}  // namespace

io::Bytes build(const Packet& packet) { return with_ip_header(packet, segment_of(packet)); }

std::optional<Packet> parse(io::BytesView bytes) { return parse_packet(bytes, false); }

Halves build_fragments(const Packet& packet, std::uint16_t cut_bytes) {
  const auto segment = segment_of(packet);
  const io::BytesView whole = segment;
  auto head = packet, tail = packet;
  head.more_fragments = true;
  tail.fragment_offset = cut_bytes;
  return {with_ip_header(head, whole.first(cut_bytes)), with_ip_header(tail, whole.subspan(cut_bytes))};
}

Packet port_unreachable(const io::IpAddress& sender, const Packet& about) {
  Packet error;
  error.source.address = sender;
  error.destination.address = about.source.address;
  error.protocol = about.is_v6() ? Protocol::icmpv6 : Protocol::icmp;
  error.icmp = IcmpKind::unreachable;
  error.icmp_code = about.is_v6() ? 4 : 3;
  error.quoted = std::make_shared<const Packet>(about);
  return error;
}

}  // namespace flaresim::probe
