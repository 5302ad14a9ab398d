#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "sim/nat/nat.h"

/// Packets for the NAT's tests: built and read byte by byte, every checksum summed over the whole packet.
namespace flaresim::nat::test {

using Bytes = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

/// An IP endpoint as people write it: {"10.0.0.2", 5000} or {"2001:db8::1", 5000}.
struct Host {
  std::string address;
  std::uint16_t port = 0;

  bool ipv6() const { return address.find(':') != std::string::npos; }
  friend bool operator==(const Host&, const Host&) = default;
  friend auto operator<=>(const Host&, const Host&) = default;
};
std::ostream& operator<<(std::ostream& out, const Host& host);

Address address(const std::string& text);

constexpr std::uint8_t FIN = 1, SYN = 2, RST = 4, ACK = 16;

Bytes udp(const Host& from, const Host& to, const Bytes& payload = {1, 2, 3}, std::uint8_t ttl = 64);
struct TcpFields {
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgement = 1001;  ///< of the other side's SYN
  Bytes payload = {};
};
Bytes tcp(const Host& from, const Host& to, std::uint8_t flags, const TcpFields& fields = {});
/// `identifier` is written into the echo; ports are ignored.
Bytes echo_request(const Host& from, const Host& to, std::uint16_t identifier);
Bytes echo_reply(const Host& from, const Host& to, std::uint16_t identifier);
/// An ICMP (ICMPv6) message with 4 unused bytes and a quotation.
Bytes icmp_error(const Host& from, const Host& to, std::uint8_t type, std::uint8_t code, const Bytes& quoted);
/// Any payload under an IP header, for what the builders above do not make.
Bytes ip(const Host& from, const Host& to, std::uint8_t protocol, const Bytes& payload,
         std::uint8_t ttl = 64);

/// Puts an IPv6 extension header (8 bytes or more, its first byte is filled in) before the payload.
Bytes with_extension(const Bytes& packet, std::uint8_t type, Bytes header);

/// What a packet says, read independently. Ports of an echo are its identifier on the asking side.
struct Read {
  Host source;
  Host destination;
  std::uint8_t protocol = 0;
  std::uint8_t ttl = 0;
  Bytes transport;  ///< header and payload
};
Read read(const Bytes& packet);
/// The packet inside an ICMP error.
Bytes quoted(const Bytes& packet);

/// Recomputes each checksum of the packet, and of the packet it quotes as far as that is whole. A UDP
/// checksum that is absent over IPv4 counts as valid.
bool checksums_valid(const Bytes& packet);

std::uint16_t read16(const Bytes& bytes, std::size_t at);
std::uint32_t read32(const Bytes& bytes, std::size_t at);
void write16(Bytes& bytes, std::size_t at, std::uint16_t value);
/// Recomputes the checksum of an IPv4 header after a test has changed it.
void seal_ipv4(Bytes& packet);

/// A NAT at 198.51.100.1 and a clock, with the questions that tests ask.
class Rig {
 public:
  explicit Rig(const std::string& behaviour, std::uint64_t seed = 1);

  /// Sends a UDP packet out: the outside endpoint it leaves from, nothing when it is dropped.
  std::optional<Host> out(const Host& from, const Host& to);
  /// Sends a UDP packet in: the inside endpoint it reaches, nothing when it is dropped.
  std::optional<Host> in(const Host& from, const Host& to);
  std::optional<Host> tcp_out(const Host& from, const Host& to, std::uint8_t flags,
                              const TcpFields& fields = {});
  std::optional<Host> tcp_in(const Host& from, const Host& to, std::uint8_t flags,
                             const TcpFields& fields = {});

  /// Any packet, rewritten in place; checks that a forwarded packet has valid checksums.
  Verdict outbound(Bytes& packet);
  Verdict inbound(Bytes& packet);

  void wait(Time time) { now += time; }
  std::size_t size() { return nat.size(now); }

  Nat nat;
  Time now = 0s;
  Verdict last;
};

inline const std::string outside_address = "198.51.100.1";

}  // namespace flaresim::nat::test
