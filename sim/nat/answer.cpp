#include "sim/nat/answer.h"

#include <algorithm>

#include "sim/nat/tcp.h"

namespace flaresim::nat {

namespace {

constexpr std::uint8_t hop_limit = 64;

/// From an address that belongs to one host.
bool answerable(const Packet& packet) {
  const Address& from = packet.source;
  if (packet.ipv6) return from[0] != 0xff && from != Address{};
  return from[12] != 0 && from[12] != 127 && from[12] < 224;
}

std::size_t header_size(const Packet& packet) { return packet.ipv6 ? 40 : 20; }

/// An IP packet back to the sender of `packet`, with room for `payload` bytes.
std::vector<std::uint8_t> envelope(const Packet& packet, std::uint8_t protocol, std::size_t payload) {
  std::vector<std::uint8_t> answer(header_size(packet) + payload);
  if (packet.ipv6) {
    answer[0] = 0x60;
    store16(answer, 4, static_cast<std::uint16_t>(payload));
    answer[6] = protocol;
    answer[7] = hop_limit;
    std::copy(packet.destination.begin(), packet.destination.end(), answer.begin() + 8);
    std::copy(packet.source.begin(), packet.source.end(), answer.begin() + 24);
    return answer;
  }
  answer[0] = 0x45;
  store16(answer, 2, static_cast<std::uint16_t>(answer.size()));
  answer[8] = hop_limit;
  answer[9] = protocol;
  std::copy(packet.destination.begin() + 12, packet.destination.end(), answer.begin() + 12);
  std::copy(packet.source.begin() + 12, packet.source.end(), answer.begin() + 16);
  store16(answer, 10, static_cast<std::uint16_t>(~ones_sum(std::span(answer).first(20))));
  return answer;
}

/// Fills in the transport checksum at `at`, over the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1) unless it
/// is ICMPv4.
void seal(std::vector<std::uint8_t>& answer, const Packet& packet, std::uint8_t protocol, std::size_t at) {
  const auto payload = std::span(answer).subspan(header_size(packet));
  std::uint32_t pseudo = 0;
  if (protocol != protocol::icmp) {
    const auto addresses = packet.ipv6 ? std::span(answer).subspan(8, 32) : std::span(answer).subspan(12, 8);
    pseudo = ones_sum(addresses) + protocol + static_cast<std::uint32_t>(payload.size());
  }
  store16(payload, at, static_cast<std::uint16_t>(~ones_sum(payload, pseudo)));
}

/// SEG.LEN: what the segment takes of the sequence space.
std::uint32_t sequence_length(const Packet& packet, std::uint8_t flags) {
  const std::size_t header = (packet.transport()[12] >> 4) * std::size_t{4};
  const std::size_t data = packet.transport_length() - header;
  return static_cast<std::uint32_t>(data) + ((flags & tcp_flag::syn) != 0) + ((flags & tcp_flag::fin) != 0);
}

}  // namespace

std::vector<std::uint8_t> unreachable(const Packet& packet, Unreachable why) {
  if (!answerable(packet)) return {};
  const std::uint8_t protocol = packet.ipv6 ? protocol::icmpv6 : protocol::icmp;
  const std::size_t room = (packet.ipv6 ? 1280 : 576) - header_size(packet) - 8;
  const auto quote = packet.bytes.first(std::min(room, packet.bytes.size()));
  auto answer = envelope(packet, protocol, 8 + quote.size());
  const auto icmp = std::span(answer).subspan(header_size(packet));
  icmp[0] = packet.ipv6 ? 1 : 3;
  if (why == Unreachable::prohibited)
    icmp[1] = packet.ipv6 ? 1 : 13;
  else
    icmp[1] = packet.ipv6 ? 4 : 3;
  std::copy(quote.begin(), quote.end(), icmp.begin() + 8);
  seal(answer, packet, protocol, 2);
  return answer;
}

std::vector<std::uint8_t> reset(const Packet& packet, const Segment& segment) {
  if ((segment.tcp_flags & tcp_flag::rst) || !answerable(packet)) return {};
  const auto segment_bytes = packet.transport();
  auto answer = envelope(packet, protocol::tcp, 20);
  const auto tcp = std::span(answer).subspan(header_size(packet));
  store16(tcp, 0, segment.destination_port);
  store16(tcp, 2, segment.source_port);
  tcp[12] = 5 << 4;
  if (segment.tcp_flags & tcp_flag::ack) {
    store32(tcp, 4, load32(segment_bytes, 8));
    tcp[13] = tcp_flag::rst;
  } else {
    store32(tcp, 8, load32(segment_bytes, 4) + sequence_length(packet, segment.tcp_flags));
    tcp[13] = tcp_flag::rst | tcp_flag::ack;
  }
  seal(answer, packet, protocol::tcp, 16);
  return answer;
}

}  // namespace flaresim::nat
