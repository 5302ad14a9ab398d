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

struct Icmp {
  std::uint8_t type;
  std::uint8_t code;
};

/// An ICMP error that quotes the packet.
std::vector<std::uint8_t> error_about(const Packet& packet, Icmp what) {
  if (!answerable(packet)) return {};
  const std::uint8_t protocol = packet.ipv6 ? protocol::icmpv6 : protocol::icmp;
  const std::size_t room = (packet.ipv6 ? 1280 : 576) - header_size(packet) - 8;
  const auto quote = packet.bytes.first(std::min(room, packet.bytes.size()));
  auto answer = envelope(packet, protocol, 8 + quote.size());
  const auto icmp = std::span(answer).subspan(header_size(packet));
  icmp[0] = what.type;
  icmp[1] = what.code;
  std::copy(quote.begin(), quote.end(), icmp.begin() + 8);
  seal(answer, packet, protocol, 2);
  return answer;
}

/// A TCP segment without data, back to the sender.
std::vector<std::uint8_t> segment_back(const Packet& packet, const Segment& segment, std::uint8_t flags,
                                       std::uint32_t sequence, std::uint32_t acknowledgement) {
  auto answer = envelope(packet, protocol::tcp, 20);
  const auto tcp = std::span(answer).subspan(header_size(packet));
  store16(tcp, 0, segment.destination_port);
  store16(tcp, 2, segment.source_port);
  store32(tcp, 4, sequence);
  store32(tcp, 8, acknowledgement);
  tcp[12] = 5 << 4;
  tcp[13] = flags;
  if (!(flags & tcp_flag::rst)) store16(tcp, 14, 0xffff);  // window
  seal(answer, packet, protocol::tcp, 16);
  return answer;
}

}  // namespace

std::vector<std::uint8_t> unreachable(const Packet& packet, Unreachable why) {
  if (packet.ipv6)
    return error_about(packet, {1, static_cast<std::uint8_t>(why == Unreachable::port ? 4 : 1)});
  return error_about(packet, {3, static_cast<std::uint8_t>(why == Unreachable::port ? 3 : 13)});
}

std::vector<std::uint8_t> time_exceeded(const Packet& packet, const Address& from) {
  auto answer = error_about(packet, packet.ipv6 ? Icmp{3, 0} : Icmp{11, 0});
  if (answer.empty()) return answer;
  if (const auto error = parse_packet(answer))
    rewrite_source(*error, {Segment::Kind::icmp_error, Transport::icmp, 0, 0, 0}, {from, 0});
  return answer;
}

std::vector<std::uint8_t> echo_reply(const Packet& packet) {
  if (!answerable(packet) || packet.fragment || packet.bytes.size() < packet.length) return {};
  const auto request = packet.transport();
  const std::uint8_t protocol = packet.ipv6 ? protocol::icmpv6 : protocol::icmp;
  auto answer = envelope(packet, protocol, request.size());
  const auto reply = std::span(answer).subspan(header_size(packet));
  std::copy(request.begin(), request.end(), reply.begin());
  reply[0] = packet.ipv6 ? 129 : 0;
  store16(reply, 2, 0);
  seal(answer, packet, protocol, 2);
  return answer;
}

std::vector<std::uint8_t> accept_and_close(const Packet& packet, const Segment& segment) {
  if ((segment.tcp.flags & tcp_flag::rst) || !answerable(packet)) return {};
  const auto theirs = packet.transport();
  const std::uint32_t sequence = load32(theirs, 4);
  const std::uint32_t after = sequence + sequence_length(packet, segment.tcp.flags);
  if (is_opening(segment.tcp.flags)) {
    const std::uint32_t ours =
        hash_of({packet.source, segment.source_port}, {packet.destination, segment.destination_port});
    return segment_back(packet, segment, tcp_flag::syn | tcp_flag::ack, ours, after);
  }
  if (!(segment.tcp.flags & tcp_flag::ack) || after == sequence) return {};
  return segment_back(packet, segment, tcp_flag::fin | tcp_flag::ack, load32(theirs, 8), after);
}

std::vector<std::uint8_t> reset(const Packet& packet, const Segment& segment) {
  if ((segment.tcp.flags & tcp_flag::rst) || !answerable(packet)) return {};
  const auto theirs = packet.transport();
  if (segment.tcp.flags & tcp_flag::ack)
    return segment_back(packet, segment, tcp_flag::rst, load32(theirs, 8), 0);
  return segment_back(packet, segment, tcp_flag::rst | tcp_flag::ack, 0,
                      load32(theirs, 4) + sequence_length(packet, segment.tcp.flags));
}

}  // namespace flaresim::nat
