#include "sim/nat/translate46.h"

#include <algorithm>
#include <array>

namespace flaresim::nat {

namespace {

constexpr std::size_t ipv4_header = 20, ipv6_header = 40, fragment_header = 8, icmp_header = 8;
constexpr std::uint8_t fragment_protocol = 44;
constexpr std::size_t min_ipv6_mtu = 1280;
constexpr std::size_t most_icmpv4_error = 576;  // RFC 1812 §4.3.2.3
/// A packet that is no longer than this may be fragmented after its translation to IPv4. RFC 7915 §5.1.
constexpr std::size_t most_without_df = 1260;

enum IcmpV4 : std::uint8_t {
  echo_reply_4 = 0,
  unreachable_4 = 3,
  echo_request_4 = 8,
  time_exceeded_4 = 11,
  parameter_4 = 12
};
enum IcmpV6 : std::uint8_t {
  unreachable_6 = 1,
  too_big_6 = 2,
  time_exceeded_6 = 3,
  parameter_6 = 4,
  echo_request_6 = 128,
  echo_reply_6 = 129
};

Address v4(std::uint32_t number) {
  Address address{};
  store32(address, 8, 0xffff);
  store32(address, 12, number);
  return address;
}

/// RFC 7600: the IPv4 dummy address.
const Address dummy_v4 = v4(0xc0000008);

/// The sum of what a pseudo header holds of the addresses: the rest is the same for both IP versions.
std::uint32_t address_sum(const Address& source, const Address& destination, bool ipv6) {
  const std::size_t from = ipv6 ? 0 : 12;
  return std::uint32_t{ones_sum(std::span(source).subspan(from))} +
         ones_sum(std::span(destination).subspan(from));
}

std::uint32_t fold(std::uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>(sum);
}

/// RFC 1624 equation 3 for what a checksum covers and we replace, both as sums.
void correct(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t before, std::uint32_t after) {
  const std::uint32_t sum = fold(std::uint64_t{static_cast<std::uint16_t>(~load16(bytes, at))} +
                                 static_cast<std::uint16_t>(~fold(before)) + fold(after));
  store16(bytes, at, static_cast<std::uint16_t>(~sum));
}

/// TCP and UDP under another pair of addresses.
void correct_transport(std::vector<std::uint8_t>& transport, std::uint8_t protocol, std::uint32_t before,
                       std::uint32_t after) {
  const std::size_t at = protocol == protocol::tcp ? 16 : 6;
  const bool has_one = protocol == protocol::tcp || protocol == protocol::udp;
  if (!has_one || transport.size() < at + 2) return;
  if (protocol == protocol::udp && load16(transport, at) == 0) return;
  correct(transport, at, before, after);
  if (protocol == protocol::udp && load16(transport, at) == 0) store16(transport, at, 0xffff);
}

void seal_icmp(std::span<std::uint8_t> icmp, std::uint32_t pseudo) {
  store16(icmp, 2, 0);
  store16(icmp, 2, static_cast<std::uint16_t>(~ones_sum(icmp, pseudo)));
}

std::uint32_t icmpv6_pseudo(const Address& source, const Address& destination, std::size_t length) {
  return fold(std::uint64_t{address_sum(source, destination, true)} + length + protocol::icmpv6);
}

bool is_echo(const Packet& packet) {
  const auto type = packet.transport()[0];
  return packet.ipv6 ? type == echo_request_6 || type == echo_reply_6
                     : type == echo_request_4 || type == echo_reply_4;
}

/// RFC 7915 §4: an unexpired source route. Other options are ignored.
bool has_source_route(const Packet& packet) {
  constexpr std::uint8_t end = 0, none = 1, loose = 131, strict = 137;
  const auto options = packet.bytes.subspan(ipv4_header, packet.payload - ipv4_header);
  for (std::size_t at = 0; at < options.size();) {
    if (options[at] == end) return false;
    if (options[at] == none) {
      ++at;
      continue;
    }
    if (at + 2 >= options.size() || options[at + 1] < 2) return false;
    const bool route = options[at] == loose || options[at] == strict;
    if (route && options[at + 2] <= options[at + 1]) return true;
    at += options[at + 1];
  }
  return false;
}

/// Type, code and the 32 bits behind the checksum of an ICMP error.
struct ErrorHead {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;
};

/// RFC 7915 §4.2, figure 3: which field of an IPv6 header is at this place of an IPv4 header.
std::optional<std::uint32_t> pointer_to_v6(std::uint8_t pointer) {
  if (pointer <= 1) return pointer;
  if (pointer == 2 || pointer == 3) return 4;
  if (pointer == 8) return 7;
  if (pointer == 9) return 6;
  if (pointer >= 12 && pointer <= 15) return 8;
  if (pointer >= 16 && pointer <= 19) return 24;
  return {};
}

/// RFC 7915 §5.2, figure 6.
std::optional<std::uint32_t> pointer_to_v4(std::uint32_t pointer) {
  if (pointer <= 1) return pointer;
  if (pointer == 4 || pointer == 5) return 2;
  if (pointer == 6) return 9;
  if (pointer == 7) return 8;
  if (pointer >= 8 && pointer <= 23) return 12;
  if (pointer >= 24 && pointer <= 39) return 16;
  return {};
}

/// RFC 7915 §4.2 on a "fragmentation needed" without an MTU: the plateaus of RFC 1191 §7.
std::uint32_t plateau_below(std::size_t packet_length) {
  for (const std::uint32_t plateau :
       {65535u, 32000u, 17914u, 8166u, 4352u, 2002u, 1492u, 1006u, 508u, 296u}) {
    if (plateau < packet_length) return plateau;
  }
  return 68;
}

std::optional<ErrorHead> unreachable_to_v6(std::uint8_t code, std::span<const std::uint8_t> icmp,
                                           std::uint16_t mtu_v6) {
  constexpr std::uint8_t next_header_field = 6;
  switch (code) {
    case 2:  // protocol
      return ErrorHead{parameter_6, 1, next_header_field};
    case 3:  // port
      return ErrorHead{unreachable_6, 4, 0};
    case 4: {  // fragmentation needed
      std::uint32_t mtu = load16(icmp, 6);
      if (mtu == 0) mtu = plateau_below(load16(icmp, icmp_header + 2));
      return ErrorHead{
          too_big_6, 0,
          std::clamp<std::uint32_t>(mtu + 20, min_ipv6_mtu, std::max<std::uint32_t>(min_ipv6_mtu, mtu_v6))};
    }
    case 9:
    case 10:
    case 13:
    case 15:  // prohibited
      return ErrorHead{unreachable_6, 1, 0};
    case 0:
    case 1:
    case 5:
    case 6:
    case 7:
    case 8:
    case 11:
    case 12:
      return ErrorHead{unreachable_6, 0, 0};
    default:
      return {};
  }
}

std::optional<ErrorHead> error_to_v6(std::span<const std::uint8_t> icmp, std::uint16_t mtu_v6) {
  if (icmp.size() < icmp_header + ipv4_header) return {};
  const auto type = icmp[0], code = icmp[1];
  if (type == unreachable_4) return unreachable_to_v6(code, icmp, mtu_v6);
  if (type == time_exceeded_4 && code <= 1) return ErrorHead{time_exceeded_6, code, 0};
  if (type != parameter_4 || (code != 0 && code != 2)) return {};
  const auto pointer = pointer_to_v6(icmp[4]);
  if (!pointer) return {};
  return ErrorHead{parameter_6, 0, *pointer};
}

std::optional<ErrorHead> error_to_v4(std::span<const std::uint8_t> icmp, std::uint16_t mtu_v6) {
  if (icmp.size() < icmp_header + ipv6_header) return {};
  const auto type = icmp[0], code = icmp[1];
  if (type == unreachable_6) {
    constexpr std::array<std::uint8_t, 5> codes{1, 10, 1, 1, 3};
    if (code >= codes.size()) return {};
    return ErrorHead{unreachable_4, codes[code], 0};
  }
  if (type == too_big_6) {
    const auto mtu = std::min<std::uint32_t>(load32(icmp, 4), mtu_v6);
    return ErrorHead{unreachable_4, 4, mtu > 20 ? mtu - 20 : 0};
  }
  if (type == time_exceeded_6 && code <= 1) return ErrorHead{time_exceeded_4, code, 0};
  if (type != parameter_6 || code > 1) return {};
  if (code == 1) return ErrorHead{unreachable_4, 2, 0};
  const auto pointer = pointer_to_v4(load32(icmp, 4));
  if (!pointer) return {};
  return ErrorHead{parameter_4, 0, *pointer << 24};
}

/// The packet that an error quotes, without extensions behind it. RFC 4884 §3-4.
std::span<std::uint8_t> quotation(const Packet& error) {
  const auto icmp = error.transport();
  const std::size_t length = error.ipv6 ? icmp[4] * std::size_t{8} : icmp[5] * std::size_t{4};
  const bool may_have_length =
      error.ipv6 ? icmp[0] == unreachable_6 || icmp[0] == time_exceeded_6
                 : icmp[0] == unreachable_4 || icmp[0] == time_exceeded_4 || icmp[0] == parameter_4;
  const auto quoted = icmp.subspan(icmp_header);
  return may_have_length && length != 0 ? quoted.first(std::min(length, quoted.size())) : quoted;
}

std::vector<std::uint8_t> ipv4_packet(const Address& source, const Address& destination, std::uint8_t tos,
                                      std::uint8_t ttl, std::uint8_t protocol, std::size_t payload) {
  std::vector<std::uint8_t> packet(ipv4_header);
  packet[0] = 0x45;
  packet[1] = tos;
  store16(packet, 2, static_cast<std::uint16_t>(ipv4_header + payload));
  packet[8] = ttl;
  packet[9] = protocol;
  std::copy_n(source.begin() + 12, 4, packet.begin() + 12);
  std::copy_n(destination.begin() + 12, 4, packet.begin() + 16);
  return packet;
}

void seal_ipv4(std::span<std::uint8_t> packet) {
  store16(packet, 10, 0);
  store16(packet, 10, static_cast<std::uint16_t>(~ones_sum(packet.first(ipv4_header))));
}

std::vector<std::uint8_t> ipv6_packet(const Address& source, const Address& destination,
                                      std::uint8_t traffic_class, std::uint8_t hop_limit,
                                      std::uint8_t protocol, std::size_t payload) {
  std::vector<std::uint8_t> packet(ipv6_header);
  packet[0] = static_cast<std::uint8_t>(0x60 | traffic_class >> 4);
  packet[1] = static_cast<std::uint8_t>(traffic_class << 4);
  store16(packet, 4, static_cast<std::uint16_t>(payload));
  packet[6] = protocol;
  packet[7] = hop_limit;
  std::copy(source.begin(), source.end(), packet.begin() + 8);
  std::copy(destination.begin(), destination.end(), packet.begin() + 24);
  return packet;
}

/// RFC 8200 §4.5.
void append_fragment_header(std::vector<std::uint8_t>& packet, std::uint8_t protocol, std::size_t offset,
                            bool more, std::uint32_t identification) {
  const auto at = packet.size();
  packet.resize(at + fragment_header);
  packet[at] = protocol;
  store16(packet, at + 2, static_cast<std::uint16_t>(offset | more));
  store32(packet, at + 4, identification);
}

/// ICMP "fragmentation needed" from the packet's destination, RFC 1191 §4.
std::vector<std::uint8_t> fragmentation_needed(const Packet& packet, std::uint16_t mtu) {
  const auto quoted =
      packet.bytes.first(std::min(packet.bytes.size(), most_icmpv4_error - ipv4_header - icmp_header));
  auto answer =
      ipv4_packet(packet.destination, packet.source, 0, 64, protocol::icmp, icmp_header + quoted.size());
  seal_ipv4(answer);
  answer.resize(ipv4_header + icmp_header);
  answer[ipv4_header] = unreachable_4;
  answer[ipv4_header + 1] = 4;
  store16(answer, ipv4_header + 6, mtu);
  answer.insert(answer.end(), quoted.begin(), quoted.end());
  seal_icmp(std::span(answer).subspan(ipv4_header), 0);
  return answer;
}

Translated one(std::vector<std::uint8_t> packet) {
  Translated result{.outcome = Translated::Outcome::translated};
  result.packets.push_back(std::move(packet));
  return result;
}

bool is_version(std::span<const std::uint8_t> packet, int version) {
  return !packet.empty() && packet[0] >> 4 == version;
}

std::optional<Address> destination_v6(std::span<const std::uint8_t> packet) {
  if (!is_version(packet, 6) || packet.size() < ipv6_header) return {};
  Address address;
  std::copy_n(packet.begin() + 24, 16, address.begin());
  return address;
}

std::optional<Address> source_v6(std::span<const std::uint8_t> packet) {
  if (!is_version(packet, 6) || packet.size() < ipv6_header) return {};
  Address address;
  std::copy_n(packet.begin() + 8, 16, address.begin());
  return address;
}

std::optional<Address> destination_v4(std::span<const std::uint8_t> packet) {
  if (!is_version(packet, 4) || packet.size() < ipv4_header) return {};
  return v4(load32(packet, 16));
}

}  // namespace

// Addresses

std::optional<Prefix64> Prefix64::make(const Address& prefix, unsigned bits) {
  constexpr std::array<unsigned, 6> lengths{32, 40, 48, 56, 64, 96};
  if (std::find(lengths.begin(), lengths.end(), bits) == lengths.end() || prefix[8] != 0) return {};
  Address cut{};
  std::copy_n(prefix.begin(), bits / 8, cut.begin());
  return Prefix64(cut, bits);
}

Prefix64 Prefix64::well_known() { return *make({0x00, 0x64, 0xff, 0x9b}, 96); }

/// Byte 8, the "u" octet of RFC 6052 §2.2, stays zero.
Address Prefix64::embed(const Address& v4_address) const {
  Address address = prefix_;
  std::size_t at = bits_ / 8;
  for (std::size_t i = 12; i < 16; ++i, ++at) {
    if (at == 8) ++at;
    address[at] = v4_address[i];
  }
  return address;
}

std::optional<Address> Prefix64::extract(const Address& v6) const {
  if (!std::equal(prefix_.begin(), prefix_.begin() + bits_ / 8, v6.begin())) return {};
  Address address = v4(0);
  std::size_t at = bits_ / 8;
  for (std::size_t i = 12; i < 16; ++i, ++at) {
    if (at == 8) ++at;
    address[i] = v6[at];
  }
  return address;
}

// IPv6 to IPv4

/// The fragment header of an IPv6 packet, or an IPv4 header's fields of the same meaning.
struct Translator46::Fragment {
  std::uint16_t offset = 0;  ///< in bytes
  bool more = false;
  std::uint32_t identification = 0;
  bool present = false;

