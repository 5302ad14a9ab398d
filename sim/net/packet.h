#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "protocols/io/network.h"
#include "sim/net/port.h"

namespace flaresim::net {

/// What a trace says about a packet. Ports are zero where the protocol has none or the headers are truncated.
struct PacketSummary {
  io::Endpoint source;
  io::Endpoint destination;
  std::uint8_t protocol = 0;   ///< IANA number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6
  std::uint8_t tcp_flags = 0;  ///< FIN 1, SYN 2, RST 4, PSH 8, ACK 16
  std::uint32_t tcp_sequence = 0;
  std::size_t bytes = 0;  ///< of the whole IP packet
};

constexpr std::uint8_t tcp_fin = 1, tcp_syn = 2, tcp_rst = 4, tcp_psh = 8, tcp_ack = 16;
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;

PacketSummary summarise(const ns3::Packet& packet);
/// `TCP 192.0.2.1:4001 > 198.51.100.7:4001 SYN`
std::string to_string(const PacketSummary& packet);

/// A packet's first bytes, as many as headers can need (an ICMP error with the headers of the packet it is
/// about).
constexpr std::size_t max_head_bytes = 160;

/// Copies the head out, at most `into.size()` bytes, and says how many there were.
std::size_t copy_head(const ns3::Packet& packet, std::span<std::uint8_t> into);
/// Puts rewritten bytes in the place of as many at the packet's start; the payload is not touched.
void replace_head(ns3::Packet& packet, std::span<const std::uint8_t> head);
PacketPtr make_packet(std::span<const std::uint8_t> bytes);
/// All of the packet's bytes.
std::vector<std::uint8_t> whole(const ns3::Packet& packet);

/// Where the packet wants to go; unspecified for one that is neither IPv4 nor IPv6.
io::IpAddress destination_of(const ns3::Packet& packet);

}  // namespace flaresim::net
