#include "sim/nat/npt66.h"

#include <algorithm>

namespace flaresim::nat {

namespace {

constexpr std::size_t ipv6_header = 40, icmp_header = 8, source_at = 8, destination_at = 24;
constexpr std::size_t words = 8;

std::uint16_t ones_add(std::uint16_t a, std::uint16_t b) {
  const std::uint32_t sum = std::uint32_t{a} + b;
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

/// `bits` of `prefix`, then those of `rest`.
Address joined(const Address& prefix, const Address& rest, unsigned bits) {
  Address address = rest;
  const std::size_t whole = bits / 8;
  std::copy_n(prefix.begin(), whole, address.begin());
  if (bits % 8 != 0) {
    const auto mask = static_cast<std::uint8_t>(0xff00 >> bits % 8);
    address[whole] = static_cast<std::uint8_t>((prefix[whole] & mask) | (rest[whole] & ~mask));
  }
  return address;
}

/// The word that takes the adjustment; nothing when there is none.
std::optional<std::size_t> neutral_word(const Address& address, unsigned bits) {
  constexpr std::size_t subnet_word = 3, identifier_word = 4;
  if (bits <= 48)
    return load16(address, 2 * subnet_word) == 0xffff ? std::nullopt : std::optional(subnet_word);
  const bool anycast = std::all_of(address.begin() + 8, address.end(), [](auto byte) { return byte == 0; });
  if (anycast) return {};
  for (std::size_t word = identifier_word; word < words; ++word) {
    if (load16(address, 2 * word) != 0xffff) return word;
  }
  return {};
}

}  // namespace

std::optional<Npt66> Npt66::make(const Address& inside, const Address& outside, unsigned bits) {
  if (bits == 0 || bits > 64) return {};
  return Npt66(inside, outside, bits);
}

Npt66::Npt66(const Address& inside, const Address& outside, unsigned bits)
    : bits_(bits), inside_{joined(inside, {}, bits)}, outside_{joined(outside, {}, bits)} {
  const auto inside_sum = ones_sum(inside_.prefix), outside_sum = ones_sum(outside_.prefix);
  outside_.adjustment = ones_add(inside_sum, static_cast<std::uint16_t>(~outside_sum));
  inside_.adjustment = ones_add(outside_sum, static_cast<std::uint16_t>(~inside_sum));
}

bool Npt66::is_under(const Side& side, const Address& address) const {
  return joined(side.prefix, address, bits_) == address;
}

/// RFC 6296 §3.1-3.5.
std::optional<Address> Npt66::move(const Address& address, const Side& to) const {
  const auto word = neutral_word(address, bits_);
  if (!word) return {};
  Address moved = joined(to.prefix, address, bits_);
  auto sum = ones_add(load16(moved, 2 * *word), to.adjustment);
  if (sum == 0xffff) sum = 0;
  store16(moved, 2 * *word, sum);
  return moved;
}

std::optional<Address> Npt66::outside_of(const Address& inside) const {
  return is_under(inside_, inside) ? move(inside, outside_) : std::nullopt;
}

std::optional<Address> Npt66::inside_of(const Address& outside) const {
  return is_under(outside_, outside) ? move(outside, inside_) : std::nullopt;
}

Npt66::Rewritten Npt66::rewrite(std::span<std::uint8_t> header, std::size_t at, const Side& from,
                                const Side& to) const {
  Address address;
  std::copy_n(header.begin() + static_cast<std::ptrdiff_t>(at), address.size(), address.begin());
  if (!is_under(from, address)) return Rewritten::no;
  const auto moved = move(address, to);
  if (!moved) return Rewritten::impossible;
  std::copy(moved->begin(), moved->end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  return Rewritten::yes;
}

Translated Npt66::translate(std::span<const std::uint8_t> packet, bool outbound) const {
  if (packet.empty() || packet[0] >> 4 != 6) return untouched();
  std::vector<std::uint8_t> bytes(packet.begin(), packet.end());
  const auto parsed = parse_packet(bytes);
  if (!parsed) return dropped(parsed.error());
  const auto& from = outbound ? inside_ : outside_;
  const auto& to = outbound ? outside_ : inside_;
  const auto rewritten = rewrite(bytes, outbound ? source_at : destination_at, from, to);
  if (rewritten == Rewritten::impossible) return dropped(Rule::unsupported);
  if (rewritten == Rewritten::no) return untouched();

  // What an error quotes went the other way. The checksum over it does not change, as nothing's does.
  const auto icmp = parsed->transport();
  const bool error =
      parsed->protocol == protocol::icmpv6 && !parsed->later_fragment && !icmp.empty() && icmp[0] < 128;
  if (error && icmp.size() >= icmp_header + ipv6_header)
    rewrite(icmp.subspan(icmp_header), outbound ? destination_at : source_at, from, to);
  Translated result{.outcome = Translated::Outcome::translated};
  result.packets.push_back(std::move(bytes));
  return result;
}

Translated Npt66::outbound(std::span<const std::uint8_t> packet) { return translate(packet, true); }
Translated Npt66::inbound(std::span<const std::uint8_t> packet) { return translate(packet, false); }

}  // namespace flaresim::nat