  bool cuts() const { return offset != 0 || more; }

  static Fragment of_v4(const Packet& packet) {
    const auto field = load16(packet.bytes, 6);
    return {static_cast<std::uint16_t>((field & 0x1fff) * 8), (field & 0x2000) != 0, load16(packet.bytes, 4),
            packet.fragment};
  }
  /// Where `parse_packet` has found the transport header, so that every header before it is whole.
  static Fragment of_v6(const Packet& packet) {
    auto type = packet.bytes[6];
    for (std::size_t at = ipv6_header; at + fragment_header <= packet.payload;) {
      if (type == fragment_protocol) {
        const auto field = load16(packet.bytes, at + 2);
        return {static_cast<std::uint16_t>(field & 0xfff8), (field & 1) != 0, load32(packet.bytes, at + 4),
                true};
      }
      type = packet.bytes[at];
      at += 8 + packet.bytes[at + 1] * std::size_t{8};
    }
    return {};
  }
};

Translated Translator46::v6_to_v4(std::span<const std::uint8_t> packet) {
  Bytes bytes(packet.begin(), packet.end());
  auto translated = to_v4(bytes, false);
  if (!translated) return dropped(translated.error());
  return one(*std::move(translated));
}

/// The source of a packet; of an ICMP error, any router may be it.
std::optional<Address> Translator46::source_to_v4(const Packet& packet) {
  if (const auto known = addresses_.to_v4(packet.source)) return known;
  const bool error =
      packet.protocol == protocol::icmpv6 && !packet.transport().empty() && packet.transport()[0] < 128;
  return error ? std::optional(dummy_v4) : std::nullopt;
}

tl::expected<Translator46::Bytes, Rule> Translator46::to_v4(std::span<std::uint8_t> bytes, bool quoted) {
  const auto parsed = parse_packet(bytes);
  if (!parsed) return tl::unexpected(parsed.error());
  const Packet& packet = *parsed;
  if (!packet.ipv6 || (!quoted && packet.bytes.size() < packet.length))
    return tl::unexpected(Rule::malformed);
  if (!packet.readable || packet.protocol == protocol::icmp) return tl::unexpected(Rule::unsupported);
  const auto source = quoted ? addresses_.to_v4(packet.source) : source_to_v4(packet);
  const auto destination = addresses_.to_v4(packet.destination);
  if (!source || !destination) return tl::unexpected(Rule::no_mapping);

  const auto fragment = Fragment::of_v6(packet);
  const bool icmp = packet.protocol == protocol::icmpv6;
  if (icmp && fragment.cuts()) return tl::unexpected(Rule::unsupported);
  Bytes payload(packet.transport().begin(), packet.transport().end());
  std::size_t length = packet.transport_length();
  if (icmp) {
    if (quoted && !payload.empty() && !is_echo(packet)) return tl::unexpected(Rule::unsupported);
    auto translated = icmp_to_v4(packet);
    if (!translated) return tl::unexpected(translated.error());
    payload = *std::move(translated);
    if (!quoted) length = payload.size();
  } else if (!packet.later_fragment) {
    correct_transport(payload, packet.protocol, address_sum(packet.source, packet.destination, true),
                      address_sum(*source, *destination, false));
  }
  if (ipv4_header + length > 0xffff) return tl::unexpected(Rule::unsupported);

  const auto traffic_class = static_cast<std::uint8_t>(load16(packet.bytes, 0) >> 4);
  auto result = ipv4_packet(*source, *destination, traffic_class, packet.hop_limit(),
                            icmp ? std::uint8_t{protocol::icmp} : packet.protocol, length);
  const bool fragmentable = fragment.present || ipv4_header + length <= most_without_df;
  const auto identification = fragment.present          ? static_cast<std::uint16_t>(fragment.identification)
                              : fragmentable && !quoted ? next_identification_++
                                                        : std::uint16_t{0};
  store16(result, 4, identification);
  store16(result, 6,
          static_cast<std::uint16_t>((fragmentable ? 0 : 0x4000) | (fragment.more ? 0x2000 : 0) |
                                     fragment.offset / 8));
  seal_ipv4(result);
  result.insert(result.end(), payload.begin(), payload.end());
  return result;
}

/// RFC 7915 §5.2.
tl::expected<Translator46::Bytes, Rule> Translator46::icmp_to_v4(const Packet& packet) {
  const auto icmp = packet.transport();
  if (icmp.size() < icmp_header) return tl::unexpected(Rule::malformed);
  if (is_echo(packet)) {
    Bytes echo(icmp.begin(), icmp.end());
    echo[0] = icmp[0] == echo_request_6 ? echo_request_4 : echo_reply_4;
    correct(echo, 2,
            icmpv6_pseudo(packet.source, packet.destination, packet.transport_length()) + load16(icmp, 0),
            load16(echo, 0));
    return echo;
  }
  const auto head = error_to_v4(icmp, options_.mtu_v6_bytes);
  if (!head) return tl::unexpected(Rule::unsupported);
  const auto quoted = to_v4(quotation(packet), true);
  if (!quoted) return tl::unexpected(quoted.error());
  Bytes error(icmp_header);
  error[0] = head->type;
  error[1] = head->code;
  store32(error, 4, head->rest);
  const auto room = most_icmpv4_error - ipv4_header - icmp_header;
  error.insert(error.end(), quoted->begin(),
               quoted->begin() + static_cast<std::ptrdiff_t>(std::min(room, quoted->size())));
  seal_icmp(error, 0);
  return error;
}

// IPv4 to IPv6

Translated Translator46::v4_to_v6(std::span<const std::uint8_t> packet) {
  Bytes bytes(packet.begin(), packet.end());
  auto translated = to_v6(bytes, false);
  if (!translated) return dropped(translated.error());
  if (translated->size() <= options_.mtu_v6_bytes) return one(*std::move(translated));

  const auto original = parse_packet(bytes);
  const bool must_not_fragment = (load16(bytes, 6) & 0x4000) != 0;
  if (must_not_fragment) {
    auto result = dropped(Rule::unsupported);
    result.answer = fragmentation_needed(*original, static_cast<std::uint16_t>(options_.mtu_v6_bytes - 20));
    return result;
  }
  Translated result{.outcome = Translated::Outcome::translated};
  result.packets = in_fragments(*translated, load16(bytes, 4));
  return result;
}

/// RFC 7915 §4: an IPv6 packet that is too long, in pieces that fit. A packet that is a fragment itself is cut
/// on.
std::vector<Translator46::Bytes> Translator46::in_fragments(const Bytes& packet,
                                                            std::uint32_t identification) const {
  Bytes copy = packet;
  const auto parsed = parse_packet(copy);
  const auto whole = Fragment::of_v6(*parsed);
  const auto payload = parsed->transport();
  const std::size_t room = (options_.mtu_v6_bytes - ipv6_header - fragment_header) / 8 * 8;
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < payload.size(); at += room) {
    const auto piece = payload.subspan(at, std::min(room, payload.size() - at));
    const bool more = at + piece.size() < payload.size() || whole.more;
    Bytes bytes(packet.begin(), packet.begin() + ipv6_header);
    bytes[6] = fragment_protocol;
    store16(bytes, 4, static_cast<std::uint16_t>(fragment_header + piece.size()));
    append_fragment_header(bytes, parsed->protocol, whole.offset + at, more,
                           whole.present ? whole.identification : identification);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    pieces.push_back(std::move(bytes));
  }
  return pieces;
}

