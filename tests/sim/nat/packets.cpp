#include "tests/sim/nat/packets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "sim/world/nat_presets.h"

namespace flaresim::nat::test {

namespace {

void append16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

void append32(Bytes& bytes, std::uint32_t value) {
  append16(bytes, value >> 16);
  append16(bytes, value & 0xffff);
}

void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

Bytes raw(const std::string& text) {
  const Address a = address(text);
  return text.find(':') == std::string::npos ? Bytes(a.begin() + 12, a.end()) : Bytes(a.begin(), a.end());
}

/// RFC 1071, over all bytes.
std::uint16_t checksum(Bytes bytes) {
  if (bytes.size() % 2) bytes.push_back(0);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += read16(bytes, i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes pseudo_header(const std::string& from, const std::string& to, std::uint8_t protocol,
                    std::size_t length) {
  Bytes bytes = raw(from);
  append(bytes, raw(to));
  append32(bytes, static_cast<std::uint32_t>(length));
  append32(bytes, protocol);
  return bytes;
}

std::uint16_t transport_checksum(const Host& from, const Host& to, std::uint8_t protocol,
                                 const Bytes& payload) {
  Bytes all = protocol == 1 ? Bytes{} : pseudo_header(from.address, to.address, protocol, payload.size());
  append(all, payload);
  return checksum(all);
}

Bytes sealed(const Host& from, const Host& to, std::uint8_t protocol, Bytes payload, std::size_t at,
             std::uint8_t ttl = 64) {
  write16(payload, at, transport_checksum(from, to, protocol, payload));
  return ip(from, to, protocol, payload, ttl);
}

Bytes echo(const Host& from, const Host& to, std::uint8_t type, std::uint16_t identifier) {
  Bytes icmp = {type, 0, 0, 0};
  append16(icmp, identifier);
  append(icmp, {0, 7, 'p', 'i', 'n', 'g', '!'});
  return sealed(from, to, from.ipv6() ? 58 : 1, icmp, 2);
}

std::size_t transport_offset(const Bytes& packet) {
  if (packet[0] >> 4 == 4) return (packet[0] & 15) * 4;
  std::size_t at = 40;
  for (std::uint8_t next = packet[6]; next == 0 || next == 44 || next == 60;) {
    next = packet[at];
    at += 8 + packet[at + 1] * 8;
  }
  return at;
}

bool transport_checksum_valid(const Read& r) {
  const std::size_t at = r.protocol == 17 ? 6 : r.protocol == 6 ? 16 : 2;
  if (r.transport.size() < at + 2) return true;
  Bytes zeroed = r.transport;
  const std::uint16_t given = read16(zeroed, at);
  if (r.protocol == 17 && given == 0) return !r.source.ipv6();
  write16(zeroed, at, 0);
  std::uint16_t expected = transport_checksum(r.source, r.destination, r.protocol, zeroed);
  if (r.protocol == 17 && expected == 0) expected = 0xffff;
  return given == expected;
}

bool is_error(const Read& r) {
  return (r.protocol == 1 && (r.transport[0] == 3 || r.transport[0] == 11 || r.transport[0] == 12)) ||
         (r.protocol == 58 && r.transport[0] < 128);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Host& host) {
  return out << host.address << " port " << host.port;
}

Address address(const std::string& text) {
  Address a{};
  if (text.find(':') != std::string::npos) {
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), a.data()), 1) << text;
  } else {
    a[10] = a[11] = 0xff;
    EXPECT_EQ(inet_pton(AF_INET, text.c_str(), a.data() + 12), 1) << text;
  }
  return a;
}

std::uint16_t read16(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes.at(at) * 256 + bytes.at(at + 1));
}

std::uint32_t read32(const Bytes& bytes, std::size_t at) {
  return read16(bytes, at) * 65536u + read16(bytes, at + 2);
}

void write16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

void seal_ipv4(Bytes& packet) {
  write16(packet, 10, 0);
  write16(packet, 10, checksum(Bytes(packet.begin(), packet.begin() + (packet[0] & 15) * 4)));
}

Bytes ip(const Host& from, const Host& to, std::uint8_t protocol, const Bytes& payload, std::uint8_t ttl) {
  Bytes packet;
  if (from.ipv6()) {
    append32(packet, 0x60000000);
    append16(packet, static_cast<std::uint32_t>(payload.size()));
    append(packet, {protocol, ttl});
    append(packet, raw(from.address));
    append(packet, raw(to.address));
  } else {
    append(packet, {0x45, 0});
    append16(packet, static_cast<std::uint32_t>(20 + payload.size()));
    append(packet, {0x12, 0x34, 0x40, 0, ttl, protocol, 0, 0});
    append(packet, raw(from.address));
    append(packet, raw(to.address));
    seal_ipv4(packet);
  }
  append(packet, payload);
  return packet;
}

Bytes udp(const Host& from, const Host& to, const Bytes& payload, std::uint8_t ttl) {
  Bytes bytes;
  append16(bytes, from.port);
  append16(bytes, to.port);
  append16(bytes, static_cast<std::uint32_t>(8 + payload.size()));
  append16(bytes, 0);
  append(bytes, payload);
  return sealed(from, to, 17, bytes, 6, ttl);
}

