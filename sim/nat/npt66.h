#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sim/nat/packet.h"
#include "sim/nat/translation.h"

namespace flaresim::nat {

/// NPTv6, RFC 6296: one prefix stands for another, address by address, without a table and without a change to
/// any transport checksum.
///
/// 1. Outbound packets from the inside prefix, and inbound ones to the outside prefix, are rewritten; others
///    pass. Addresses in packets that ICMPv6 errors quote are rewritten with them.
/// 2. A prefix of up to 48 bits is made neutral in bits 48-63, a longer one in the first 16 bits of the
///    interface identifier that are not all ones (§3.4, §3.5).
/// 3. Dropped, since no translation of them can be undone: subnet 0xffff under a prefix of up to 48 bits, an
///    interface identifier of all ones, and under longer prefixes one of all zeros (§3.4, §3.5).
class Npt66 final : public HeaderTranslation {
 public:
  /// Prefixes of the same length, at most 64 bits; nothing otherwise.
  static std::optional<Npt66> make(const Address& inside, const Address& outside, unsigned bits);

  Translated outbound(std::span<const std::uint8_t> packet) override;
  Translated inbound(std::span<const std::uint8_t> packet) override;

  /// The address under the outside prefix that an inside address has; nothing when it is not under the inside
  /// prefix or cannot be translated.
  std::optional<Address> outside_of(const Address& inside) const;
  std::optional<Address> inside_of(const Address& outside) const;

 private:
  struct Side {
    Address prefix{};
    std::uint16_t adjustment = 0;  ///< what is added to an address that comes under this prefix
  };
  Npt66(const Address& inside, const Address& outside, unsigned bits);
  bool is_under(const Side& side, const Address& address) const;
  std::optional<Address> move(const Address& address, const Side& to) const;
  /// Rewrites the address at this offset of the packet's header, if it is under one side's prefix.
  enum class Rewritten : std::uint8_t { no, yes, impossible };
  Rewritten rewrite(std::span<std::uint8_t> header, std::size_t at, const Side& from, const Side& to) const;
  Translated translate(std::span<const std::uint8_t> packet, bool outbound) const;

  unsigned bits_;
  Side inside_;
  Side outside_;
};

}  // namespace flaresim::nat