tl::expected<Translator46::Bytes, Rule> Translator46::to_v6(std::span<std::uint8_t> bytes, bool quoted) {
  const auto parsed = parse_packet(bytes);
  if (!parsed) return tl::unexpected(parsed.error());
  const Packet& packet = *parsed;
  if (packet.ipv6 || (!quoted && packet.bytes.size() < packet.length)) return tl::unexpected(Rule::malformed);
  if (packet.protocol == protocol::icmpv6 || has_source_route(packet))
    return tl::unexpected(Rule::unsupported);
  const auto source = addresses_.to_v6(packet.source), destination = addresses_.to_v6(packet.destination);
  if (!source || !destination) return tl::unexpected(Rule::no_mapping);

  const bool icmp = packet.protocol == protocol::icmp;
  if (icmp && packet.fragment) return tl::unexpected(Rule::unsupported);
  Bytes payload(packet.transport().begin(), packet.transport().end());
  std::size_t length = packet.transport_length();
  if (icmp) {
    if (quoted && !payload.empty() && !is_echo(packet)) return tl::unexpected(Rule::unsupported);
    auto translated = icmp_to_v6(packet);
    if (!translated) return tl::unexpected(translated.error());
    payload = *std::move(translated);
    if (!quoted) length = payload.size();
    const auto pseudo = icmpv6_pseudo(*source, *destination, length);
    if (is_echo(packet))
      correct(payload, 2, load16(packet.transport(), 0), pseudo + load16(payload, 0));
    else
      seal_icmp(payload, pseudo);
  } else if (!packet.later_fragment) {
    const bool unsealed = packet.protocol == protocol::udp && payload.size() >= 8 && load16(payload, 6) == 0;
    if (unsealed && options_.seals_udp && !quoted) {
      if (packet.fragment) return tl::unexpected(Rule::unsupported);
      const auto pseudo =
          fold(std::uint64_t{address_sum(*source, *destination, true)} + length + protocol::udp);
      const auto sum = static_cast<std::uint16_t>(~ones_sum(payload, pseudo));
      store16(payload, 6, sum == 0 ? 0xffff : sum);
    } else {
      correct_transport(payload, packet.protocol, address_sum(packet.source, packet.destination, false),
                        address_sum(*source, *destination, true));
    }
  }

  const auto fragment = Fragment::of_v4(packet);
  const auto extra = fragment.present ? fragment_header : 0;
  if (extra + length > 0xffff) return tl::unexpected(Rule::unsupported);
  const auto protocol_number = icmp ? std::uint8_t{protocol::icmpv6} : packet.protocol;
  auto result = ipv6_packet(*source, *destination, packet.bytes[1], packet.hop_limit(),
                            fragment.present ? fragment_protocol : protocol_number, extra + length);
  if (fragment.present)
    append_fragment_header(result, protocol_number, fragment.offset, fragment.more, fragment.identification);
  result.insert(result.end(), payload.begin(), payload.end());
  return result;
}