Bytes tcp(const Host& from, const Host& to, std::uint8_t flags, const TcpFields& fields) {
  Bytes bytes;
  append16(bytes, from.port);
  append16(bytes, to.port);
  append32(bytes, fields.sequence);
  append32(bytes, fields.acknowledgement);
  append(bytes, {0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
  append(bytes, fields.payload);
  return sealed(from, to, 6, bytes, 16);
}

Bytes echo_request(const Host& from, const Host& to, std::uint16_t identifier) {
  return echo(from, to, from.ipv6() ? 128 : 8, identifier);
}

Bytes echo_reply(const Host& from, const Host& to, std::uint16_t identifier) {
  return echo(from, to, from.ipv6() ? 129 : 0, identifier);
}

Bytes icmp_error(const Host& from, const Host& to, std::uint8_t type, std::uint8_t code, const Bytes& about) {
  Bytes icmp = {type, code, 0, 0, 0, 0, 0, 0};
  append(icmp, about);
  return sealed(from, to, from.ipv6() ? 58 : 1, icmp, 2);
}

Bytes with_extension(const Bytes& packet, std::uint8_t type, Bytes header) {
  Bytes result(packet.begin(), packet.begin() + 40);
  header[0] = packet[6];
  result[6] = type;
  write16(result, 4, static_cast<std::uint16_t>(packet.size() - 40 + header.size()));
  append(result, header);
  append(result, Bytes(packet.begin() + 40, packet.end()));
  return result;
}

Read read(const Bytes& packet) {
  const bool v6 = packet.at(0) >> 4 == 6;
  const std::size_t size = v6 ? 16 : 4, first = v6 ? 8 : 12;
  const auto text = [&](std::size_t at) {
    char buffer[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(v6 ? AF_INET6 : AF_INET, packet.data() + at, buffer, sizeof buffer));
  };
  Read r;
  r.source.address = text(first);
  r.destination.address = text(first + size);
  r.ttl = packet[v6 ? 7 : 8];
  const std::size_t at = transport_offset(packet);
  r.protocol = v6 ? packet[6] : packet[9];
  if (v6 && at > 40) r.protocol = packet[40];
  r.transport = Bytes(packet.begin() + at, packet.end());
  if (r.protocol == 6 || r.protocol == 17) {
    r.source.port = read16(r.transport, 0);
    r.destination.port = read16(r.transport, 2);
  } else if (r.transport[0] == 8 || r.transport[0] == 128) {
    r.source.port = read16(r.transport, 4);
  } else if (r.transport[0] == 0 || r.transport[0] == 129) {
    r.destination.port = read16(r.transport, 4);
  }
  return r;
}

Bytes quoted(const Bytes& packet) {
  const Bytes transport = read(packet).transport;
  return Bytes(transport.begin() + 8, transport.end());
}

bool checksums_valid(const Bytes& packet) {
  if (packet[0] >> 4 == 4 && checksum(Bytes(packet.begin(), packet.begin() + (packet[0] & 15) * 4)) != 0)
    return false;
  const Read r = read(packet);
  const std::size_t length = packet[0] >> 4 == 4 ? read16(packet, 2) : 40u + read16(packet, 4);
  const bool is_fragment = packet[0] >> 4 == 4 && (read16(packet, 6) & 0x3fff) != 0;
  if (length > packet.size() || is_fragment) return true;  // cut off: only the header can be checked
  return transport_checksum_valid(r) && (!is_error(r) || checksums_valid(quoted(packet)));
}

Rig::Rig(const std::string& behaviour, std::uint64_t seed)
    : nat(world::parse_nat(behaviour).value(), address(outside_address), seed) {}

Verdict Rig::outbound(Bytes& packet) {
  last = nat.outbound(packet, now);
  EXPECT_TRUE(!last.forward || checksums_valid(packet));
  return last;
}

Verdict Rig::inbound(Bytes& packet) {
  last = nat.inbound(packet, now);
  EXPECT_TRUE(!last.forward || checksums_valid(packet));
  return last;
}

std::optional<Host> Rig::out(const Host& from, const Host& to) {
  Bytes packet = udp(from, to);
  if (!outbound(packet).forward) return {};
  EXPECT_EQ(read(packet).destination, to);
  return read(packet).source;
}

std::optional<Host> Rig::in(const Host& from, const Host& to) {
  Bytes packet = udp(from, to);
  if (!inbound(packet).forward) return {};
  EXPECT_EQ(read(packet).source, from);
  return read(packet).destination;
}

std::optional<Host> Rig::tcp_out(const Host& from, const Host& to, std::uint8_t flags,
                                 const TcpFields& fields) {
  Bytes packet = tcp(from, to, flags, fields);
  if (!outbound(packet).forward) return {};
  EXPECT_EQ(read(packet).destination, to);
  return read(packet).source;
}

std::optional<Host> Rig::tcp_in(const Host& from, const Host& to, std::uint8_t flags,
                                const TcpFields& fields) {
  Bytes packet = tcp(from, to, flags, fields);
  if (!inbound(packet).forward) return {};
  EXPECT_EQ(read(packet).source, from);
  return read(packet).destination;
}

}  // namespace flaresim::nat::test
