#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>

#include "sim/nat/nat.h"
#include "sim/nat/rules.h"
#include "sim/nat/tcp.h"

namespace flaresim::nat {

/// IP protocol numbers (IANA).
namespace protocol {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, icmpv6 = 58;
}

/// One IP packet, or what an ICMP error quotes of one. The bytes stay the caller's.
struct Packet {
  std::span<std::uint8_t> bytes;  ///< what is there of the packet, without anything after its end
  bool ipv6 = false;
  std::size_t length = 0;            ///< of the whole packet; `bytes` may be shorter
  std::size_t payload = 0;           ///< offset of the transport header
  std::uint8_t protocol = 0;         ///< of the transport header, behind IPv6 extension headers
  bool fragment = false;             ///< any fragment
  bool later_fragment = false;       ///< without a transport header
  std::uint32_t identification = 0;  ///< of the datagram that a fragment belongs to
  bool readable = true;              ///< false: IPv6 extension headers that cannot be skipped
  Address source{};
  Address destination{};

  std::span<std::uint8_t> transport() const { return bytes.subspan(payload); }
  std::size_t transport_length() const { return length - payload; }
  std::uint8_t hop_limit() const { return bytes[ipv6 ? 7 : 8]; }
};

/// What a transport header says about the packet's place in a flow.
struct Segment {
  enum class Kind : std::uint8_t { udp, tcp, echo_request, echo_reply, icmp_error };
  Kind kind = Kind::udp;
  Transport transport = Transport::udp;
  std::uint16_t source_port = 0;  ///< of an echo: the identifier on the side that asks, 0 on the other
  std::uint16_t destination_port = 0;
  TcpControl tcp{};
};

/// Reads the IP header. Rule::malformed for a packet whose headers are cut off or contradict each other; a
/// payload that is cut off is fine. RFC 791 §3.1, RFC 8200 §3-4: hop-by-hop, destination options and fragment
/// headers are skipped, others make the packet unreadable.
tl::expected<Packet, Rule> parse_packet(std::span<std::uint8_t> bytes);

/// Reads the transport header. Rule::unsupported for other protocols, for ICMP messages that belong to no
/// flow, and for all fragments but the first, since they carry no ports. `quoted`: the packet stands in an ICMP error, which promises no more than 8 bytes of it (RFC
/// 792).
tl::expected<Segment, Rule> parse_segment(const Packet& packet, bool quoted);

/// The packet that an ICMP error is about.
tl::expected<Packet, Rule> parse_quoted(const Packet& error);

/// Give a packet another endpoint, in its headers and in every checksum over them that is there (RFC 1624).
/// An absent UDP checksum over IPv4 stays absent. `segment` is how the packet was read before.
void rewrite_source(const Packet& packet, const Segment& segment, const Endpoint& source);
void rewrite_destination(const Packet& packet, const Segment& segment, const Endpoint& destination);

/// Gives a fragment without ports other addresses, of its own IP version.
void rewrite_addresses(const Packet& fragment, const Address& source, const Address& destination);

/// Takes one hop from the packet's life. RFC 791 §3.2, RFC 8200 §3.
void decrement_hop_limit(const Packet& packet);

/// Corrects the checksum of an ICMP error for what was changed in the packet that it quotes. Construct before
/// the change; it is applied when the guard goes.
class QuoteGuard {
 public:
  QuoteGuard(const Packet& error, const Packet& quoted);
  ~QuoteGuard();
  QuoteGuard(const QuoteGuard&) = delete;
  QuoteGuard& operator=(const QuoteGuard&) = delete;

 private:
  std::span<std::uint8_t> icmp_;
  std::span<const std::uint8_t> quoted_;
  std::uint32_t before_;
};

/// Big-endian fields, as all of them are.
std::uint16_t load16(std::span<const std::uint8_t> bytes, std::size_t at);
std::uint32_t load32(std::span<const std::uint8_t> bytes, std::size_t at);
void store16(std::span<std::uint8_t> bytes, std::size_t at, std::uint16_t value);
void store32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value);

/// The one's complement sum of RFC 1071, folded to 16 bits, not inverted.
std::uint16_t ones_sum(std::span<const std::uint8_t> bytes, std::uint32_t start = 0);

}  // namespace flaresim::nat
