#include "sim/nat/softwire.h"

#include <algorithm>
#include <vector>

namespace flaresim::nat {

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t ipv4_header = 20, ipv6_header = 40;
constexpr std::uint8_t ipv4_in_ipv6 = 4;  // RFC 2473 §3
constexpr std::uint8_t hop_limit = 64;

bool is_version(std::span<const std::uint8_t> packet, int version) {
  return !packet.empty() && packet[0] >> 4 == version;
}

Bytes encapsulated(std::span<const std::uint8_t> packet, const Address& from, const Address& to) {
  Bytes outer(ipv6_header);
  outer[0] = 0x60;
  store16(outer, 4, static_cast<std::uint16_t>(packet.size()));
  outer[6] = ipv4_in_ipv6;
  outer[7] = hop_limit;
  std::copy(from.begin(), from.end(), outer.begin() + 8);
  std::copy(to.begin(), to.end(), outer.begin() + 24);
  outer.insert(outer.end(), packet.begin(), packet.end());
  return outer;
}

/// A packet of a tunnel, and who sent it.
struct Tunnelled {
  Address from{};
  Bytes packet;
};

/// What is in a packet of a tunnel that ends at `own`; nothing when it is no such packet.
std::optional<Tunnelled> decapsulated(std::span<const std::uint8_t> packet, const Address& own) {
  if (!is_version(packet, 6) || packet.size() < ipv6_header || packet[6] != ipv4_in_ipv6) return {};
  if (!std::equal(own.begin(), own.end(), packet.begin() + 24)) return {};
  Tunnelled result;
  std::copy_n(packet.begin() + 8, 16, result.from.begin());
  const auto inner = packet.subspan(ipv6_header);
  result.packet.assign(inner.begin(), inner.end());
  return result;
}

Translated one(Bytes packet) {
  Translated result{.outcome = Translated::Outcome::translated};
  result.packets.push_back(std::move(packet));
  return result;
}

/// Another address in an IPv4 packet, and in every checksum over it.
void readdress(const Packet& packet, bool quoted, bool source, const Address& address) {
  const auto segment = parse_segment(packet, quoted);
  if (segment) {
    const bool same_port_twice = segment->kind == Segment::Kind::icmp_error;
    const auto port = same_port_twice ? std::uint16_t{0}
                      : source        ? segment->source_port
                                      : segment->destination_port;
    source ? rewrite_source(packet, *segment, {address, port})
           : rewrite_destination(packet, *segment, {address, port});
    return;
  }
  // No transport header to correct: a later fragment, or a protocol whose checksum covers no addresses.
  std::copy_n(address.begin() + 12, 4, packet.bytes.begin() + (source ? 12 : 16));
  store16(packet.bytes, 10, 0);
  store16(packet.bytes, 10, static_cast<std::uint16_t>(~ones_sum(packet.bytes.first(packet.payload))));
}

/// The packet that an ICMP error quotes; nothing when it is no error, or quotes too little.
std::optional<Packet> quotation(const Packet& packet) {
  const auto segment = parse_segment(packet, false);
  if (!segment || segment->kind != Segment::Kind::icmp_error) return {};
  const auto quoted = parse_quoted(packet);
  return quoted ? std::optional(*quoted) : std::nullopt;
}

}  // namespace

Translated SoftwireB4::outbound(std::span<const std::uint8_t> packet) {
  if (!is_version(packet, 4)) return untouched();
  if (packet.size() > 0xffff) return dropped(Rule::malformed);
  return one(encapsulated(packet, own_, aftr_));
}

Translated SoftwireB4::inbound(std::span<const std::uint8_t> packet) {
  if (is_version(packet, 4)) return dropped(Rule::no_mapping);  // RFC 6333 §5.1: no native IPv4 outside
  auto inner = decapsulated(packet, own_);
  if (!inner) return untouched();
  if (inner->from != aftr_ || !is_version(inner->packet, 4)) return dropped(Rule::no_mapping);
  return one(std::move(inner->packet));
}

Translated AftrEdge::outbound(std::span<const std::uint8_t> packet) {
  auto inner = decapsulated(packet, own_);
  if (!inner) return untouched();
  const auto parsed = parse_packet(inner->packet);
  if (!parsed || parsed->ipv6) return dropped(Rule::malformed);
  if (StandIns<Host>::is_stand_in(parsed->destination)) return dropped(Rule::no_mapping);
  const auto stand_in = hosts_.of({inner->from, parsed->source});
  if (!stand_in) return dropped(Rule::table_full);
  if (const auto quoted = quotation(*parsed)) {
    const auto receiver = hosts_.of({inner->from, quoted->destination});
    if (!receiver) return dropped(Rule::table_full);
    const QuoteGuard guard(*parsed, *quoted);
    readdress(*quoted, true, false, *receiver);
  }
  readdress(*parsed, false, true, *stand_in);
  return one(std::move(inner->packet));
}

Translated AftrEdge::inbound(std::span<const std::uint8_t> packet) {
  Bytes bytes(packet.begin(), packet.end());
  const auto parsed = parse_packet(bytes);
  if (!parsed) return dropped(parsed.error());
  if (parsed->ipv6 || !StandIns<Host>::is_stand_in(parsed->destination)) return untouched();
  const auto* const host = hosts_.find(parsed->destination);
  if (host == nullptr) return dropped(Rule::no_mapping);
  if (const auto quoted = quotation(*parsed)) {
    const auto* const sender = hosts_.find(quoted->source);
    if (sender == nullptr) return dropped(Rule::no_mapping);
    const QuoteGuard guard(*parsed, *quoted);
    readdress(*quoted, true, true, sender->address);
  }
  readdress(*parsed, false, false, host->address);
  return one(encapsulated(bytes, own_, host->tunnel));
}

}  // namespace flaresim::nat
