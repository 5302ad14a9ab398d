#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocols/io/bytes.h"
#include "protocols/io/network.h"
#include "protocols/io/time.h"

namespace flaresim::probe {

enum class Protocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 };

/// TCP control bits, RFC 9293 §3.1.
namespace flag {
inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
}

/// What an ICMP or ICMPv6 message is for.
enum class IcmpKind : std::uint8_t { echo_request, echo_reply, unreachable, time_exceeded, other };

/// One IPv4 or IPv6 packet in the words of a prober. Which of the fields mean something depends on `protocol`.
struct Packet {
  io::Endpoint source{};       ///< port: of UDP and TCP; the identifier of an ICMP echo request
  io::Endpoint destination{};  ///< port: of UDP and TCP; the identifier of an ICMP echo reply
  Protocol protocol = Protocol::udp;
  std::uint8_t hop_limit = 64;

  // TCP
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgement = 0;

  // ICMP
  IcmpKind icmp = IcmpKind::echo_request;
  std::uint8_t icmp_code = 0;
  std::shared_ptr<const Packet> quoted{};  ///< of an error: the packet it is about, as far as it was quoted

  io::Bytes payload{};  ///< of UDP, TCP and echo

  // IPv4 fragments
  std::uint16_t identification = 0;
  std::uint16_t fragment_offset = 0;  ///< in bytes
  bool more_fragments = false;

  bool checksums_valid = true;  ///< only `parse` says no
  io::TimePoint at{};           ///< when it came out of a wire; neither built nor parsed

  bool is_v6() const { return source.address.is_v6(); }
  bool is_fragment() const { return more_fragments || fragment_offset != 0; }
};

/// The bytes of a whole packet, with valid checksums (RFC 791, 768, 9293, 792, 4443, 8200).
io::Bytes build(const Packet& packet);

/// Reads what came out of a wire; nothing for bytes that are no packet of these kinds. In a quoted packet and in a
/// fragment checksums are not looked at; a fragment that is not the first has no ports, and all its data is payload.
std::optional<Packet> parse(io::BytesView bytes);

/// The two halves of a UDP datagram: cut at `cut_bytes` of what follows the IP header, a multiple of 8.
struct Halves {
  io::Bytes first{};
  io::Bytes second{};
};
Halves build_fragments(const Packet& packet, std::uint16_t cut_bytes);

/// A destination unreachable (port unreachable) from `sender` about a packet that it received.
Packet port_unreachable(const io::IpAddress& sender, const Packet& about);

}  // namespace flaresim::probe