/// RFC 7915 §4.2. The checksum is left to the caller, who knows the addresses.
tl::expected<Translator46::Bytes, Rule> Translator46::icmp_to_v6(const Packet& packet) {
  const auto icmp = packet.transport();
  if (icmp.size() < icmp_header) return tl::unexpected(Rule::malformed);
  if (is_echo(packet)) {
    Bytes echo(icmp.begin(), icmp.end());
    echo[0] = icmp[0] == echo_request_4 ? echo_request_6 : echo_reply_6;
    return echo;
  }
  const auto head = error_to_v6(icmp, options_.mtu_v6_bytes);
  if (!head) return tl::unexpected(Rule::unsupported);
  const auto quoted = to_v6(quotation(packet), true);
  if (!quoted) return tl::unexpected(quoted.error());
  Bytes error(icmp_header);
  error[0] = head->type;
  error[1] = head->code;
  store32(error, 4, head->rest);
  const auto room = min_ipv6_mtu - ipv6_header - icmp_header;
  error.insert(error.end(), quoted->begin(),
               quoted->begin() + static_cast<std::ptrdiff_t>(std::min(room, quoted->size())));
  return error;
}

// 464XLAT, NAT64

Clat::Clat(const Config& config, const Translator46::Options& options)
    : config_(config), translator_(*this, options) {}

bool Clat::is_local(const Address& address) const {
  const auto bits = std::min(config_.local_bits, 32u);
  if (bits == 0) return true;
  return (load32(address, 12) ^ load32(config_.local_v4, 12)) >> (32 - bits) == 0;
}

std::optional<Address> Clat::to_v4(const Address& v6) {
  const auto own = config_.own.extract(v6);
  if (own && is_local(*own)) return own;
  return config_.provider.extract(v6);
}

std::optional<Address> Clat::to_v6(const Address& address) {
  return is_local(address) ? config_.own.embed(address) : config_.provider.embed(address);
}

Translated Clat::outbound(std::span<const std::uint8_t> packet) {
  if (!is_version(packet, 4)) return untouched();
  return translator_.v4_to_v6(packet);
}

Translated Clat::inbound(std::span<const std::uint8_t> packet) {
  const auto destination = destination_v6(packet);
  if (!destination) return is_version(packet, 4) ? dropped(Rule::no_mapping) : untouched();
  const auto local = config_.own.extract(*destination);
  if (!local || !is_local(*local)) return untouched();
  return translator_.v6_to_v4(packet);
}

Nat64Edge::Nat64Edge(const Prefix64& prefix, const Translator46::Options& options)
    : prefix_(prefix), translator_(*this, options) {}

std::optional<Address> Nat64Edge::to_v4(const Address& v6) {
  const auto remote = prefix_.extract(v6);
  return remote ? remote : hosts_.of(v6);
}

std::optional<Address> Nat64Edge::to_v6(const Address& address) {
  if (const auto* const host = hosts_.find(address)) return *host;
  return prefix_.embed(address);
}

Translated Nat64Edge::outbound(std::span<const std::uint8_t> packet) {
  const auto source = source_v6(packet), destination = destination_v6(packet);
  if (!destination) return untouched();
  const auto remote = prefix_.extract(*destination);
  if (!remote) return untouched();
  if (prefix_.extract(*source) || StandIns<Address>::is_stand_in(*remote)) return dropped(Rule::no_mapping);
  if (hosts_.of(*source) == std::nullopt) return dropped(Rule::table_full);
  return translator_.v6_to_v4(packet);
}

Translated Nat64Edge::inbound(std::span<const std::uint8_t> packet) {
  const auto destination = destination_v4(packet);
  if (!destination || !StandIns<Address>::is_stand_in(*destination)) return untouched();
  if (hosts_.find(*destination) == nullptr) return dropped(Rule::no_mapping);
  return translator_.v4_to_v6(packet);
}

}  // namespace flaresim::nat
